"""Callers by their ARNs: who would be asking, if they asked. Made of the same rows as when they do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter, MalformedPolicy, NoSuchEntity
from moorage.registry import accounts, boundaries, identities, roles, sessions
from moorage.registry.auth import Identity
from moorage.registry.tables import policies as policies_table
from moorage.registry.tables import users

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?:(?P<root>root)|user/(?P<user>[^/]+)|role/(?P<role>[^/]+)|assumed-role/(?P<assumed>[^/]+)/(?P<session>[^/]+))"
)
_USER = (
    sa.select(users.c.user_id, users.c.tags, users.c.boundary, policies_table.c.document)
    .join_from(users, policies_table, boundaries.of(users), isouter=True)
    .where(users.c.account_id == sa.bindparam("account"), users.c.name == sa.bindparam("named"))
)


def by_arn(tx: sa.Connection, arn: str, now: datetime, session_policy: str | None = None) -> Identity:
    """
    Return root, a user, or a session of a role (``…:role/NAME`` is one with no name of its own), as it would be now.

    ``session_policy`` narrows a session. Its registry is its own account's; the region is left open. Raises
    `InvalidParameter` for what is not such an ARN, `NoSuchAccount`, `NoSuchEntity` and `MalformedPolicy`.
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidParameter("as", "must be the ARN of an account's root, a user, a role or an assumed role")
    parts = match.groupdict()
    account = parts["account"]
    accounts.require(tx, account)
    role = parts["role"] or parts["assumed"]
    if role is None and session_policy is not None:
        raise InvalidParameter("session-policy", "narrows sessions of roles only")
    if parts["root"]:
        return Identity(identities.root_principal(account), "", account, "")
    if role is None:
        return _user(tx, account, parts["user"])
    return _session(tx, account, role, parts["session"] or "any", now=now, session_policy=session_policy)


def _user(tx: sa.Connection, account: str, name: str) -> Identity:
    row = tx.execute(_USER, {"account": account, "named": name}).first()
    if row is None:
        raise NoSuchEntity(kind="user", name=name)
    principal = identities.user_principal(account, name, row.user_id, row.tags)
    boundary = boundaries.compiled(row.boundary, row.document)
    return Identity(principal, "", account, "", policies=identities.policies_of(tx, principal), boundary=boundary)


def _session(
    tx: sa.Connection, account: str, name: str, session: str, *, now: datetime, session_policy: str | None
) -> Identity:
    role = roles.find(tx, account, name)
    if role is None:
        raise NoSuchEntity(kind="role", name=name)
    # As one that has just begun.
    until = now.timestamp() + role.max_session
    claims: Mapping[str, object] = {**sessions.role_claims(role, session, session_policy), sessions.UNTIL: until}
    try:
        standing = sessions.standing(tx, claims, now)
    except policies.PolicyError as problem:
        raise MalformedPolicy(reason=problem.detail) from None
    if standing is None:  # pragma: no cover (the role is there, in the same transaction)
        raise NoSuchEntity(kind="role", name=name)
    return Identity(
        standing.principal,
        "",
        account,
        "",
        policies=standing.policies,
        boundary=standing.boundary,
        limit=standing.limit,
        session=claims,
    )
