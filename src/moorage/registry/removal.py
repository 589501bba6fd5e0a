"""Images leave a repository: one way, whoever deletes them. They are kept for a while as they were."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.registry import collection, usage
from moorage.registry.among import among
from moorage.registry.tables import Instant, deleted_images, manifests, tags

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
    mine = _these(ctx, tags, repository, digests)
    # By digest first: in the order of names alone, SQLite walks through all tags of the repository.
    named = sa.select(tags.c.digest, tags.c.name).where(mine).order_by(tags.c.digest, tags.c.name)
    for digest, name in ctx.tx.execute(named).all():  # at once: one by one costs more than to find them
        names[digest].append(name)
    return names


def remove(ctx: Context, repository: Repository, digests: Collection[str]) -> None:
    """
    Delete images with all their tags, however many they are.

    The caller has the repository's lock, and has seen that the images are
    there and that nothing needs them. Their layers are looked at when they
    can no longer be restored.
    """
    if not digests:
        return
    due_at = ctx.now + max(window(ctx), collection.grace(ctx))
    if window(ctx):
        _keep(ctx, repository, digests)
    collection.loosen_layers(ctx, repository.id, digests, due_at)
    usage.release_images(ctx.tx, repository.id, digests)
    ctx.tx.execute(sa.delete(manifests).where(_these(ctx, manifests, repository, digests)))


def _these(ctx: Context, table: sa.Table, repository: Repository, digests: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.repository_id == repository.id, among(ctx.tx, table.c.digest, digests))


def _keep(ctx: Context, repository: Repository, digests: Collection[str]) -> None:
    # Deleted before, pushed again, and deleted now: the later one counts.
    ctx.tx.execute(sa.delete(deleted_images).where(_these(ctx, deleted_images, repository, digests)))
    values = {
        "repository_id": manifests.c.repository_id,
        "digest": manifests.c.digest,
        "media_type": manifests.c.media_type,
        "subject": manifests.c.subject,
        "tags": _names(ctx.tx),
        "pushed_at": manifests.c.pushed_at,
        "deleted_at": sa.literal(ctx.now, Instant),
        "deleted_by": sa.literal(ctx.principal.arn),
        "expires_at": sa.literal(ctx.now + window(ctx), Instant),
        "body": manifests.c.body,
    }
    # From table to table: a body is not carried through the program.
    going = sa.select(*values.values()).where(_these(ctx, manifests, repository, digests))
    ctx.tx.execute(sa.insert(deleted_images).from_select(list(values), going))


def _names(tx: sa.Connection) -> sa.ColumnElement[Any]:
    """Return what gathers the tags of a row of manifests into JSON, in any order."""
    gather = sa.func.json_agg if tx.dialect.name == "postgresql" else sa.func.json_group_array
    mine = sa.and_(tags.c.repository_id == manifests.c.repository_id, tags.c.digest == manifests.c.digest)
    gathered = sa.select(gather(tags.c.name)).where(mine).correlate(manifests).scalar_subquery()
    return sa.func.coalesce(gathered, sa.literal_column("'[]'"))
