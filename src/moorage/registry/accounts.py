"""Accounts: twelve digits, to which repositories and identities belong. What is one account's, no other sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.domain.errors import AccountInUse, EntityAlreadyExists, InvalidParameter, NoSuchAccount
from moorage.domain.names import is_registry_id
from moorage.registry import keys
from moorage.registry.tables import access_keys, accounts, metadata, repositories, roles, users
from moorage.registry.upsert import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.keys import AccessKey

MAX_NAME: Final = 64
_HOLDING: Final = {"repositories": repositories, "users": users, "roles": roles}
"""What must be gone before an account can go."""

_FIND = sa.select(accounts).where(accounts.c.id == sa.bindparam("account"))


def find(tx: sa.Connection, account_id: str, *, lock: bool = False) -> sa.Row[Any] | None:
    """Return the account's row, None if there is none; with ``lock``, one writer at a time goes on from here."""
    return tx.execute(_FIND.with_for_update() if lock else _FIND, {"account": account_id}).first()


def exists(tx: sa.Connection, account_id: str) -> bool:
    """Tell whether there is such an account."""
    return find(tx, account_id) is not None


def require(tx: sa.Connection, account_id: str, *, lock: bool = False) -> None:
    """Raise `NoSuchAccount` if there is none; ``lock`` as in `find`."""
    if find(tx, account_id, lock=lock) is None:
        raise NoSuchAccount(account_id=account_id)


def ensure(tx: sa.Connection, account_id: str, now: datetime) -> None:
    """Make the account unless it is there."""
    insert_if_absent(tx, accounts, {"id": account_id, "name": None, "created_at": now})


def create(ctx: Context, account_id: str, name: str | None = None) -> None:
    """Create an account, which has no key yet; raise `EntityAlreadyExists`, or `InvalidParameter`."""
    _check(account_id, name)
    values = {"id": account_id, "name": name, "created_at": ctx.now}
    if not insert_if_absent(ctx.tx, accounts, values):
        raise EntityAlreadyExists(kind="account", name=account_id)


def rename(ctx: Context, account_id: str, name: str | None) -> None:
    """Give an account another name; raise `NoSuchAccount` or `InvalidParameter`."""
    _check(account_id, name)
    require(ctx.tx, account_id)
    ctx.tx.execute(sa.update(accounts).where(accounts.c.id == account_id).values(name=name))


def _check(account_id: str, name: str | None) -> None:
    if not is_registry_id(account_id):
        raise InvalidParameter("accountId", "must be twelve digits")
    if name is not None and not (1 <= len(name) <= MAX_NAME and name.isprintable()):
        raise InvalidParameter("name", f"must have 1 to {MAX_NAME} printable characters")


def create_root_key(ctx: Context, account_id: str) -> AccessKey:
    """Make an access key of the account's root; its secret is told this once. Raises `NoSuchAccount`."""
    require(ctx.tx, account_id, lock=True)
    key = keys.new_access_key(account_id)
    keys.store(ctx.tx, ctx.registry.keyring, key, user=None, now=ctx.now)
    return key


def delete(ctx: Context, account_id: str) -> None:
    """Delete an account with its keys, groups, policies and issuers; raise `NoSuchAccount` or `AccountInUse`."""
    require(ctx.tx, account_id, lock=True)
    held = {name: count for name, count in _counts(ctx.tx, account_id).items() if count and name in _HOLDING}
    if held:
        raise AccountInUse(account_id=account_id, held=", ".join(f"{n} {name}" for name, n in held.items()))
    for table in reversed(metadata.sorted_tables):
        if "account_id" in table.c:
            ctx.tx.execute(sa.delete(table).where(table.c.account_id == account_id))
    ctx.tx.execute(sa.delete(accounts).where(accounts.c.id == account_id))


def list_accounts(tx: sa.Connection) -> Sequence[dict[str, Any]]:
    """Return all accounts and how much is in each."""
    rows = tx.execute(sa.select(accounts).order_by(accounts.c.id)).all()
    return [{"accountId": row.id, "name": row.name, "createdAt": row.created_at, **_counts(tx, row.id)} for row in rows]


def _counts(tx: sa.Connection, account_id: str) -> dict[str, int]:
    return {
        name: tx.execute(sa.select(sa.func.count()).where(table.c.account_id == account_id)).scalar_one()
        for name, table in {**_HOLDING, "keys": access_keys}.items()
    }
