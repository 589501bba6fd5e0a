"""Deleted images: listed, and restored as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from moorage.domain import manifests as documents
from moorage.domain.errors import DeletedImageNotFound
from moorage.domain.names import Digest, Tag
from moorage.registry import images, repositories
from moorage.registry.tables import deleted_images, manifests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.manifests import Manifest
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@dataclass(frozen=True, slots=True)
class DeletedImage:
    """An image that can be restored."""

    digest: Digest
    media_type: str
    tags: Sequence[str]
    """As they were when it was deleted."""
    size: int
    """Bytes of the manifest."""
    pushed_at: datetime
    deleted_at: datetime
    deleted_by: str
    """The ARN of who deleted it."""
    expires_at: datetime
    """Until when it can be restored."""


class Restored(NamedTuple):
    """What came back."""

    digest: Digest
    tags: list[str]
    taken: list[str]
    """Tags that it had and that stand on other images by now; they stay there."""


def _of(ctx: Context, repository: Repository) -> sa.ColumnElement[bool]:
    return sa.and_(deleted_images.c.repository_id == repository.id, deleted_images.c.expires_at > ctx.now)


def page(ctx: Context, repository: Repository, *, after: str = "", limit: int = 1000) -> list[DeletedImage]:
    """Return images that can be restored, by digest, from behind ``after``."""
    kept = deleted_images.c
    columns = kept.digest, kept.media_type, kept.tags, sa.func.length(kept.body)
    times = kept.pushed_at, kept.deleted_at, kept.deleted_by, kept.expires_at
    rows = sa.select(*columns, *times).where(_of(ctx, repository), kept.digest > after)
    found = ctx.tx.execute(rows.order_by(kept.digest).limit(limit))
    return [DeletedImage(Digest(row[0]), row[1], sorted(row[2]), *row[3:]) for row in found]


def restore(ctx: Context, repository: Repository, digest: Digest) -> list[Restored]:
    """
    Bring a deleted image back, with its digest, its tags as far as they are free, and its age.

    An index brings the deleted images that it names along, which come first
    in the answer, and any image what was deleted with it because it referred
    to it. Raises `DeletedImageNotFound` if it was never deleted or that
    is too long ago, and what `images.put` raises.
    """
    repositories.lock(ctx, repository)
    row = _row(ctx, repository, digest)
    if row is None:
        raise DeletedImageNotFound(digest=digest, name=repository.name, registry_id=repository.registry_id)
    manifest = documents.parse(row.body, row.media_type)
    restored: list[Restored] = []
    for child in manifest.required_images:
        if not images.exists(ctx, repository, child) and _row(ctx, repository, child) is not None:
            restored += restore(ctx, repository, child)
    restored.append(_put_back(ctx, repository, row, manifest))
    followed = sa.select(deleted_images.c.digest).where(
        _of(ctx, repository), deleted_images.c.subject == digest, deleted_images.c.deleted_at == row.deleted_at
    )
    for follower in ctx.tx.execute(followed.order_by(deleted_images.c.digest)).scalars().all():
        restored += restore(ctx, repository, Digest(follower))
    return restored


def _row(ctx: Context, repository: Repository, digest: str) -> Any:
    named = sa.select(deleted_images).where(_of(ctx, repository), deleted_images.c.digest == digest)
    return ctx.tx.execute(named).first()


def _put_back(ctx: Context, repository: Repository, row: Any, manifest: Manifest) -> Restored:
    digest = Digest(row.digest)
    was_there = images.exists(ctx, repository, digest)
    free = [tag for tag in sorted(row.tags) if images.digest_of_tag(ctx, repository, tag) in {None, digest}]
    images.put(ctx, repository, manifest, tags=[Tag(tag) for tag in free], digest=digest)
    this = sa.and_(manifests.c.repository_id == repository.id, manifests.c.digest == digest)
    if not was_there:
        ctx.tx.execute(sa.update(manifests).where(this).values(pushed_at=row.pushed_at))
    ctx.tx.execute(
        sa.delete(deleted_images).where(
            deleted_images.c.repository_id == repository.id, deleted_images.c.digest == digest
        )
    )
    return Restored(digest, free, [tag for tag in sorted(row.tags) if tag not in free])


def purge(ctx: Context, now: datetime, limit: int) -> int:
    """Forget images that can no longer be restored; return how many."""
    kept = deleted_images.c
    ended = sa.select(kept.repository_id, kept.digest).where(kept.expires_at <= now).order_by(kept.expires_at)
    rows = ctx.tx.execute(ended.limit(limit)).all()
    for row in rows:
        this = sa.and_(kept.repository_id == row.repository_id, kept.digest == row.digest, kept.expires_at <= now)
        ctx.tx.execute(sa.delete(deleted_images).where(this))
    return len(rows)
