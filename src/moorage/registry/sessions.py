"""
Temporary credentials: a role taken on, or a user for a while.

Nothing of a session is stored. The session token is its own record, sealed
with the master key; who it stands for is looked up again with each request,
so that a session ends with its role, its user or the key that began it.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from moorage.domain import policies
from moorage.domain.errors import PackedPolicyTooLarge
from moorage.registry import identities, roles
from moorage.registry.identities import new_id
from moorage.registry.keys import new_access_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    import sqlalchemy as sa

    from moorage.domain.policies import Policy
    from moorage.registry.secrets import Keyring

_SEAL: Final = "session"
_MAX_PACKED: Final = 1750
"""Bytes of a compressed session policy. Any of 2,048 ASCII characters fits, and tokens stay within their bound."""
UNTIL: Final = "until"
"""The claim that says when a session ends (seconds since 1970), and all that was made with it."""


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """Credentials for a while."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"TemporaryKey({self.access_key_id})"


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a session stands for, now."""

    principal: policies.Principal
    policies: tuple[Policy, ...]
    boundary: Policy | None
    """The permissions boundary of the role or user."""
    limit: Policy | None
    """The session policy: what it does not allow, the session may not do."""


def role_claims(role: roles.Role, session_name: str, policy: str | None) -> dict[str, Any]:
    """Return the claims of a session of a role; raise `PackedPolicyTooLarge`."""
    return {
        "account": role.account_id,
        "role": role.name,
        "role_id": role.role_id,
        "name": session_name,
        "policy": None if policy is None else _packed(policy),
    }


def key_claims(account: str, access_key_id: str) -> dict[str, Any]:
    """Return the claims of a session of the user (or root) who holds an access key."""
    return {"account": account, "key": access_key_id, "policy": None}


def issue(keyring: Keyring, claims: Mapping[str, Any], now: datetime, lifetime: timedelta) -> TemporaryKey:
    """Return credentials for the session that the claims describe."""
    secret = new_access_key(claims["account"]).secret_access_key
    access_key_id, expires_at = new_id("ASIA"), now + lifetime
    # For the audit trail, which follows a session from its beginning.
    traced = {"id": access_key_id, "since": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    until = expires_at.timestamp()
    record = {"id": access_key_id, "secret": secret, "exp": until, "claims": {**claims, **traced, UNTIL: until}}
    return TemporaryKey(access_key_id, secret, keyring.seal_text(json.dumps(record), _SEAL), expires_at)


def read(keyring: Keyring, session_token: str) -> dict[str, Any]:
    """Return the record of a session token; raise ``Forged``."""
    record: dict[str, Any] = json.loads(keyring.unseal_text(session_token, _SEAL))
    return record


def standing(tx: sa.Connection, claims: Mapping[str, Any], now: datetime) -> Standing | None:
    """Return who a session stands for, None if it is over, or its role or key is no more what it was."""
    if claims.get(UNTIL, 0) <= now.timestamp():
        return None
    limit = _limit(claims["policy"]) if claims["policy"] else None
    if "key" in claims:
        holder = identities.holder(tx, claims["key"], now)
        if holder is None:
            return None
        return Standing(holder.principal, identities.policies_of(tx, holder.principal), holder.boundary, limit)
    role = roles.find(tx, claims["account"], claims["role"])
    if role is None or role.role_id != claims["role_id"]:
        return None
    principal = policies.Principal(
        arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{claims['name']}",
        account=role.account_id,
        user_id=f"{role.role_id}:{claims['name']}",
        role_arn=role.arn,
    )
    attached = identities.policies_of_role(tx, role.account_id, role.name)
    return Standing(principal, attached, role.boundary, limit)


def _packed(policy: str) -> str:
    """Return a session policy as tokens carry it: every request brings it along."""
    packed = zlib.compress(policy.encode(), 9)
    if len(packed) > _MAX_PACKED:
        raise PackedPolicyTooLarge(percent=-(-100 * len(packed) // _MAX_PACKED))
    return base64.b64encode(packed).decode()


@lru_cache(maxsize=256)
def _limit(packed: str) -> policies.Policy:
    return policies.parse(zlib.decompress(base64.b64decode(packed)).decode(), policies.Kind.SESSION)
