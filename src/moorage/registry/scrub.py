"""Stored bytes read again and compared with their digests, a few at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from moorage import logs
from moorage.domain.names import Digest
from moorage.registry.storage import Missing
from moorage.registry.tables import blobs, manifests, repository_blobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.core import Registry


class Stored(NamedTuple):
    """A blob to be read."""

    digest: str
    location: str
    size: int
    is_marked: bool
    """It was found damaged before."""


def page(registry: Registry, repository_id: str | None, after: str, limit: int) -> list[Stored]:
    """Return blobs by digest, from behind ``after``: all, or those of a repository."""
    rows = sa.select(blobs.c.digest, blobs.c.location, blobs.c.size, blobs.c.damaged_at.is_not(None))
    if repository_id is not None:
        rows = rows.join(repository_blobs, repository_blobs.c.digest == blobs.c.digest).where(
            repository_blobs.c.repository_id == repository_id
        )
    with registry.database.read() as tx:
        found = tx.execute(rows.where(blobs.c.digest > after).order_by(blobs.c.digest).limit(limit))
        return [Stored(row[0], row[1], row[2], bool(row[3])) for row in found]


def total(registry: Registry, repository_id: str | None) -> int:
    """Return how many bytes there are to read, layers and manifests."""
    layers = sa.select(sa.func.coalesce(sa.func.sum(blobs.c.size), 0))
    bodies = sa.select(sa.func.coalesce(sa.func.sum(manifests.c.size), 0))
    if repository_id is not None:
        here = repository_blobs.c.repository_id == repository_id
        layers = layers.join_from(blobs, repository_blobs, repository_blobs.c.digest == blobs.c.digest).where(here)
        bodies = bodies.where(manifests.c.repository_id == repository_id)
    with registry.database.read() as tx:
        return int(tx.execute(layers).scalar_one()) + int(tx.execute(bodies).scalar_one())


def problem_with(registry: Registry, stored: Stored, paced: Callable[[int], None]) -> str | None:
    """
    Return what is wrong with a blob's bytes, None if nothing is; ``paced`` is told of each piece's length.

    Raises `StoreUnavailable` where the store does not answer: that says nothing of the bytes.
    """
    try:
        # First, because a store that has too few of them is asked again and again for the rest.
        size = registry.blobs.size(stored.location)
        if size != stored.size:
            return "missing" if size is None else f"{size} bytes instead of {stored.size}"
        running = hashlib.new(Digest(stored.digest).algorithm)
        for piece in registry.blobs.read(stored.location, 0, stored.size):
            running.update(piece)
            paced(len(piece))
    except Missing:
        return "missing"
    except OSError as unreadable:
        return f"cannot be read: {unreadable.strerror}"
    found = f"{Digest(stored.digest).algorithm}:{running.hexdigest()}"
    return None if found == stored.digest else f"the bytes are those of {found}"


def is_current(registry: Registry, stored: Stored) -> bool:
    """Whether the blob still is where it was looked for: not deleted meanwhile, nor healed."""
    named = sa.select(blobs.c.digest).where(blobs.c.digest == stored.digest, blobs.c.location == stored.location)
    with registry.database.read() as tx:
        return tx.execute(named).first() is not None


class Manifest(NamedTuple):
    """A manifest to be compared."""

    repository_id: str
    digest: str
    body: bytes


def manifest_page(registry: Registry, repository_id: str | None, after: tuple[str, str], limit: int) -> list[Manifest]:
    """Return manifests by repository and digest, from behind ``after``."""
    place = sa.tuple_(manifests.c.repository_id, manifests.c.digest)
    rows = sa.select(manifests.c.repository_id, manifests.c.digest, manifests.c.body).where(
        place > sa.tuple_(*map(sa.literal, after))
    )
    if repository_id is not None:
        rows = rows.where(manifests.c.repository_id == repository_id)
    with registry.database.read() as tx:
        found = tx.execute(rows.order_by(manifests.c.repository_id, manifests.c.digest).limit(limit))
        return [Manifest(*row) for row in found]


def mark_manifest(registry: Registry, found: Manifest) -> bool:
    """Let a manifest count as missing whose bytes are not those of its digest; tell whether that is new."""
    this = sa.and_(
        manifests.c.repository_id == found.repository_id,
        manifests.c.digest == found.digest,
        manifests.c.body == found.body,
        manifests.c.damaged_at.is_(None),
    )
    with registry.database.write() as tx:
        done = tx.execute(sa.update(manifests).where(this).values(damaged_at=registry.clock()))
    if done.rowcount:
        logs.warning("manifest_damaged", repository=found.repository_id, digest=found.digest)
    return done.rowcount == 1


def is_whole(found: Manifest) -> bool:
    """Whether a manifest's bytes are those of its digest."""
    return Digest.of(found.body, Digest(found.digest).algorithm) == found.digest
