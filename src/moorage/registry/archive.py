"""
The archive: images that are kept, and cannot be pulled until they are restored.

An image is not archived alone. What refers to it as its subject goes with it,
and of an index those images that no other index which is in use names and no
tag. In the same way they come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.domain.errors import ImageStorageClassUpdateNotSupported
from moorage.registry import repositories, usage
from moorage.registry.tables import archivals, edges, manifests
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

ACTIVE: Final = "ACTIVE"
ARCHIVED: Final = "ARCHIVED"


def has_status(table: Any, status: str) -> sa.ColumnElement[bool]:
    """Return the condition that the image of a row of ``table`` (its repository and digest) has a status."""
    same = (archivals.c.repository_id == table.c.repository_id, archivals.c.digest == table.c.digest)
    if status == ACTIVE:
        return ~sa.exists().where(*same, archivals.c.status != ACTIVE).correlate(table)
    return sa.exists().where(*same, archivals.c.status == status).correlate(table)


_STATUS = sa.select(archivals.c.status).where(
    archivals.c.repository_id == sa.bindparam("repository"), archivals.c.digest == sa.bindparam("wanted")
)


def status(ctx: Context, repository: Repository, digest: str) -> str:
    """Return the status of an image."""
    found: str | None = ctx.tx.execute(_STATUS, {"repository": repository.id, "wanted": digest}).scalar()
    return found or ACTIVE


def archive(ctx: Context, repository: Repository, digest: str) -> None:
    """
    Archive an image of the repository and what goes with it.

    Raises `ImageStorageClassUpdateNotSupported` for what is archived already,
    or only goes with another image.
    """
    repositories.lock(ctx, repository)
    if status(ctx, repository, digest) == ARCHIVED:
        raise ImageStorageClassUpdateNotSupported(digest=digest, reason="it is archived already")
    _require_independent(ctx, repository, digest, of=ACTIVE)
    gone = _with_followers(ctx, repository, digest)
    for one in gone:
        values = {"repository_id": repository.id, "digest": one, "status": ARCHIVED, "archived_at": ctx.now}
        insert_or_update(ctx.tx, archivals, values, key=["repository_id", "digest"])
    usage.archived(ctx, repository, len(gone))


def restore(ctx: Context, repository: Repository, digest: str) -> None:
    """
    Take an image and what went with it back into use.

    Raises `ImageStorageClassUpdateNotSupported` for what is in use, or only
    comes back with another image.
    """
    repositories.lock(ctx, repository)
    if status(ctx, repository, digest) == ACTIVE:
        raise ImageStorageClassUpdateNotSupported(digest=digest, reason="it is not archived")
    _require_independent(ctx, repository, digest, of=ARCHIVED)
    revive(ctx, repository, digest)


def revive(ctx: Context, repository: Repository, digest: str) -> None:
    """Take an image back into use, whatever it goes with otherwise: somebody has pushed it again."""
    back = sa.update(archivals).where(
        archivals.c.repository_id == repository.id, archivals.c.digest == sa.bindparam("wanted")
    )
    if rows := [{"wanted": one} for one in _archived_with(ctx, repository, digest)]:
        ctx.tx.execute(back.values(status=ACTIVE, activated_at=ctx.now), rows)
        usage.add(ctx, repository, images=len(rows), size=0)


def _require_independent(ctx: Context, repository: Repository, digest: str, of: str) -> None:
    """Raise unless neither a subject nor an index of that status takes the image with it."""
    subjects = manifests.alias()
    subject = (
        sa.select(sa.literal(1))
        .join_from(manifests, subjects, _is(subjects, repository, manifests.c.subject))
        .where(_is(manifests, repository, digest))
    )
    if ctx.tx.execute(subject).first() is not None:
        raise ImageStorageClassUpdateNotSupported(digest=digest, reason="it goes with the image that it refers to")
    if any(status(ctx, repository, parent) == of for parent in _parents(ctx, repository, digest)):
        raise ImageStorageClassUpdateNotSupported(digest=digest, reason="it goes with the index that names it")


def _is(table: Any, repository: Repository, digest: Any) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.repository_id == repository.id, table.c.digest == digest)


def _with_followers(ctx: Context, repository: Repository, digest: str) -> list[str]:
    """Return an image and what goes into the archive with it, each after what it follows."""
    gone = {digest: None}
    waiting = [digest]
    while waiting:
        one = waiting.pop()
        children = [c for c in _children(ctx, repository, one) if not _is_tagged(ctx, repository, c)]
        for follower in [*referrers_of(ctx, repository, one), *children]:
            if follower not in gone and not _is_named(ctx, repository, follower, gone):
                gone[follower] = None
                waiting.append(follower)
    return [one for one in gone if status(ctx, repository, one) == ACTIVE]


def _archived_with(ctx: Context, repository: Repository, digest: str) -> list[str]:
    """Return those archived of an image, its children and what refers to any of them."""
    found: dict[str, None] = {}
    waiting = [digest]
    while waiting:
        one = waiting.pop()
        if one not in found and status(ctx, repository, one) == ARCHIVED:
            found[one] = None
            waiting += [*_children(ctx, repository, one), *referrers_of(ctx, repository, one)]
    return list(found)


def referrers_of(ctx: Context, repository: Repository, digest: str) -> list[str]:
    """Return the digests of all that refers to an image as its subject."""
    found = sa.select(manifests.c.digest).where(
        manifests.c.repository_id == repository.id, manifests.c.subject == digest
    )
    return list(ctx.tx.execute(found).scalars())


def _children(ctx: Context, repository: Repository, digest: str) -> list[str]:
    found = sa.select(edges.c.child).where(
        edges.c.repository_id == repository.id, edges.c.parent == digest, edges.c.kind == "image"
    )
    return list(ctx.tx.execute(found).scalars())


def _parents(ctx: Context, repository: Repository, digest: str) -> set[str]:
    found = sa.select(edges.c.parent).where(
        edges.c.repository_id == repository.id, edges.c.child == digest, edges.c.kind == "image"
    )
    return set(ctx.tx.execute(found).scalars())


def _is_tagged(ctx: Context, repository: Repository, digest: str) -> bool:
    return bool(ctx.tx.execute(sa.select(manifests.c.tagged).where(_is(manifests, repository, digest))).scalar())


def _is_named(ctx: Context, repository: Repository, digest: str, gone: Iterable[str]) -> bool:
    """Tell whether an index that stays in use names an image."""
    others = _parents(ctx, repository, digest).difference(gone)
    return any(status(ctx, repository, parent) == ACTIVE for parent in others)
