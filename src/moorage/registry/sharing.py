"""Which bytes belong to some images alone: what comes back when they go, each layer counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.domain.names import Digest
from moorage.registry.batches import batches
from moorage.registry.tables import blobs, edges, repository_blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from moorage.registry.core import Context


def only_of(ctx: Context, images: Mapping[str, Collection[str]]) -> dict[str, int]:
    """
    Return the layers, with their sizes in bytes, that no other image of the installation needs.

    ``images`` are digests by the id of their repository. Time is proportional to the references to their layers.
    """
    needed: set[Digest] = set()
    for repository_id, digests in images.items():
        needed |= layers_of(ctx, repository_id, digests)
    found: dict[str, int] = {}
    for batch in batches(sorted(needed)):
        needed_elsewhere = {
            row.child for row in _references(ctx, batch) if row.parent not in images.get(row.repository_id, ())
        }
        sizes = sa.select(blobs.c.digest, blobs.c.size).where(blobs.c.digest.in_(set(batch) - needed_elsewhere))
        found |= {row.digest: row.size for row in ctx.tx.execute(sizes)}
    return found


def layers_of(ctx: Context, repository_id: str, digests: Collection[str]) -> set[Digest]:
    """Return the layers that images of a repository need, configs among them."""
    named = sa.select(edges.c.child).where(edges.c.repository_id == repository_id, edges.c.kind == "layer")
    found: set[Digest] = set()
    for batch in batches([Digest(digest) for digest in digests]):
        found.update(map(Digest, ctx.tx.execute(named.where(edges.c.parent.in_(batch))).scalars()))
    return found


def _references(ctx: Context, wanted: Collection[str]) -> Iterable[sa.Row[tuple[str, str, str]]]:
    """Yield each image, of any repository, that needs one of the layers."""
    same = sa.and_(
        edges.c.repository_id == repository_blobs.c.repository_id,
        edges.c.child == repository_blobs.c.digest,
        edges.c.kind == "layer",
    )
    # By way of the links, which have an index of digests.
    statement = (
        sa.select(edges.c.repository_id, edges.c.parent, edges.c.child)
        .join_from(repository_blobs, edges, same)
        .where(repository_blobs.c.digest.in_(wanted))
    )
    return ctx.tx.execute(statement.execution_options(yield_per=1000))
