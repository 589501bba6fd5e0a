"""Access keys: made, shown, ended. As with IAM, a user has at most two that work: the one in use and the next."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.domain.errors import LimitExceeded, NoSuchEntity
from moorage.registry.identities import USER, new_id, require
from moorage.registry.tables import access_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.names import EntityName
    from moorage.registry.core import Context
    from moorage.registry.secrets import Keyring

MAX_ACTIVE: Final = 2
"""Keys of a user that work at the same time (IAM's quota ``AccessKeysPerUser``)."""
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits + "+/"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key with its secret, as its owner keeps it."""

    account_id: str
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key_id})"

    @property
    def exports(self) -> str:
        """The key as a shell takes it."""
        return f"export AWS_ACCESS_KEY_ID={self.access_key_id}\nexport AWS_SECRET_ACCESS_KEY='{self.secret_access_key}'"


def new_access_key(account_id: str) -> AccessKey:
    """Return a new key in AWS's forms: ``AKIA`` and 16 characters, a secret of 40. It is not stored yet."""
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40))
    return AccessKey(account_id, new_id("AKIA"), secret)


def store(
    tx: sa.Connection,
    keyring: Keyring,
    key: AccessKey,
    *,
    user: str | None,
    now: datetime,
    expires_at: datetime | None = None,
) -> None:
    """Store a key, its secret sealed; a key without a user is the account's root's."""
    tx.execute(
        sa.insert(access_keys).values(
            id=key.access_key_id,
            account_id=key.account_id,
            user_name=user,
            secret=keyring.seal(key.secret_access_key, key.access_key_id),
            active=True,
            expires_at=expires_at,
            created_at=now,
        )
    )


def create(ctx: Context, user: EntityName, expires_at: datetime | None = None) -> AccessKey:
    """
    Make an access key for a user; its secret is told this once.

    Raises `NoSuchEntity`, or `LimitExceeded` for one more than work at a time.
    """
    require(ctx, USER, user)
    _require_room(ctx, user)
    key = new_access_key(ctx.registry_id)
    store(ctx.tx, ctx.registry.keyring, key, user=user, now=ctx.now, expires_at=expires_at)
    return key


def rotate(
    ctx: Context, user: EntityName, expires_at: datetime | None = None, *, disable_old: bool = False
) -> tuple[AccessKey, list[str]]:
    """
    Make the next key of a user; return it, and the ids of the old ones, which go on working unless they are disabled.

    Raises what `create` raises.
    """
    require(ctx, USER, user)
    old = _active(ctx, user)
    if disable_old:
        ctx.tx.execute(sa.update(access_keys).where(access_keys.c.id.in_(old)).values(active=False))
    return create(ctx, user, expires_at), old


def set_active(ctx: Context, access_key_id: str, *, active: bool) -> None:
    """Disable a key, or enable it again; raise `NoSuchEntity`, or `LimitExceeded`."""
    row = ctx.tx.execute(sa.select(access_keys).where(_is(ctx, access_key_id))).first()
    if row is None:
        raise NoSuchEntity(kind="access key", name=access_key_id)
    if active and not row.active and row.user_name is not None:
        _require_room(ctx, row.user_name)
    ctx.tx.execute(sa.update(access_keys).where(_is(ctx, access_key_id)).values(active=active))


def expire(ctx: Context, access_key_id: str, at: datetime | None) -> None:
    """Let a key end by itself at a time, or not; raise `NoSuchEntity`, or `LimitExceeded`."""
    row = ctx.tx.execute(sa.select(access_keys).where(_is(ctx, access_key_id))).first()
    if row is None:
        raise NoSuchEntity(kind="access key", name=access_key_id)
    if row.active and row.expires_at is not None and row.expires_at <= ctx.now and row.user_name is not None:
        _require_room(ctx, row.user_name)
    ctx.tx.execute(sa.update(access_keys).where(_is(ctx, access_key_id)).values(expires_at=at))


def delete(ctx: Context, access_key_id: str) -> None:
    """Delete a key; raise `NoSuchEntity`."""
    if ctx.tx.execute(sa.delete(access_keys).where(_is(ctx, access_key_id))).rowcount != 1:
        raise NoSuchEntity(kind="access key", name=access_key_id)


def show(ctx: Context, user: str | None = None) -> Sequence[dict[str, Any]]:
    """Return the account's access keys, or a user's, without their secrets."""
    chosen = access_keys.c.user_name == user if user is not None else sa.true()
    rows = ctx.tx.execute(
        sa.select(access_keys).where(access_keys.c.account_id == ctx.registry_id, chosen).order_by(access_keys.c.id)
    )
    return [
        {
            "accessKeyId": row.id,
            "user": row.user_name or "root",
            "active": row.active,
            "createdAt": row.created_at,
            "expiresAt": row.expires_at,
            "lastUsedAt": row.last_used_at,
            "lastUsedService": row.last_used_service,
            "lastUsedRegion": row.last_used_region,
        }
        for row in rows.all()
    ]


def _active(ctx: Context, user: str) -> list[str]:
    """Return the ids of the user's keys that work."""
    ends = access_keys.c.expires_at
    chosen = sa.select(access_keys.c.id).where(
        access_keys.c.account_id == ctx.registry_id,
        access_keys.c.user_name == user,
        access_keys.c.active,
        sa.or_(ends.is_(None), ends > ctx.now),
    )
    return list(ctx.tx.execute(chosen.order_by(access_keys.c.id)).scalars())


def _require_room(ctx: Context, user: str) -> None:
    active = _active(ctx, user)
    if len(active) >= MAX_ACTIVE:
        ids = " and ".join(active)
        reason = f"User {user} has {len(active)} active keys, the most there can be: disable or delete {ids} first"
        raise LimitExceeded(reason=reason)


def _is(ctx: Context, access_key_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(access_keys.c.id == access_key_id, access_keys.c.account_id == ctx.registry_id)
