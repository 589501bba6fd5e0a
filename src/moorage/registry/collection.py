"""
What nothing needs any more: noted when that comes about, looked at again after a while, then taken away.

Nobody ever walks over the store. Three queues, each filled in the transaction
that makes its rows true:

* loose layers: a layer is new in a repository, or an image that needed it has
  gone. When its time has come and no image of the repository needs it, the
  repository loses it;
* loose blobs: somebody has taken a layer from a repository. When no repository
  has it, the blob's row goes, and its bytes are condemned. Of a layer whose time
  has come this is decided in the same transaction;
* condemned bytes: no row refers to them, so that nobody can be given them any
  more. They are deleted in batches.

Each look is taken under the lock that a push takes too (the repository's, then
the blob's), so a push that needs what is loose finds it or uploads it again,
and never ends up with an image that lacks a layer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.registry import usage
from moorage.registry.among import among
from moorage.registry.prepared import Prepared
from moorage.registry.tables import (
    Instant,
    blobs,
    condemned,
    edges,
    loose_blobs,
    loose_layers,
    repositories,
    repository_blobs,
    uploads,
)
from moorage.registry.upsert import insert_or_postpone, insert_or_postpone_one

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from moorage.registry.core import Context

READERS: Final = timedelta(hours=1)
"""Bytes outlive their row by this much at most, for downloads that have begun."""
CLAIM: Final = timedelta(minutes=10)
"""For so long nobody else deletes what somebody has set out to delete."""


def grace(ctx: Context) -> timedelta:
    """Return how long a layer may wait for the image that needs it."""
    return timedelta(minutes=ctx.settings.gc_grace_minutes)


def _at(when: datetime) -> sa.BindParameter[datetime]:
    return sa.literal(when, type_=Instant)


# --- Noted, in the transaction that makes it true --------------------------------


def loosen_link(ctx: Context, repository_id: str, digest: str, due_at: datetime | None = None) -> None:
    """
    Note that a layer has come to a repository, or is wanted there again, before the image that needs it.

    It is looked at when its grace has ended, or at ``due_at``; where that was noted before, at the later time.
    """
    row = {"repository_id": repository_id, "digest": digest, "due_at": due_at or ctx.now + grace(ctx)}
    insert_or_postpone_one(ctx.tx, loose_layers, row)


def loosen_layers(ctx: Context, repository_id: str, images: Collection[str], due_at: datetime) -> None:
    """Note that images of a repository are going, and look at their layers at ``due_at``."""
    # What is named more than once is found out here: for DISTINCT, SQLite walks through all edges of the repository.
    needed = sa.select(edges.c.child).where(
        edges.c.repository_id == repository_id, edges.c.kind == "layer", among(ctx.tx, edges.c.parent, images)
    )
    named = set(ctx.tx.execute(needed).scalars().all())
    layers = sa.select(repository_blobs.c.repository_id, repository_blobs.c.digest, _at(due_at).label("due_at"))
    here = layers.where(
        repository_blobs.c.repository_id == repository_id, among(ctx.tx, repository_blobs.c.digest, named)
    )
    insert_or_postpone(ctx.tx, loose_layers, here.order_by(repository_blobs.c.digest))


def loosen_blobs(ctx: Context, repository_id: str, digests: Collection[str] | None, due_at: datetime) -> None:
    """Note that a repository is losing layers (all, with None), and look at the blobs at ``due_at``."""
    lost = sa.select(repository_blobs.c.digest, _at(due_at).label("due_at")).where(
        repository_blobs.c.repository_id == repository_id
    )
    if digests is not None:
        lost = lost.where(repository_blobs.c.digest.in_(digests))
    insert_or_postpone(ctx.tx, loose_blobs, lost.order_by(repository_blobs.c.digest))


def condemn(ctx: Context, location: str, size: int, *, delay: timedelta = timedelta()) -> None:
    """Note that no row will refer to these bytes when the transaction has ended; they go after ``delay``."""
    _condemn(ctx, [Bytes("", location, size)], ctx.now + delay)


def _condemn(ctx: Context, gone: Iterable[Bytes], due_at: datetime) -> None:
    # Neighbours in the index, which then grows in one place: random ones would each touch a page of their own.
    batch = ctx.registry.new_id()[:24]
    rows = [
        {"id": f"{batch}{number:012x}", "location": one.location, "size": one.size, "due_at": due_at}
        for number, one in enumerate(gone)
    ]
    if rows:
        ctx.tx.execute(sa.insert(condemned), rows)


def condemn_uploads(ctx: Context, repository_id: str) -> None:
    """Note that all uploads to a repository are going."""
    lost = sa.select(sa.literal(""), uploads.c.location, uploads.c.offset).where(
        uploads.c.repository_id == repository_id
    )
    _condemn(ctx, [Bytes(*row) for row in ctx.tx.execute(lost)], ctx.now)


# --- Looked at again ---------------------------------------------------------------


class DueLayers(NamedTuple):
    """Loose layers of one repository whose time has come."""

    repository_id: str
    digests: list[str]


def due_layers(ctx: Context, now: datetime, limit: int) -> list[DueLayers]:
    """Return loose layers whose time has come, the longest due first, by repository."""
    rows = ctx.tx.execute(
        sa.select(loose_layers.c.repository_id, loose_layers.c.digest)
        .where(loose_layers.c.due_at <= now)
        .order_by(loose_layers.c.due_at)
        .limit(limit)
    )
    by_repository: dict[str, list[str]] = {}
    for repository_id, digest in rows:
        by_repository.setdefault(repository_id, []).append(digest)
    return [DueLayers(*item) for item in by_repository.items()]


class Settled(NamedTuple):
    """What came of a look at loose layers."""

    layers: int
    """Taken from their repositories."""
    blobs: int
    """Removed, because no repository has them any more."""


def settle(ctx: Context, due: Sequence[DueLayers], now: datetime) -> Settled:
    """Take from repositories those of the layers that no image needs, and remove the blobs that nobody has then."""
    lost = [digest for one in sorted(due) for digest in settle_layers(ctx, one, now)]
    # At once, and not by the queue: that would be two more writes for each.
    return Settled(len(lost), settle_blobs(ctx, lost) if lost else 0)


def settle_layers(ctx: Context, due: DueLayers, now: datetime) -> set[str]:
    """Take from a repository those of the layers that none of its images needs, and return them."""
    locked = sa.select(repositories.c.id).where(repositories.c.id == due.repository_id).with_for_update()
    if ctx.tx.execute(locked).first() is None:
        return set()
    tx, mine = ctx.tx, loose_layers.c.repository_id == due.repository_id
    still = sa.select(loose_layers.c.digest).where(
        mine, among(tx, loose_layers.c.digest, due.digests), loose_layers.c.due_at <= now
    )
    loose = set(tx.execute(still).scalars())
    needing = sa.select(edges.c.child).where(
        edges.c.repository_id == due.repository_id, among(tx, edges.c.child, loose), edges.c.kind == "layer"
    )
    needed = set(tx.execute(needing.distinct()).scalars())
    if needed:
        tx.execute(sa.delete(loose_layers).where(mine, among(tx, loose_layers.c.digest, needed)))
    _release(ctx, due.repository_id, loose - needed)
    return loose - needed


def unlink(ctx: Context, repository_id: str, digests: Collection[str], due_at: datetime) -> None:
    """Take layers away from a repository, and look at the blobs at ``due_at``. The caller has its lock."""
    loosen_blobs(ctx, repository_id, digests, due_at)
    _release(ctx, repository_id, digests)


def _release(ctx: Context, repository_id: str, digests: Collection[str]) -> None:
    if digests:
        usage.release_layers(ctx.tx, repository_id, digests)
        lost = among(ctx.tx, repository_blobs.c.digest, digests)
        ctx.tx.execute(sa.delete(repository_blobs).where(repository_blobs.c.repository_id == repository_id, lost))


def due_blobs(ctx: Context, now: datetime, limit: int) -> list[str]:
    """Return loose blobs whose time has come, the longest due first."""
    rows = sa.select(loose_blobs.c.digest).where(loose_blobs.c.due_at <= now).order_by(loose_blobs.c.due_at)
    return list(ctx.tx.execute(rows.limit(limit)).scalars())


def settle_blobs(ctx: Context, digests: Sequence[str]) -> int:
    """Remove those of the blobs that no repository has, condemning their bytes; return how many."""
    rows = ctx.tx.execute(
        # In order, so that two that lock many of them cannot wait for each other.
        sa.select(blobs.c.digest, blobs.c.location, blobs.c.size)
        .where(among(ctx.tx, blobs.c.digest, digests))
        .order_by(blobs.c.digest)
        .with_for_update()
    ).all()
    # A link that came before the lock is seen here; one that comes later finds no blob.
    linked = sa.select(repository_blobs.c.digest).where(among(ctx.tx, repository_blobs.c.digest, digests)).distinct()
    kept = set(ctx.tx.execute(linked).scalars())
    ctx.tx.execute(sa.delete(loose_blobs).where(among(ctx.tx, loose_blobs.c.digest, digests)))
    gone = [row for row in rows if row.digest not in kept]
    if gone:
        ctx.tx.execute(sa.delete(blobs).where(among(ctx.tx, blobs.c.digest, [row.digest for row in gone])))
        _condemn(ctx, [Bytes("", row.location, row.size) for row in gone], ctx.now + min(READERS, grace(ctx)))
    return len(gone)


class Held(NamedTuple):
    """A blob that stays until the transaction ends."""

    location: str
    size: int
    is_damaged: bool


_HOLD: Final = Prepared(
    sa.select(blobs.c.location, blobs.c.size, blobs.c.damaged_at)
    .where(blobs.c.digest == sa.bindparam("wanted"))
    .with_for_update(read=True, key_share=True)
)


def hold(ctx: Context, digest: str) -> Held | None:
    """Keep a blob from being removed until the transaction ends; None if it is not there."""
    row = _HOLD.first(ctx.tx, {"wanted": digest})
    return None if row is None else Held(row.location, row.size, row.damaged_at is not None)


# --- Taken away ----------------------------------------------------------------------


class Bytes(NamedTuple):
    """Condemned bytes."""

    id: str
    location: str
    size: int


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        condemned.c.due_at <= now, sa.or_(condemned.c.claimed_until.is_(None), condemned.c.claimed_until <= now)
    )


def count_due(ctx: Context, now: datetime) -> int:
    """Return how many objects are to be deleted now."""
    return ctx.tx.execute(sa.select(sa.func.count()).select_from(condemned).where(_is_free(now))).scalar_one()


def claim(ctx: Context, now: datetime, limit: int) -> list[Bytes]:
    """Return bytes to delete, which nobody else is given for a while."""
    free = _is_free(now)
    some = sa.select(condemned.c.id).where(free).order_by(condemned.c.due_at).limit(limit)
    rows = ctx.tx.execute(
        sa.update(condemned)
        # Said twice: two that choose the same rows at once must not both get them.
        .where(condemned.c.id.in_(some), free)
        .values(claimed_until=now + CLAIM)
        .returning(condemned.c.id, condemned.c.location, condemned.c.size)
    )
    return [Bytes(*row) for row in rows]


def forget(ctx: Context, deleted: Collection[Bytes]) -> None:
    """Note that bytes have been deleted."""
    ctx.tx.execute(sa.delete(condemned).where(among(ctx.tx, condemned.c.id, [one.id for one in deleted])))


# --- Told -----------------------------------------------------------------------------


def status(ctx: Context) -> dict[str, Any]:
    """Return how much waits in each queue."""

    def count(table: sa.Table, *more: Any) -> Any:
        now = sa.func.sum(sa.case((table.c.due_at <= ctx.now, 1), else_=0))
        return ctx.tx.execute(sa.select(sa.func.count(), sa.func.coalesce(now, 0), *more).select_from(table)).one()

    layers, layers_due = count(loose_layers)
    found, blobs_due = count(loose_blobs)
    total, total_due, size = count(condemned, sa.func.coalesce(sa.func.sum(condemned.c.size), 0))
    return {
        "looseLayers": layers,
        "looseLayersDue": int(layers_due),
        "looseBlobs": found,
        "looseBlobsDue": int(blobs_due),
        "condemned": total,
        "condemnedDue": int(total_due),
        "condemnedBytes": int(size),
    }


class Outlook(NamedTuple):
    """What will become of a layer that is looked at."""

    repository_id: str
    repository: str
    digest: str
    size: int
    due_at: datetime
    """When it is looked at."""
    needed_by: str | None
    """The digest of an image that keeps it; None if it goes then."""


def outlook(ctx: Context, *, after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[Outlook]:
    """Return what is to become of the loose layers as things stand, by repository, from behind ``after``."""
    needing = (
        sa.select(sa.func.min(edges.c.parent))
        .where(
            edges.c.repository_id == loose_layers.c.repository_id,
            edges.c.child == loose_layers.c.digest,
            edges.c.kind == "layer",
        )
        .scalar_subquery()
    )
    place = sa.tuple_(loose_layers.c.repository_id, loose_layers.c.digest)
    rows = ctx.tx.execute(
        sa.select(
            loose_layers.c.repository_id,
            repositories.c.name,
            loose_layers.c.digest,
            blobs.c.size,
            loose_layers.c.due_at,
            needing,
        )
        .join_from(loose_layers, repositories, repositories.c.id == loose_layers.c.repository_id)
        .join(blobs, blobs.c.digest == loose_layers.c.digest)
        .where(place > sa.tuple_(*map(sa.literal, after)))
        .order_by(loose_layers.c.repository_id, loose_layers.c.digest)
        .limit(limit)
    )
    return [Outlook(*row) for row in rows]
