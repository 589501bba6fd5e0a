"""Images leave a repository: one way, whoever deletes them. They are kept for a while as they were."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.registry import collection, usage
from moorage.registry.tables import deleted_images, manifests, tags

if TYPE_CHECKING:
    from collections.abc import Collection

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


def window(ctx: Context) -> timedelta:
    """Return for how long a deleted image can be restored."""
    return timedelta(hours=ctx.settings.undelete_hours)


def tags_of(ctx: Context, repository: Repository, digests: Collection[str]) -> dict[str, list[str]]:
    """Return the tags of images, each image's in order; none is an empty list."""
    names: dict[str, list[str]] = {digest: [] for digest in digests}
    mine = sa.and_(tags.c.repository_id == repository.id, tags.c.digest.in_(digests))
    for digest, name in ctx.tx.execute(sa.select(tags.c.digest, tags.c.name).where(mine).order_by(tags.c.name)):
        names[digest].append(name)
    return names


def remove(ctx: Context, repository: Repository, digests: Collection[str]) -> dict[str, list[str]]:
    """
    Delete images with all their tags, and return the tags by digest.

    The caller has the repository's lock, and has seen that the images are
    there and that nothing needs them. Their layers are looked at when they
    can no longer be restored.
    """
    names = tags_of(ctx, repository, digests)
    if window(ctx):
        _keep(ctx, repository, digests, names)
    due_at = ctx.now + max(window(ctx), collection.grace(ctx))
    collection.loosen_layers(ctx, repository.id, digests, due_at)
    usage.release_images(ctx.tx, repository.id, digests)
    ctx.tx.execute(
        sa.delete(manifests).where(manifests.c.repository_id == repository.id, manifests.c.digest.in_(digests))
    )
    return names


def _keep(ctx: Context, repository: Repository, digests: Collection[str], names: dict[str, list[str]]) -> None:
    kept = deleted_images.c
    of_repository = sa.and_(kept.repository_id == repository.id, kept.digest.in_(digests))
    # Deleted before, pushed again, and deleted now: the later one counts.
    ctx.tx.execute(sa.delete(deleted_images).where(of_repository))
    found = ctx.tx.execute(
        sa.select(
            manifests.c.digest, manifests.c.media_type, manifests.c.subject, manifests.c.pushed_at, manifests.c.body
        ).where(manifests.c.repository_id == repository.id, manifests.c.digest.in_(digests))
    )
    rows = [
        {
            "repository_id": repository.id,
            **row._mapping,  # noqa: SLF001 (public in spite of its name)
            "tags": names[row.digest],
            "deleted_at": ctx.now,
            "deleted_by": ctx.principal.arn,
            "expires_at": ctx.now + window(ctx),
        }
        for row in found
    ]
    if rows:
        ctx.tx.execute(sa.insert(deleted_images), rows)
