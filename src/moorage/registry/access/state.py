"""From rows to declarations: what there is of an account."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.registry.access.model import GROUP, OIDC, POLICY, ROLE, USER, Thing
from moorage.registry.tables import attachments, groups, memberships, oidc_providers, policies, roles, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.core import Context


def state(ctx: Context) -> dict[tuple[str, str], Thing]:
    """Return all that can be declared of the addressed account, with all its fields."""
    return {(thing.kind, thing.name): thing for thing in _things(ctx)}


def _things(ctx: Context) -> Iterator[Thing]:
    attached: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in _rows(ctx, attachments):
        attached[row.kind, row.name].append(row.policy)
    member: defaultdict[str, list[str]] = defaultdict(list)
    for row in _rows(ctx, memberships):
        member[row.user_name].append(row.group_name)
    for row in _rows(ctx, policies):
        yield Thing(POLICY, row.name, {"document": json.loads(row.document)}, {"document": row.document})
    for row in _rows(ctx, groups):
        yield Thing(GROUP, row.name, {"policies": sorted(attached[GROUP, row.name])})
    for row in _rows(ctx, users):
        own: dict[str, Any] = {"groups": sorted(member[row.name]), "policies": sorted(attached[USER, row.name])}
        yield Thing(USER, row.name, own | {"boundary": row.boundary, "tags": row.tags})
    for row in _rows(ctx, roles):
        own = {"trust": json.loads(row.trust), "max_session": row.max_session}
        rest = {"policies": sorted(attached[ROLE, row.name]), "boundary": row.boundary}
        yield Thing(ROLE, row.name, {**own, **rest}, {"trust": row.trust})
    for row in _rows(ctx, oidc_providers):
        keys = None if row.keys is None else json.loads(row.keys)
        own = {"audiences": sorted(row.audiences), "keys": keys, "keys_url": row.keys_url}
        yield Thing(OIDC, row.issuer, own, {} if row.keys is None else {"keys": row.keys})


def _rows(ctx: Context, table: sa.Table) -> list[Any]:
    mine = sa.select(table).where(table.c.account_id == ctx.registry_id)
    return list(ctx.tx.execute(mine.order_by(*table.primary_key.columns)).all())
