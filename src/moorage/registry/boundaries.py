"""
Permissions boundaries of users and roles: what their own policies can give at most.

A boundary is an identity policy by its name. One whose document is gone
allows nothing: a limit that cannot be read must not be none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain import policies
from moorage.domain.errors import EntityInUse
from moorage.domain.managed import MANAGED
from moorage.registry.tables import policies as policies_table
from moorage.registry.tables import roles, users

if TYPE_CHECKING:
    from moorage.registry.core import Context

_NOTHING: Final = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'


def of(table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition under which a row of ``policies`` is the boundary of a row of ``users`` or ``roles``."""
    return sa.and_(policies_table.c.account_id == table.c.account_id, policies_table.c.name == table.c.boundary)


def compiled(name: str | None, document: str | None) -> policies.Policy | None:
    """Return the boundary of that name; ``document`` is the account's own policy of the name, if there is one."""
    return None if name is None else _compiled(document or MANAGED.get(name, _NOTHING), name)


@lru_cache(maxsize=256)
def _compiled(document: str, name: str) -> policies.Policy:
    return policies.parse(document, policies.Kind.IDENTITY, name=name)


def require_unused(ctx: Context, policy: str) -> None:
    """Raise `EntityInUse` if the policy is the boundary of a user or role of the account."""
    for kind, table in (("user", users), ("role", roles)):
        bounded = sa.select(table.c.name).where(table.c.account_id == ctx.registry_id, table.c.boundary == policy)
        name = ctx.tx.execute(bounded.limit(1)).scalar()
        if name is not None:
            raise EntityInUse(policy=policy, holder=f"{kind} {name}")
