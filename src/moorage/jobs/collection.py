"""``gc``: space comes back from what nothing needs any more, while everybody pushes and pulls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from moorage import logs
from moorage.domain.errors import StoreUnavailable
from moorage.jobs import leases
from moorage.registry import collection, deleted
from moorage.registry.again import again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.collection import Bytes
    from moorage.registry.core import Context, Registry

T = TypeVar("T")

_ROWS: Final = 500
"""Rows in one transaction: short enough that a push does not wait for it."""
_OBJECTS: Final = 1000
"""Objects that are deleted together."""
_HELPERS: Final = 4
"""Workers that delete bytes beside the one that runs the job, at most."""
HELP: Final = "gc-help"


class Progress:
    """What a run has done, told as it goes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._facts = {"images": 0, "layers": 0, "blobs": 0, "objects": 0, "bytes": 0}
        self.total: int | None = None
        """Objects to delete, as far as that is known."""

    def add(self, **more: int) -> None:
        """Count, and stop here if the run must."""
        for name, count in more.items():
            self._facts[name] += count
        self._run.progress(self._facts["objects"], self.total, **self._facts)


def collect(registry: Registry, now: datetime, run: Run) -> None:
    """Forget deleted images, then unneeded layers, then blobs without a repository, then delete bytes."""
    progress = Progress(run)
    for purged in _purge(registry, now):
        progress.add(images=purged)
    for lost in _settle_layers(registry, now):
        progress.add(layers=lost)
    for gone in _settle_blobs(registry, now):
        progress.add(blobs=gone)
    progress.total = _call_for_help(registry, now)
    for taken in _delete_bytes(registry, now):
        progress.add(objects=len(taken), bytes=sum(one.size for one in taken))


def help_collect(registry: Registry, now: datetime, run: Run) -> None:
    """Delete bytes beside whoever asked for help: what one has claimed the others leave alone."""
    progress = Progress(run)
    for taken in _delete_bytes(registry, now):
        progress.add(objects=len(taken), bytes=sum(one.size for one in taken))


def _call_for_help(registry: Registry, now: datetime) -> int:
    """Ask other workers to delete bytes too, if there is enough for them; return how many objects there are."""
    with registry.read(registry.system()) as ctx:
        count = collection.count_due(ctx, now)
    helpers = min(_HELPERS, count // (2 * _OBJECTS))
    if helpers:
        with registry.database.write() as tx:
            for number in range(1, helpers + 1):
                leases.ask(tx, HELP, str(number), now)
    return count


def _unit(registry: Registry, work: Callable[[Context], T]) -> T:
    """Run work in a transaction; anew, where somebody who took the same rows in another order was let through."""

    def unit() -> T:
        with registry.write(registry.system()) as ctx:
            return work(ctx)

    return again(unit)


def _purge(registry: Registry, now: datetime) -> Iterator[int]:
    purged = _ROWS
    while purged == _ROWS:
        purged = _unit(registry, partial(deleted.purge, now=now, limit=_ROWS))
        yield purged


def _settle_layers(registry: Registry, now: datetime) -> Iterator[int]:
    while True:
        with registry.read(registry.system()) as ctx:
            due = collection.due_layers(ctx, now, _ROWS)
        if not due:
            return
        for of_repository in due:
            yield _unit(registry, partial(collection.settle_layers, due=of_repository, now=now))


def _settle_blobs(registry: Registry, now: datetime) -> Iterator[int]:
    while True:
        with registry.read(registry.system()) as ctx:
            due = collection.due_blobs(ctx, now, _ROWS)
        if not due:
            return
        yield _unit(registry, partial(collection.settle_blobs, digests=due))


def _delete_bytes(registry: Registry, now: datetime) -> Iterator[Sequence[Bytes]]:
    while True:
        claimed = _unit(registry, partial(collection.claim, now=now, limit=_OBJECTS))
        if not claimed:
            return
        taken = _deleted(registry, claimed)
        _unit(registry, partial(collection.forget, deleted=taken))
        yield taken


def _deleted(registry: Registry, claimed: Sequence[Bytes]) -> Sequence[Bytes]:
    """Delete bytes, all at once or else one by one; return those that are gone."""
    try:
        registry.blobs.delete_many([one.location for one in claimed])
    except (OSError, StoreUnavailable):
        return [one for one in claimed if _is_deleted(registry, one)]
    return claimed


def _is_deleted(registry: Registry, one: Bytes) -> bool:
    try:
        registry.blobs.delete(one.location)
    except (OSError, StoreUnavailable):
        # It stays condemned, and is tried again when the claim has ended.
        logs.exception("bytes_not_deleted", location=one.location)
        return False
    return True
