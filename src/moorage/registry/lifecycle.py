"""Lifecycle policies of repositories: kept, and the snapshot of images that they are applied to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain import lifecycle
from moorage.domain.errors import InvalidParameter, LifecyclePolicyNotFound
from moorage.registry import archive, repositories
from moorage.registry.tables import archivals, edges, lifecycle_policies, manifests, pulls, tags
from moorage.registry.tables import repositories as repositories_table
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

_FIRST: Final = timedelta(minutes=5)
"""Between the setting of a policy and its first run."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A repository's lifecycle policy."""

    text: str
    evaluated_at: datetime | None
    """When it was last carried out; None if it has not been yet."""


def checked(text: str) -> str:
    """Return a policy's text as it is kept; raise `InvalidParameter` with what is wrong with it."""
    try:
        lifecycle.parse(text)
    except lifecycle.LifecyclePolicyError as problem:
        raise InvalidParameter("LifecyclePolicyText", str(problem)) from None
    return lifecycle.compact(text)


def put(ctx: Context, repository: Repository, text: str) -> str:
    """
    Set the policy of a repository and return its text as kept; raises `InvalidParameter`.

    It is first carried out a few minutes later, so that there is time to take it back.
    """
    kept = checked(text)
    repositories.lock(ctx, repository)
    due_at = ctx.now + min(_FIRST, timedelta(minutes=ctx.settings.lifecycle_interval_minutes))
    values = {"repository_id": repository.id, "text": kept, "evaluated_at": None, "due_at": due_at}
    insert_or_update(ctx.tx, lifecycle_policies, values, key=["repository_id"])
    return kept


def get(ctx: Context, repository: Repository) -> Stored:
    """Return the policy of a repository; raise `LifecyclePolicyNotFound`."""
    row = ctx.tx.execute(
        sa.select(lifecycle_policies.c.text, lifecycle_policies.c.evaluated_at).where(
            lifecycle_policies.c.repository_id == repository.id
        )
    ).first()
    if row is None:
        raise LifecyclePolicyNotFound(name=repository.name, registry_id=repository.registry_id)
    return Stored(row.text, row.evaluated_at)


def delete(ctx: Context, repository: Repository) -> Stored:
    """Remove the policy of a repository and return it: nothing more expires. Raises `LifecyclePolicyNotFound`."""
    repositories.lock(ctx, repository)
    stored = get(ctx, repository)
    ctx.tx.execute(sa.delete(lifecycle_policies).where(lifecycle_policies.c.repository_id == repository.id))
    return stored


@dataclass(frozen=True, slots=True)
class Due:
    """A policy whose time to be carried out has come, and whose it is."""

    repository_id: str
    account_id: str
    region: str
    name: str
    text: str


def due(ctx: Context, now: datetime, limit: int) -> list[Due]:
    """Return policies of all registries that are due, the longest due first."""
    rows = ctx.tx.execute(
        sa.select(
            lifecycle_policies.c.repository_id,
            repositories_table.c.account_id,
            repositories_table.c.region,
            repositories_table.c.name,
            lifecycle_policies.c.text,
        )
        .join_from(
            lifecycle_policies, repositories_table, repositories_table.c.id == lifecycle_policies.c.repository_id
        )
        .where(lifecycle_policies.c.due_at <= now)
        .order_by(lifecycle_policies.c.due_at, lifecycle_policies.c.repository_id)
        .limit(limit)
    )
    return [Due(*row) for row in rows]


def due_now(ctx: Context, repository: Repository) -> Due:
    """Return the policy of a repository as if it were due; raise `LifecyclePolicyNotFound`."""
    text = get(ctx, repository).text
    return Due(repository.id, repository.registry_id, repository.region, repository.name, text)


def _is(policy: Due) -> sa.ColumnElement[bool]:
    return sa.and_(lifecycle_policies.c.repository_id == policy.repository_id, lifecycle_policies.c.text == policy.text)


def is_current(ctx: Context, policy: Due) -> bool:
    """Tell whether the repository still has this very policy."""
    return ctx.tx.execute(sa.select(sa.literal(1)).where(_is(policy))).first() is not None


def evaluated(ctx: Context, policy: Due, interval: timedelta) -> None:
    """Note that a policy has been carried out, and when it is due again (unless it is another one by now)."""
    values = {"evaluated_at": ctx.now, "due_at": ctx.now + interval}
    ctx.tx.execute(sa.update(lifecycle_policies).where(_is(policy)).values(values))


def select(ctx: Context, repository: Repository, text: str) -> list[tuple[lifecycle.Image, lifecycle.Rule]]:
    """Return the images that a policy acts on now, each with its rule."""
    return lifecycle.select(lifecycle.parse(text), snapshot(ctx, repository), ctx.now)


def snapshot(ctx: Context, repository: Repository) -> list[lifecycle.Image]:
    """Return all images of a repository as lifecycle rules see them."""
    named = _tags(ctx, repository)
    children = _children(ctx, repository)
    subjects = manifests.alias("subjects")
    with_subject = sa.and_(
        subjects.c.repository_id == manifests.c.repository_id, subjects.c.digest == manifests.c.subject
    )
    rows = ctx.tx.execute(
        sa.select(
            manifests.c.digest,
            manifests.c.pushed_at,
            pulls.c.pulled_at,
            archivals.c.status,
            archivals.c.archived_at,
            archivals.c.activated_at,
            subjects.c.digest.label("stored_subject"),
        )
        .select_from(
            manifests.outerjoin(subjects, with_subject)
            .outerjoin(archivals, _same_image(archivals))
            .outerjoin(pulls, _same_image(pulls))
        )
        .where(manifests.c.repository_id == repository.id)
        .execution_options(yield_per=1000)
    )
    return [
        lifecycle.Image(
            digest=row.digest,
            tags=named.get(row.digest, ()),
            pushed_at=row.pushed_at,
            pulled_at=row.pulled_at,
            archived_at=row.archived_at,
            activated_at=row.activated_at,
            storage=_STORAGE.get(row.status or archive.ACTIVE),
            in_index=row.digest in children,
            follows=row.stored_subject is not None,
        )
        for row in rows
    ]


_STORAGE: Final = {archive.ACTIVE: lifecycle.StorageClass.STANDARD, archive.ARCHIVED: lifecycle.StorageClass.ARCHIVE}


def _same_image(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.repository_id == manifests.c.repository_id, table.c.digest == manifests.c.digest)


def _tags(ctx: Context, repository: Repository) -> dict[str, list[str]]:
    named: dict[str, list[str]] = defaultdict(list)
    rows = sa.select(tags.c.digest, tags.c.name).where(tags.c.repository_id == repository.id).order_by(tags.c.name)
    for digest, name in ctx.tx.execute(rows):
        named[digest].append(name)
    return named


def _children(ctx: Context, repository: Repository) -> set[str]:
    named = sa.select(edges.c.child).where(edges.c.repository_id == repository.id, edges.c.kind == "image").distinct()
    return set(ctx.tx.execute(named).scalars())
