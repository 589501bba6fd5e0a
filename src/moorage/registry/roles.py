"""Roles, and the issuers whose web identities may take them on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter, MalformedPolicy, NoSuchEntity
from moorage.registry import boundaries
from moorage.registry.identities import ROLE, insert_new, new_id, require
from moorage.registry.prepared import Prepared
from moorage.registry.tables import attachments, oidc_providers, roles
from moorage.registry.tables import policies as policies_table
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.domain.names import EntityName
    from moorage.registry.core import Context

DEFAULT_SESSION: Final = 3600
SHORTEST_SESSION: Final = 900
LONGEST_SESSION: Final = 43_200
"""Seconds: twelve hours, the longest session that a role can allow."""
_MAX_ISSUER: Final = 512


@dataclass(frozen=True, slots=True)
class Role:
    """One row of roles."""

    account_id: str
    name: str
    role_id: str
    trust: policies.Policy
    max_session: int
    boundary: policies.Policy | None = None

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return role_arn(self.account_id, self.name)


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer of web identities."""

    account_id: str
    issuer: str
    audiences: tuple[str, ...]
    keys: str | None
    """A JWK set, where it was given as a file."""
    keys_url: str | None

    @property
    def host(self) -> str:
        """The issuer without its scheme, as ARNs and condition keys have it."""
        return self.issuer.partition("://")[2].rstrip("/")

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return f"arn:aws:iam::{self.account_id}:oidc-provider/{self.host}"


def role_arn(account: str, name: str) -> str:
    """Return the ARN of a role."""
    return f"arn:aws:iam::{account}:role/{name}"


@lru_cache(maxsize=256)
def _trust(text: str) -> policies.Policy:
    return policies.parse(text, policies.Kind.TRUST)


_FIND: Final = Prepared(
    sa.select(roles, policies_table.c.document.label("boundary_document"))
    .join_from(roles, policies_table, boundaries.of(roles), isouter=True)
    .where(roles.c.account_id == sa.bindparam("account"), roles.c.name == sa.bindparam("named"))
)


def find(tx: sa.Connection, account: str, name: str) -> Role | None:
    """Return the role, or None."""
    row = _FIND.first(tx, {"account": account, "named": name})
    if row is None:
        return None
    limit = boundaries.compiled(row.boundary, row.boundary_document)
    return Role(row.account_id, row.name, row.role_id, _trust(row.trust), row.max_session, limit)


def create(ctx: Context, name: EntityName, trust: str, max_session: int = LONGEST_SESSION) -> str:
    """Create a role that whoever its trust policy allows may take on; return its ARN."""
    _check_trust(trust)
    values = {
        "account_id": ctx.registry_id,
        "name": name,
        "role_id": new_id("AROA"),
        "trust": trust,
        "max_session": max_session,
        "created_at": ctx.now,
    }
    insert_new(ctx, roles, values, "role", name)
    return role_arn(ctx.registry_id, name)


def update(ctx: Context, name: EntityName, *, trust: str | None = None, max_session: int | None = None) -> None:
    """Change who may take a role on, or for how long; sessions that were begun go on. Raises `NoSuchEntity`."""
    if trust is not None:
        _check_trust(trust)
    given = {"trust": trust, "max_session": max_session}
    values = {field: value for field, value in given.items() if value is not None}
    require(ctx, ROLE, name)
    if values:
        mine = sa.and_(roles.c.account_id == ctx.registry_id, roles.c.name == name)
        ctx.tx.execute(sa.update(roles).where(mine).values(values))


def _check_trust(trust: str) -> None:
    try:
        _trust(trust)
    except policies.PolicyError as problem:
        raise MalformedPolicy(reason=problem.detail) from None


def list_roles(ctx: Context) -> Sequence[dict[str, Any]]:
    """Return the account's roles with their policies."""
    attached = sa.select(attachments.c.policy).where(
        attachments.c.account_id == ctx.registry_id,
        attachments.c.kind == ROLE,
        attachments.c.name == sa.bindparam("role"),
    )
    rows = ctx.tx.execute(sa.select(roles).where(roles.c.account_id == ctx.registry_id).order_by(roles.c.name)).all()
    return [
        {
            "name": row.name,
            "arn": role_arn(ctx.registry_id, row.name),
            "maxSession": row.max_session,
            "policies": sorted(ctx.tx.execute(attached, {"role": row.name}).scalars()),
            "boundary": row.boundary,
        }
        for row in rows
    ]


def put_provider(
    ctx: Context, issuer: str, audiences: Sequence[str], *, keys: str | None = None, keys_url: str | None = None
) -> str:
    """Trust an issuer of web identities for these audiences, or change how; return its ARN."""
    if not issuer.startswith(("https://", "http://")) or len(issuer) > _MAX_ISSUER or not audiences:
        raise InvalidParameter("issuer", "must be an http(s) URL, with at least one audience")
    if keys is not None and not _is_key_set(keys):
        raise InvalidParameter("keys", "must be a JWK set of public keys")
    values = {
        "account_id": ctx.registry_id,
        "issuer": issuer.rstrip("/"),
        "audiences": list(audiences),
        "keys": keys,
        "keys_url": keys_url,
        "created_at": ctx.now,
    }
    insert_or_update(ctx.tx, oidc_providers, values, key=["account_id", "issuer"])
    return Provider(ctx.registry_id, issuer.rstrip("/"), tuple(audiences), keys, keys_url).arn


def _is_key_set(text: str) -> bool:
    try:
        given = json.loads(text)
        if any(key["kty"] == "oct" for key in given["keys"]):
            return False
        found = KeySet.import_key_set(given)
        return bool(found.keys) and not any(key.is_private for key in found.keys)
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def find_provider(tx: sa.Connection, account: str, issuer: str) -> Provider | None:
    """Return the account's provider of that issuer, or None."""
    row = tx.execute(
        sa.select(oidc_providers).where(
            oidc_providers.c.account_id == account, oidc_providers.c.issuer == issuer.rstrip("/")
        )
    ).first()
    return None if row is None else Provider(account, row.issuer, tuple(row.audiences), row.keys, row.keys_url)


def list_providers(ctx: Context) -> Sequence[dict[str, Any]]:
    """Return the account's issuers."""
    rows = ctx.tx.execute(sa.select(oidc_providers).where(oidc_providers.c.account_id == ctx.registry_id)).all()
    return [
        {"issuer": row.issuer, "audiences": row.audiences, "keys": row.keys_url or ("given" if row.keys else "")}
        for row in rows
    ]


def delete_provider(ctx: Context, issuer: str) -> None:
    """Trust an issuer no longer; raise `NoSuchEntity`."""
    gone = ctx.tx.execute(
        sa.delete(oidc_providers).where(
            oidc_providers.c.account_id == ctx.registry_id, oidc_providers.c.issuer == issuer.rstrip("/")
        )
    )
    if gone.rowcount != 1:
        raise NoSuchEntity(kind="issuer", name=issuer)
