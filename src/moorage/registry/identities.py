"""
Users, groups and their policies: made, listed, removed; and the caller that a key stands for.

What is changed here takes effect with the next request, on every worker:
nothing of it is remembered between two of them but compiled policy texts.
"""

from __future__ import annotations

import dataclasses
import secrets
import string
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from moorage.domain import policies
from moorage.domain.errors import EntityAlreadyExists, MalformedPolicy, NoSuchEntity
from moorage.domain.managed import MANAGED
from moorage.registry import boundaries
from moorage.registry.prepared import Prepared
from moorage.registry.tables import access_keys, attachments, groups, memberships, roles, users
from moorage.registry.tables import policies as policies_table
from moorage.registry.upsert import insert_if_absent, insert_or_update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from moorage.domain.names import EntityName
    from moorage.registry.core import Context

USER: Final = "user"
GROUP: Final = "group"
ROLE: Final = "role"
_KEY_ALPHABET: Final = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """What a key's row says: whose it is, and its sealed secret."""

    principal: policies.Principal
    secret: bytes
    boundary: policies.Policy | None = None


def root_principal(account: str) -> policies.Principal:
    """Return an account's root user."""
    return policies.Principal(arn=f"arn:aws:iam::{account}:root", account=account, user_id=account)


def user_arn(account: str, name: str) -> str:
    """Return the ARN of a user."""
    return f"arn:aws:iam::{account}:user/{name}"


def user_principal(account: str, name: str, user_id: str, tags: Mapping[str, str]) -> policies.Principal:
    """Return a user, as policies see it."""
    return policies.Principal(arn=user_arn(account, name), account=account, user_id=user_id, name=name, tags=tags)


# --- The caller behind a key ---------------------------------------------------------

_KEY: Final = Prepared(
    sa.select(
        access_keys.c.account_id,
        access_keys.c.user_name,
        access_keys.c.secret,
        users.c.user_id,
        users.c.tags,
        users.c.boundary,
        policies_table.c.document.label("boundary_document"),
    )
    .join_from(
        access_keys,
        users,
        sa.and_(users.c.account_id == access_keys.c.account_id, users.c.name == access_keys.c.user_name),
        isouter=True,
    )
    .join(policies_table, boundaries.of(users), isouter=True)
    .where(
        access_keys.c.id == sa.bindparam("key"),
        access_keys.c.active,
        sa.or_(
            access_keys.c.expires_at.is_(None),
            access_keys.c.expires_at > sa.bindparam("now", type_=access_keys.c.expires_at.type),
        ),
    )
)


def holder(tx: sa.Connection, access_key_id: str, now: datetime) -> KeyHolder | None:
    """Return who holds an access key, None if there is none of that id, or it is inactive or past its time."""
    row = _KEY.first(tx, {"key": access_key_id, "now": now})
    if row is None:
        return None
    if row.user_name is None:
        return KeyHolder(root_principal(row.account_id), row.secret)
    principal = user_principal(row.account_id, row.user_name, row.user_id, row.tags)
    return KeyHolder(principal, row.secret, boundaries.compiled(row.boundary, row.boundary_document))


_IN_GROUPS = sa.select(memberships.c.group_name).where(
    memberships.c.account_id == sa.bindparam("account"), memberships.c.user_name == sa.bindparam("user")
)
_OWN = sa.and_(policies_table.c.account_id == attachments.c.account_id, policies_table.c.name == attachments.c.policy)
_ATTACHED = (
    sa.select(attachments.c.kind, attachments.c.name, attachments.c.policy, policies_table.c.document)
    .join_from(attachments, policies_table, _OWN, isouter=True)
    .where(attachments.c.account_id == sa.bindparam("account"))
)
_POLICIES: Final = Prepared(
    _ATTACHED.where(
        sa.or_(
            sa.and_(attachments.c.kind == USER, attachments.c.name == sa.bindparam("user")),
            sa.and_(attachments.c.kind == GROUP, attachments.c.name.in_(_IN_GROUPS)),
        )
    )
)
_ROLE_POLICIES: Final = Prepared(
    _ATTACHED.where(attachments.c.kind == ROLE, attachments.c.name == sa.bindparam("role"))
)


def policies_of(tx: sa.Connection, principal: policies.Principal) -> tuple[policies.Policy, ...]:
    """Return the identity policies of a user: attached to it or to a group of it. Root has none and needs none."""
    if principal.name is None:
        return ()
    rows = _POLICIES.all(tx, {"account": principal.account, "user": principal.name})
    return tuple(_attached_policy(*row) for row in rows)


def policies_of_role(tx: sa.Connection, account: str, name: str) -> tuple[policies.Policy, ...]:
    """Return the identity policies of a role."""
    rows = _ROLE_POLICIES.all(tx, {"account": account, "role": name})
    return tuple(_attached_policy(*row) for row in rows)


@lru_cache(maxsize=4096)
def _attached_policy(kind: str, holder: str, name: str, document: str | None) -> policies.Policy:
    """Return an attached policy, with what a decision says of it. Without a document it is a built-in one."""
    compiled = _compiled(document or MANAGED[name], name)
    return dataclasses.replace(compiled, managed=document is None, holder=f"{kind} {holder}")


@lru_cache(maxsize=1024)
def _compiled(document: str, name: str) -> policies.Policy:
    return policies.parse(document, policies.Kind.IDENTITY, name=name)


_TABLES: Final = {USER: users, GROUP: groups, ROLE: roles, "policy": policies_table}


# --- Managing them --------------------------------------------------------------------


def create_user(ctx: Context, name: EntityName, tags: dict[str, str] | None = None) -> str:
    """Create a user of the addressed account and return its ARN; raise `EntityAlreadyExists`."""
    values = {
        "account_id": ctx.registry_id,
        "name": name,
        "user_id": new_id("AIDA"),
        "tags": tags or {},
        "created_at": ctx.now,
    }
    insert_new(ctx, users, values, "user", name)
    return user_arn(ctx.registry_id, name)


def set_tags(ctx: Context, name: EntityName, tags: dict[str, str]) -> None:
    """Give a user other tags, which policies see as ``aws:PrincipalTag/…``; raise `NoSuchEntity`."""
    require(ctx, USER, name)
    mine = sa.and_(users.c.account_id == ctx.registry_id, users.c.name == name)
    ctx.tx.execute(sa.update(users).where(mine).values(tags=tags))


def create_group(ctx: Context, name: EntityName) -> None:
    """Create a group; raise `EntityAlreadyExists`."""
    insert_new(ctx, groups, {"account_id": ctx.registry_id, "name": name, "created_at": ctx.now}, "group", name)


def put_policy(ctx: Context, name: EntityName, document: str) -> None:
    """Create or replace an identity policy of the account; raise `MalformedPolicy`, saying where."""
    try:
        policies.parse(document, policies.Kind.IDENTITY, name=name)
    except policies.PolicyError as problem:
        raise MalformedPolicy(reason=problem.detail) from None
    if name in MANAGED:
        raise EntityAlreadyExists(kind="policy", name=name)
    values = {"account_id": ctx.registry_id, "name": name, "document": document, "created_at": ctx.now}
    insert_or_update(ctx.tx, policies_table, values, key=["account_id", "name"])


def delete(ctx: Context, kind: str, name: EntityName) -> None:
    """Delete a user and its keys, a group, a role or an unused policy, and what is attached; raise `NoSuchEntity`."""
    if kind == "policy":
        boundaries.require_unused(ctx, name)
    table = _TABLES[kind]
    gone = ctx.tx.execute(sa.delete(table).where(table.c.account_id == ctx.registry_id, table.c.name == name))
    if gone.rowcount != 1:
        raise NoSuchEntity(kind=kind, name=name)
    named = (
        attachments.c.policy == name
        if kind == "policy"
        else sa.and_(attachments.c.kind == kind, attachments.c.name == name)
    )
    ctx.tx.execute(sa.delete(attachments).where(attachments.c.account_id == ctx.registry_id, named))


def set_boundary(ctx: Context, kind: str, name: EntityName, policy: str | None) -> None:
    """Give a user or role a permissions boundary, or take it away; raise `NoSuchEntity`."""
    require(ctx, kind, name)
    if policy is not None and policy not in MANAGED:
        require(ctx, "policy", policy)
    table = _TABLES[kind]
    held = sa.and_(table.c.account_id == ctx.registry_id, table.c.name == name)
    ctx.tx.execute(sa.update(table).where(held).values(boundary=policy))


def add_to_group(ctx: Context, group: EntityName, user: EntityName) -> None:
    """Make a user a member of a group; raise `NoSuchEntity` if either is missing."""
    require(ctx, GROUP, group)
    require(ctx, USER, user)
    insert_if_absent(ctx.tx, memberships, {"account_id": ctx.registry_id, "user_name": user, "group_name": group})


def remove_from_group(ctx: Context, group: EntityName, user: EntityName) -> None:
    """End a membership; raise `NoSuchEntity` if there is none."""
    gone = ctx.tx.execute(
        sa.delete(memberships).where(
            memberships.c.account_id == ctx.registry_id,
            memberships.c.user_name == user,
            memberships.c.group_name == group,
        )
    )
    if gone.rowcount != 1:
        raise NoSuchEntity(kind="membership", name=f"{user} in {group}")


def attach(ctx: Context, kind: str, name: EntityName, policy: str) -> None:
    """Attach a policy, the account's own or a built-in one, to a user, group or role; raise `NoSuchEntity`."""
    require(ctx, kind, name)
    if policy not in MANAGED:
        require(ctx, "policy", policy)
    values = {"account_id": ctx.registry_id, "kind": kind, "name": name, "policy": policy}
    insert_if_absent(ctx.tx, attachments, values)


def detach(ctx: Context, kind: str, name: EntityName, policy: str) -> None:
    """Detach a policy; raise `NoSuchEntity` if it is not attached."""
    gone = ctx.tx.execute(
        sa.delete(attachments).where(
            attachments.c.account_id == ctx.registry_id,
            attachments.c.kind == kind,
            attachments.c.name == name,
            attachments.c.policy == policy,
        )
    )
    if gone.rowcount != 1:
        raise NoSuchEntity(kind="attachment", name=f"{policy} to {kind} {name}")


def require(ctx: Context, kind: str, name: str) -> None:
    """Raise `NoSuchEntity` unless the account has a user, group, role or policy of that name."""
    table = _TABLES[kind]
    row = sa.select(table.c.name).where(table.c.account_id == ctx.registry_id, table.c.name == name)
    if ctx.tx.execute(row).first() is None:
        raise NoSuchEntity(kind=kind, name=name)


def insert_new(ctx: Context, table: sa.Table, values: dict[str, Any], kind: str, name: str) -> None:
    """Insert a row; raise `EntityAlreadyExists` if its key is taken."""
    try:
        with ctx.tx.begin_nested():
            ctx.tx.execute(sa.insert(table).values(values))
    except IntegrityError:
        raise EntityAlreadyExists(kind=kind, name=name) from None


def new_id(prefix: str) -> str:
    """Return a new unique id in AWS's form: a prefix that tells its kind, and 16 characters."""
    return prefix + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))


# --- Lists --------------------------------------------------------------------------------


def list_users(ctx: Context) -> Sequence[dict[str, Any]]:
    """Return the account's users with their groups and policies."""
    rows = ctx.tx.execute(sa.select(users).where(users.c.account_id == ctx.registry_id).order_by(users.c.name))
    return [
        {
            "name": row.name,
            "arn": user_arn(ctx.registry_id, row.name),
            "groups": _names(ctx, memberships.c.group_name, memberships.c.user_name == row.name),
            "policies": _attached(ctx, USER, row.name),
            "boundary": row.boundary,
        }
        for row in rows.all()
    ]


def show_user(ctx: Context, name: EntityName) -> dict[str, Any]:
    """Return a user with all that gives it permissions; raise `NoSuchEntity`."""
    require(ctx, USER, name)
    row = ctx.tx.execute(sa.select(users).where(users.c.account_id == ctx.registry_id, users.c.name == name)).one()
    groups_ = _names(ctx, memberships.c.group_name, memberships.c.user_name == name)
    through = {group: _attached(ctx, GROUP, group) for group in groups_}
    return {
        "name": row.name,
        "arn": user_arn(ctx.registry_id, row.name),
        "userId": row.user_id,
        "createdAt": row.created_at,
        "tags": row.tags,
        "groups": groups_,
        "policies": _attached(ctx, USER, row.name),
        "boundary": row.boundary,
        "groupPolicies": sorted({policy for attached in through.values() for policy in attached}),
    }


def list_groups(ctx: Context) -> Sequence[dict[str, Any]]:
    """Return the account's groups with their members and policies."""
    rows = ctx.tx.execute(sa.select(groups).where(groups.c.account_id == ctx.registry_id).order_by(groups.c.name))
    return [
        {
            "name": row.name,
            "users": _names(ctx, memberships.c.user_name, memberships.c.group_name == row.name),
            "policies": _attached(ctx, GROUP, row.name),
        }
        for row in rows.all()
    ]


def list_policies(ctx: Context) -> Sequence[dict[str, Any]]:
    """Return the built-in policies and the account's own."""
    own = sa.select(policies_table.c.name).where(policies_table.c.account_id == ctx.registry_id)
    names = ctx.tx.execute(own.order_by(policies_table.c.name)).scalars().all()
    return [{"name": n, "builtIn": True} for n in MANAGED] + [{"name": n, "builtIn": False} for n in names]


def _attached(ctx: Context, kind: str, name: str) -> list[str]:
    chosen = sa.select(attachments.c.policy).where(
        attachments.c.account_id == ctx.registry_id, attachments.c.kind == kind, attachments.c.name == name
    )
    return list(ctx.tx.execute(chosen.order_by(attachments.c.policy)).scalars())


def _names(ctx: Context, column: sa.Column[str], chosen: sa.ColumnElement[bool]) -> list[str]:
    names = sa.select(column).where(memberships.c.account_id == ctx.registry_id, chosen)
    return list(ctx.tx.execute(names.order_by(column)).scalars())
