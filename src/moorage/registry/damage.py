"""
What is damaged: marked, so that it counts as missing, and healed by the next push of the same bytes.

The bytes themselves stay where they are until others have taken their place:
they may be the only copy, and somebody may yet mend the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from moorage import logs
from moorage.registry import collection
from moorage.registry.prepared import Prepared
from moorage.registry.storage import upload_of
from moorage.registry.tables import blobs, edges, manifests, repositories, tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.registry.collection import Held
    from moorage.registry.core import Context, Registry


def mark(registry: Registry, digest: str, location: str, problem: str) -> bool:
    """Let a blob count as missing; tell whether that is new. Not if it was healed since somebody looked."""
    looked_at = sa.and_(blobs.c.digest == digest, blobs.c.location == location, blobs.c.damaged_at.is_(None))
    with registry.database.write() as tx:
        done = tx.execute(sa.update(blobs).where(looked_at).values(damaged_at=registry.clock()))
    if done.rowcount:
        logs.warning("layer_damaged", digest=digest, location=location[:200], problem=problem)
    return done.rowcount == 1


def unmark(registry: Registry, digest: str, location: str) -> bool:
    """Let a blob count again, whose bytes were found as they should be; tell whether it was marked."""
    looked_at = sa.and_(blobs.c.digest == digest, blobs.c.location == location, blobs.c.damaged_at.is_not(None))
    with registry.database.write() as tx:
        done = tx.execute(sa.update(blobs).where(looked_at).values(damaged_at=None))
    if done.rowcount:
        logs.info("layer_whole_again", digest=digest)
    return done.rowcount == 1


def heal(ctx: Context, digest: str, damaged: Held, location: str, size: int) -> bool:
    """Put whole bytes in the place of damaged ones, which are condemned; tell whether nobody else was quicker."""
    still = sa.and_(blobs.c.digest == digest, blobs.c.location == damaged.location, blobs.c.damaged_at.is_not(None))
    values = {"location": location, "size": size, "upload_id": upload_of(location), "damaged_at": None}
    if ctx.tx.execute(sa.update(blobs).where(still).values(values)).rowcount != 1:
        return False
    collection.condemn(ctx, damaged.location, damaged.size)
    logs.info("layer_healed", digest=digest)
    return True


def heal_manifest(ctx: Context, repository_id: str, digest: str, body: bytes) -> bool:
    """Put a manifest's bytes in the place of damaged ones; tell whether they were."""
    this = sa.and_(
        manifests.c.repository_id == repository_id, manifests.c.digest == digest, manifests.c.damaged_at.is_not(None)
    )
    return ctx.tx.execute(sa.update(manifests).where(this).values(body=body, damaged_at=None)).rowcount == 1


_STORED: Final = Prepared(
    sa.select(blobs.c.location, blobs.c.size).where(
        blobs.c.digest == sa.bindparam("wanted"), blobs.c.damaged_at.is_(None)
    )
)


def look_before_relying(ctx: Context, digest: str) -> None:
    """
    Look whether the bytes of a blob, if there is such a blob, are still there in their length; else mark it.

    For a push of bytes that are stored already: nobody is told that they are
    safe because of a file that is gone.
    """
    with ctx.read() as reading:
        row = _STORED.first(reading.tx, {"wanted": digest})
    if row is not None and (size := ctx.registry.blobs.size(row.location)) != row.size:
        mark(ctx.registry, digest, row.location, f"{size} bytes instead of {row.size}")


# --- Told ----------------------------------------------------------------------------


class Damaged(NamedTuple):
    """A blob that counts as missing."""

    digest: str
    size: int
    damaged_at: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """An image that cannot be pulled whole."""

    account_id: str
    region: str
    repository: str
    digest: str
    tags: Sequence[str]
    damaged: Sequence[str]
    """The layers that are damaged; its own digest, if its manifest is."""


def damaged_blobs(ctx: Context) -> list[Damaged]:
    """Return all blobs that count as missing, by digest."""
    marked = sa.select(blobs.c.digest, blobs.c.size, blobs.c.damaged_at).where(blobs.c.damaged_at.is_not(None))
    return [Damaged(*row) for row in ctx.tx.execute(marked.order_by(blobs.c.digest))]


def count(tx: sa.Connection) -> int:
    """Return how many blobs and manifests count as missing."""
    return sum(
        tx.execute(sa.select(sa.func.count()).select_from(table).where(table.c.damaged_at.is_not(None))).scalar_one()
        for table in (blobs, manifests)
    )


def images_hit(ctx: Context) -> list[Hit]:
    """Return all images that need what is damaged, by repository, and the indexes that name such images."""
    below = (
        sa.select(edges.c.repository_id, edges.c.parent.label("digest"), blobs.c.digest.label("damaged"))
        .join_from(blobs, edges, sa.and_(edges.c.child == blobs.c.digest, edges.c.kind == "layer"))
        .where(blobs.c.damaged_at.is_not(None))
    )
    layers = below.cte("damaged_layers")
    above = sa.select(edges.c.repository_id, edges.c.parent, layers.c.damaged).join_from(
        layers,
        edges,
        sa.and_(
            edges.c.repository_id == layers.c.repository_id, edges.c.child == layers.c.digest, edges.c.kind == "image"
        ),
    )
    own = sa.select(manifests.c.repository_id, manifests.c.digest, manifests.c.digest).where(
        manifests.c.damaged_at.is_not(None)
    )
    needs = sa.union_all(sa.select(layers), above, own).subquery()
    where = repositories.c.account_id, repositories.c.region, repositories.c.name
    rows = ctx.tx.execute(
        sa.select(repositories.c.id, *where, needs.c.digest, needs.c.damaged)
        .join_from(needs, repositories, repositories.c.id == needs.c.repository_id)
        .order_by(*where, needs.c.digest, needs.c.damaged)
    )
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for repository_id, account, region, name, digest, damaged in rows:
        found.setdefault((repository_id, account, region, name, digest), []).append(damaged)
    return [
        Hit(account, region, name, digest, _tags(ctx, repository_id, digest), damaged)
        for (repository_id, account, region, name, digest), damaged in found.items()
    ]


def _tags(ctx: Context, repository_id: str, digest: str) -> list[str]:
    named = sa.select(tags.c.name).where(tags.c.repository_id == repository_id, tags.c.digest == digest)
    return list(ctx.tx.execute(named.order_by(tags.c.name)).scalars())
