"""Policies of resources before they are stored: that they are well formed, and that whom they name is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter
from moorage.registry import accounts
from moorage.registry.tables import roles, users

if TYPE_CHECKING:
    from moorage.registry.core import Context

_PRINCIPAL: Final = re.compile(r"(?:arn:aws[a-z-]*:(?:iam|sts)::)?([0-9]{12})(?::root|:(user|role|assumed-role)/(.+))?")


def policy(ctx: Context, text: str, kind: policies.Kind, field: str) -> policies.Policy:
    """Return a policy of a resource, compiled; refuse one that is malformed, or that names who is not there."""
    try:
        found = policies.parse(text, kind)
    except policies.PolicyError:
        raise InvalidParameter(field, f"Invalid {kind.value} provided") from None
    if not all(principal(ctx, named) for named in policies.principals(found)):
        raise InvalidParameter(field, "Principal not found")
    return found


def principal(ctx: Context, named: str) -> bool:
    """
    Tell whether an AWS principal is there, in any form that a policy may name it.

    With ``--dev``, where credentials are not looked at, everybody is.
    """
    match = _PRINCIPAL.fullmatch(named)
    if ctx.settings.dev or match is None:
        return ctx.settings.dev
    account, kind, name = match.groups()
    if kind is None:
        return accounts.exists(ctx.tx, account)
    table, name = (users, name) if kind == "user" else (roles, name.partition("/")[0] if kind != "role" else name)
    return _there(ctx, sa.select(table.c.name).where(table.c.account_id == account, table.c.name == name))


def _there(ctx: Context, rows: sa.Select[tuple[str]]) -> bool:
    return ctx.tx.execute(rows.limit(1)).first() is not None
