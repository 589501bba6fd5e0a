"""
The catalog: a registry's repositories in order, of those that the caller may describe.

The caller may list the registry; a repository that is denied them is left out
of it, and is not named by a token either. Access is decided once for all
repositories that the policies at hand cannot tell apart, which are most.
"""

from __future__ import annotations

import json
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import sqlalchemy as sa

from moorage.domain import policies
from moorage.domain.names import RepositoryName, repository_arn
from moorage.registry import paging, registries
from moorage.registry.auth import Need, allows
from moorage.registry.prepared import Prepared
from moorage.registry.repositories import Repository, compiled
from moorage.registry.tables import at, repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.registries import Rules

    _Marks: TypeAlias = tuple[Callable[[str], bool], ...] | None

_ACTION: Final = "ecr:DescribeRepositories"


class Listed(NamedTuple):
    """What a list tells of a repository."""

    registry_id: str
    name: str
    arn: str
    created_at: datetime
    tag_mutability: str
    mutability_filters: tuple[str, ...]
    scan_on_push: bool


# JSON as its text, which is compared and rarely needed.
_SEEN: Final = (
    repositories.c.name,
    repositories.c.policy,
    sa.cast(repositories.c.resource_tags, sa.Text).label("tags"),
)
_WHOLE: Final = (
    *_SEEN,
    repositories.c.id,
    # As it is stored: a page has a thousand.
    sa.type_coerce(repositories.c.created_at, sa.BigInteger).label("created_at"),
    repositories.c.tag_mutability,
    sa.cast(repositories.c.mutability_filters, sa.Text).label("filters"),
    repositories.c.scan_on_push,
)


def _after(columns: Sequence[sa.ColumnElement[Any]]) -> Prepared:
    return Prepared(
        sa.select(*columns)
        .where(
            repositories.c.account_id == sa.bindparam("account"),
            repositories.c.region == sa.bindparam("in_region"),
            repositories.c.name > sa.bindparam("after"),
        )
        .order_by(repositories.c.name)
        .limit(sa.bindparam("count"))
    )


_NAMES: Final = _after(_SEEN)
_PAGE: Final = _after(_WHOLE)


def names(ctx: Context, *, limit: int, after: str) -> list[str]:
    """Return the names that follow one, ``limit`` of them if there are so many."""
    return [row.name for row in _visible(ctx, _NAMES, limit, after)[:limit]]


def page(ctx: Context, *, limit: int | None, next_token: str | None) -> paging.Page[Listed]:
    """Return the next repositories of the registry, by name."""
    count, position = limit or paging.DEFAULT_PAGE, paging.position(ctx, "repositories", next_token)
    rows = _visible(ctx, _PAGE, count + 1, position[0] if position else "")
    account, prefix = ctx.registry_id, repository_arn(ctx.region, ctx.registry_id, "")
    shown = [
        Listed(account, name, prefix + name, at(created_at), mode, _texts(filters), scan_on_push)
        for name, _, _, _, created_at, mode, filters, scan_on_push in rows[:count]
    ]
    return paging.Page(
        shown, paging.token(ctx, "repositories", [shown[-1].name]) if len(rows) > count and shown else None
    )


def following(ctx: Context, *, limit: int, after: str) -> list[Repository]:
    """Return the repositories whose names follow one, ``limit`` of them if there are so many."""
    return [_repository(ctx, row) for row in _visible(ctx, _PAGE, limit, after)[:limit]]


def _visible(ctx: Context, statement: Prepared, count: int, after: str) -> list[Any]:
    """Return rows that the caller may see: at least ``count``, or all that there are."""
    sight, rows, more = _Sight(ctx, registries.rules(ctx)), list[Any](), True
    given = {"account": ctx.registry_id, "in_region": ctx.region, "count": count}
    while more and len(rows) < count:
        found = statement.all(ctx.tx, {**given, "after": after})
        rows += [row for row in found if sight.shows(row.name, row.policy, row.tags)]
        more = len(found) == count > 0
        after = found[-1].name if found else after
    return rows


def _repository(ctx: Context, row: Any) -> Repository:
    return Repository(
        id=row.id,
        registry_id=ctx.registry_id,
        region=ctx.region,
        name=RepositoryName(row.name),
        created_at=at(row.created_at),
        tag_mutability=row.tag_mutability,
        mutability_filters=_texts(row.filters),
        tags=_tags(row.tags),
        policy_text=row.policy,
        scan_on_push=row.scan_on_push,
    )


class _Sight:
    """What the caller may describe: asked once for all repositories that the policies cannot tell apart."""

    def __init__(self, ctx: Context, rules: Rules) -> None:
        self._ctx = ctx
        self._rules = rules
        bearing = (*ctx.identity.policies, ctx.identity.boundary, ctx.identity.limit, rules.policy_for(_ACTION))
        self._policies = [policy for policy in bearing if policy is not None]
        self._prefix = repository_arn(ctx.region, ctx.registry_id, "")
        self._is_own = ctx.principal.account == ctx.registry_id
        self._marks: dict[str | None, _Marks] = {}
        self._known: dict[tuple[object, ...], bool] = {}

    def shows(self, name: str, policy: str | None, tags: str) -> bool:
        """Whether the caller may describe a repository."""
        # Within an account a policy of the repository that only allows takes nothing away: it need not be read.
        spared = policy is not None and self._is_own and not _may_deny(policy)
        return (spared and self._shows(name, None, tags)) or self._shows(name, policy, tags)

    def _shows(self, name: str, text: str | None, tags: str) -> bool:
        if text not in self._marks:
            added = [] if text is None else [compiled(text)]
            self._marks[text] = policies.marks([*self._policies, *added], _ACTION)
        marks = self._marks[text]
        if marks is None:
            return self._asked(name, text, tags)
        arn = self._prefix + name
        alike = (text, tags, *[mark(arn) for mark in marks])
        known = self._known.get(alike)
        if known is None:
            known = self._known[alike] = self._asked(name, text, tags)
        return known

    def _asked(self, name: str, text: str | None, tags: str) -> bool:
        policy = None if text is None else compiled(text)
        return allows(self._ctx, Need(_ACTION, self._prefix + name, policy, _tags(tags), rules=self._rules))


def _may_deny(text: str) -> bool:
    """Whether a policy may have a Deny in it: one without the word has none, unless the word is escaped."""
    return "Deny" in text or "\\" in text


@lru_cache(maxsize=1024)
def _tags(text: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(text))


@lru_cache(maxsize=256)
def _texts(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
