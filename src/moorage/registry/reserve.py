"""
The last of a disk, which is kept free.

What takes space is refused while there is less than the reserve: a database
needs space to delete, and what is on its way in needs space to end well.
Reads, deletions, garbage collection and jobs go on, and so does everything
as soon as there is space again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.domain.errors import StorageFull

if TYPE_CHECKING:
    from moorage.registry.core import Registry

_MIB: Final = 1024 * 1024


def free(registry: Registry) -> int | None:
    """Return the bytes free on the fullest disk that layers and database are on; None where that is not to be known."""
    known = [count for count in (registry.blobs.free(), registry.database.free()) if count is not None]
    return min(known, default=None)


def is_reached(registry: Registry) -> bool:
    """Whether there is less space than the reserve."""
    reserve = registry.settings.min_free_mib * _MIB
    if reserve == 0:
        return False
    left = free(registry)
    return left is not None and left < reserve


def require(registry: Registry) -> None:
    """Raise `StorageFull` where no more may be taken in."""
    if is_reached(registry):
        logs.warning("storage_full", free=free(registry), reserve=registry.settings.min_free_mib * _MIB)
        raise StorageFull


def gauges(registry: Registry) -> dict[str, float]:
    """Return what there is to tell of space; nothing where no disk is ours."""
    left = free(registry)
    if left is None:
        return {}
    return {"free_bytes": left, "refuses_writes": float(is_reached(registry))}
