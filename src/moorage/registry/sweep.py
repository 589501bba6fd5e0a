"""Bytes that no row names: what crashes, lost races and refused commits leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.registry.storage import upload_of
from moorage.registry.tables import blobs, condemned, uploads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from moorage.registry.core import Registry

_BATCH: Final = 500
_UPLOAD_OF_CONDEMNED: Final = sa.func.substr(condemned.c.location, 4, 36)
"""As `upload_of`. Without an index: the table is short, and a sweep in no hurry."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has done."""

    seen: int
    """Pieces that were old enough."""
    deleted: int
    """Pieces that no row named."""
    aborted: int
    """Objects that a writer which died had half written."""


def sweep(registry: Registry, before: datetime) -> Swept:
    """Remove what was written before a moment and no row names."""
    seen = deleted = 0
    for batch in _batches(registry.blobs.older_than(before)):
        orphans = unnamed(registry, batch)
        registry.blobs.delete_many(orphans)
        seen, deleted = seen + len(batch), deleted + len(orphans)
    return Swept(seen, deleted, registry.blobs.abort_unfinished(before))


def _batches(pieces: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(pieces, _BATCH)):
        yield batch


def unnamed(registry: Registry, pieces: list[str]) -> list[str]:
    """Return those of the pieces that no row names: no layer's, and of no upload that is under way."""
    ids = {upload_of(piece) for piece in pieces}
    # None but its upload can make a row name a piece, and an upload's row goes in the
    # transaction that makes the blob's. So the uploads are read before the blobs:
    # whatever ends in between is seen in one of the two. What is condemned is deleted in
    # its own time, after those who are reading it.
    with registry.database.read() as tx:
        living = set(tx.execute(sa.select(uploads.c.id).where(uploads.c.id.in_(ids))).scalars())
        origin = sa.or_(blobs.c.upload_id.in_(ids), blobs.c.upload_id.is_(None))
        locations = list(tx.execute(sa.select(blobs.c.location).where(origin)).scalars())
        doomed = sa.select(condemned.c.location).where(_UPLOAD_OF_CONDEMNED.in_(ids))
        locations += tx.execute(doomed).scalars()
    named = {piece for location in locations for piece in registry.blobs.pieces(location)}
    return [piece for piece in pieces if upload_of(piece) not in living and piece not in named]
