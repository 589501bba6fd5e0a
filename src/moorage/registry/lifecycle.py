"""Lifecycle policies of repositories: kept, and the snapshot of images that they are applied to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.domain import lifecycle
from moorage.domain.errors import InvalidParameter, LifecyclePolicyNotFound
from moorage.registry import repositories
from moorage.registry.tables import edges, lifecycle_policies, manifests, tags
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


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
    """Set the policy of a repository and return its text as kept; it is due at once. Raises `InvalidParameter`."""
    kept = checked(text)
    repositories.lock(ctx, repository)
    values = {"repository_id": repository.id, "text": kept, "evaluated_at": None, "due_at": ctx.now}
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


def snapshot(ctx: Context, repository: Repository) -> list[lifecycle.Image]:
    """Return all images of a repository as lifecycle rules see them."""
    named = _tags(ctx, repository)
    children = _children(ctx, repository)
    subjects = manifests.alias("subjects")
    with_subject = sa.and_(
        subjects.c.repository_id == manifests.c.repository_id, subjects.c.digest == manifests.c.subject
    )
    rows = ctx.tx.execute(
        sa.select(manifests.c.digest, manifests.c.pushed_at, subjects.c.digest.label("stored_subject"))
        .join_from(manifests, subjects, with_subject, isouter=True)
        .where(manifests.c.repository_id == repository.id)
        .execution_options(yield_per=1000)
    )
    return [
        lifecycle.Image(
            digest=row.digest,
            tags=named.get(row.digest, ()),
            pushed_at=row.pushed_at,
            in_index=row.digest in children,
            follows=row.stored_subject is not None,
        )
        for row in rows
    ]


def _tags(ctx: Context, repository: Repository) -> dict[str, list[str]]:
    named: dict[str, list[str]] = defaultdict(list)
    rows = sa.select(tags.c.digest, tags.c.name).where(tags.c.repository_id == repository.id).order_by(tags.c.name)
    for digest, name in ctx.tx.execute(rows):
        named[digest].append(name)
    return named


def _children(ctx: Context, repository: Repository) -> set[str]:
    named = sa.select(edges.c.child).where(edges.c.repository_id == repository.id, edges.c.kind == "image").distinct()
    return set(ctx.tx.execute(named).scalars())
