"""
Layers found again in a store whose database was lost, or is older than the store.

What can be told from bytes is their digest. So blobs come back, and nothing
else: which repositories had them, and the manifests, are rows only.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from moorage import logs
from moorage.domain.names import Digest
from moorage.registry import sweep, uploads
from moorage.registry.storage import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.core import Registry
    from moorage.registry.repositories import Repository

_BATCH: Final = 100
_SOON: Final = timedelta(days=1)
"""Clocks of stores may be ahead of ours."""


class Found(NamedTuple):
    """Bytes that no row named."""

    digest: Digest
    size: int
    is_new: bool
    """False where the same bytes are stored under another name; these are left to the sweep."""


def rebuild(
    registry: Registry, repository: Repository, keep: timedelta, told: Callable[[int], None] = lambda _: None
) -> Iterator[Found]:
    """
    Read all bytes that no row names, and make them layers of a repository, for as long as ``keep`` at least.

    ``told`` hears of bytes as they are read. Does nothing twice: what was found is named from then on.
    """
    waiting = registry.blobs.older_than(registry.clock() + _SOON)
    while pieces := list(islice(waiting, _BATCH)):
        for piece in sweep.unnamed(registry, pieces):
            if found := _read(registry, piece, told):
                digest, size = found
                with registry.write(registry.system(repository.registry_id, repository.region)) as ctx:
                    is_new = uploads.adopt(ctx, repository, digest, size, piece, due_at=ctx.now + keep)
                yield Found(digest, size, is_new)


def _read(registry: Registry, piece: str, told: Callable[[int], None]) -> tuple[Digest, int] | None:
    size, running = registry.blobs.size(piece), hashlib.sha256()
    if not size:
        return None
    try:
        for data in registry.blobs.read(piece, 0, size):
            running.update(data)
            told(len(data))
    except (Missing, OSError) as problem:
        logs.warning("bytes_not_readable", location=piece[:200], problem=str(problem))
        return None
    return Digest(f"sha256:{running.hexdigest()}"), size
