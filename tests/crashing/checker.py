"""What must be true whatever was killed: asked of the rows and of the bytes themselves."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.registry import images, usage
from moorage.registry import repositories as named
from moorage.registry.tables import (
    blobs,
    condemned,
    deleted_images,
    edges,
    loose_blobs,
    loose_layers,
    manifests,
    repositories,
    repository_blobs,
    tags,
    uploads,
)
from tests.crashing.ledger import Ledger, Place, Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.registry.core import Registry
    from tests.registry.kit import Bench

_FAR: Final = timedelta(days=1)


class Checked(NamedTuple):
    """How much was looked at."""

    images: int
    blobs: int
    read: int
    """Blobs whose bytes were read and hashed."""


class Checker:
    """Looks at an installation again and again; bytes that it has hashed once it only measures, unless told."""

    def __init__(self) -> None:
        self._hashed: set[str] = set()

    def check(self, bench: Bench, *, again: bool = False) -> Checked:
        """Assert that every image that can be seen is whole, and each count true; ``again``: hash everything anew."""
        with bench.registry.database.read() as tx:
            found = tx.execute(sa.select(manifests.c.repository_id, manifests.c.digest, manifests.c.body)).all()
            wanted = tx.execute(_LAYERS).all()
            lost_images = tx.execute(_LOST_CHILDREN).all()
            lost_tags = tx.execute(_LOST_TAGS).all()
            ids = tx.execute(sa.select(repositories.c.id)).scalars().all()
            miscounted = [i for i in ids if usage.counted(tx, i) != usage.truth(tx, i)]
        _none("images that an index lacks", lost_images)
        _none("tags without an image", lost_tags)
        _none("repositories that are miscounted", miscounted)
        _none("manifests that are not what they are called", [row for row in found if _digest(row.body) != row.digest])
        _none("layers without a row", [row for row in wanted if row.location is None])
        unread = {row for row in {tuple(row)[2:] for row in wanted} if again or row[1] not in self._hashed}
        for digest, location, size in unread:
            _require_bytes(bench.registry, digest, location, size)
            self._hashed.add(location)
        rest = {(row.location, row.size) for row in wanted} - {(location, size) for _, location, size in unread}
        _none("bytes that have changed", [one for one in rest if bench.registry.blobs.size(one[0]) != one[1]])
        return Checked(len(found), len({row.child for row in wanted}), len(unread))


def _layers() -> sa.Select[Any]:
    seen = sa.and_(
        repository_blobs.c.repository_id == edges.c.repository_id, repository_blobs.c.digest == edges.c.child
    )
    return (
        sa.select(edges.c.repository_id, edges.c.parent, edges.c.child, blobs.c.location, blobs.c.size)
        .join_from(edges, repository_blobs, seen, isouter=True)
        .join(blobs, blobs.c.digest == repository_blobs.c.digest, isouter=True)
        .where(edges.c.kind == "layer")
    )


def _lost_children() -> sa.Select[Any]:
    child = sa.and_(manifests.c.repository_id == edges.c.repository_id, manifests.c.digest == edges.c.child)
    joined = sa.select(edges.c.parent, edges.c.child).join_from(edges, manifests, child, isouter=True)
    return joined.where(edges.c.kind == "image", manifests.c.digest.is_(None))


def _lost_tags() -> sa.Select[Any]:
    target = sa.and_(manifests.c.repository_id == tags.c.repository_id, manifests.c.digest == tags.c.digest)
    return sa.select(tags.c.name).join_from(tags, manifests, target, isouter=True).where(manifests.c.digest.is_(None))


_LAYERS: Final = _layers()
_LOST_CHILDREN: Final = _lost_children()
_LOST_TAGS: Final = _lost_tags()


def _none(what: str, found: Sequence[Any]) -> None:
    if found:
        raise Wrong(f"{what}: {len(found)}, such as {str(found[0])[:300]}")


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _require_bytes(registry: Registry, digest: str, location: str, size: int) -> None:
    """Assert that a blob's bytes are all there, and those that its name promises."""
    found = hashlib.sha256()
    for piece in registry.blobs.read(location, 0, size):
        found.update(piece)
    if f"sha256:{found.hexdigest()}" != digest or registry.blobs.size(location) != size:
        raise Wrong(f"the bytes of {digest} at {location} are others")


def settle(bench: Bench, book: Ledger) -> None:
    """Look at all that a ledger knows: what was acknowledged is so, and of the rest we know now."""
    ctx: Any
    with bench.read() as ctx:
        for place in book.places():
            repository = named.find(ctx, RepositoryName(place.repository))
            book.saw(place, _seen(ctx, repository, place))


def _seen(ctx: Any, repository: Any, place: Place) -> Any:
    if repository is None:
        return False if place.is_image else None
    if place.is_image:
        return images.exists(ctx, repository, Digest(place.name))
    return images.digest_of_tag(ctx, repository, Tag(place.name))


def require_nothing_left(bench: Bench) -> None:
    """Assert, when all has been collected, that the store has the bytes of the rows and no others."""
    _none(
        "queued",
        [row for t in (loose_layers, loose_blobs, condemned, deleted_images, uploads) for row in _rows(bench, t)],
    )
    needed = set(bench.rows(sa.select(edges.c.repository_id, edges.c.child).where(edges.c.kind == "layer").distinct()))
    linked = set(bench.rows(sa.select(repository_blobs.c.repository_id, repository_blobs.c.digest)))
    _none("layers that no image needs", sorted(map(tuple, linked - needed)))
    kept = {digest for (digest,) in bench.rows(sa.select(blobs.c.digest))}
    _none("blobs that no repository has", sorted(kept - {digest for _, digest in linked}))
    store = bench.registry.blobs
    there = Counter(store.older_than(datetime.now(UTC) + _FAR))
    due = Counter(piece for (where,) in bench.rows(sa.select(blobs.c.location)) for piece in store.pieces(where))
    _none("bytes that no row names", sorted(there - due))
    _none("bytes that are missing", sorted(due - there))


def _rows(bench: Bench, table: sa.Table) -> list[Any]:
    return bench.rows(sa.select(table))
