"""``gc``: space comes back from what nothing needs any more, while everybody pushes and pulls."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from moorage import logs
from moorage.domain.errors import StoreUnavailable
from moorage.jobs import leases
from moorage.jobs.pacing import Pace
from moorage.registry import collection, deleted
from moorage.registry.again import again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.collection import Bytes, Settled
    from moorage.registry.core import Context, Registry

T = TypeVar("T")

_OBJECTS: Final = 1000
"""Objects that are claimed together, at least."""
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
    progress, collector = Progress(run), _Collector(registry, now, run)
    for purged in collector.purge():
        progress.add(images=purged)
    for settled in collector.settle_layers():
        progress.add(layers=settled.layers, blobs=settled.blobs)
    for gone in collector.settle_blobs():
        progress.add(blobs=gone)
    progress.total = _call_for_help(registry, now)
    for taken in collector.delete_bytes():
        progress.add(objects=len(taken), bytes=sum(one.size for one in taken))


def help_collect(registry: Registry, now: datetime, run: Run) -> None:
    """Delete bytes beside whoever asked for help: what one has claimed the others leave alone."""
    progress = Progress(run)
    for taken in _Collector(registry, now, run).delete_bytes():
        progress.add(objects=len(taken), bytes=sum(one.size for one in taken))


def _call_for_help(registry: Registry, now: datetime) -> int:
    """Ask other workers to delete bytes too, if there is enough for them; return how many objects there are."""
    with registry.read(registry.system()) as ctx:
        count = collection.count_due(ctx, now)
    # A store that takes few at once is a disk, and no quicker for several: they would only make its users wait.
    helpers = min(_HELPERS, count // (2 * _OBJECTS)) if registry.blobs.at_once >= _OBJECTS else 0
    if helpers:
        with registry.database.write() as tx:
            for number in range(1, helpers + 1):
                leases.ask(tx, HELP, str(number), now)
    return count


class _Collector:
    """The steps of a run, each of which yields what it has done after each transaction."""

    def __init__(self, registry: Registry, now: datetime, run: Run) -> None:
        self._registry, self._now = registry, now
        self._pace = Pace(run, registry.settings.gc_pace, registry.is_anybody)

    def purge(self) -> Iterator[int]:
        while True:
            limit = self._pace.rows
            purged = self._write(partial(deleted.purge, now=self._now, limit=limit), limit)
            yield purged
            if purged < limit:
                return

    def settle_layers(self) -> Iterator[Settled]:
        while due := self._read(partial(collection.due_layers, now=self._now, limit=self._pace.rows)):
            rows = sum(len(one.digests) for one in due)
            yield self._write(partial(collection.settle, due=due, now=self._now), rows)

    def settle_blobs(self) -> Iterator[int]:
        while due := self._read(partial(collection.due_blobs, now=self._now, limit=self._pace.rows)):
            yield self._write(partial(collection.settle_blobs, digests=due), len(due))

    def delete_bytes(self) -> Iterator[Sequence[Bytes]]:
        at_once = self._registry.blobs.at_once
        limit = max(_OBJECTS, at_once)
        while claimed := self._write(partial(collection.claim, now=self._now, limit=limit)):
            taken: list[Bytes] = []
            for first in range(0, len(claimed), at_once):
                began = time.perf_counter()
                taken += _deleted(self._registry, claimed[first : first + at_once])
                self._pace.rest(time.perf_counter() - began)
            self._write(partial(collection.forget, deleted=taken))
            yield taken

    def _read(self, work: Callable[[Context], T]) -> T:
        with self._registry.read(self._registry.system()) as ctx:
            return work(ctx)

    def _write(self, work: Callable[[Context], T], rows: int | None = None) -> T:
        """Run work in a transaction; anew, where somebody who took the same rows in another order was let through."""

        def unit() -> tuple[T, float, float]:
            with self._registry.write(self._registry.system()) as ctx:
                # To wait for the others is no work.
                began = time.perf_counter()
                result = work(ctx)
                ended = time.perf_counter()
            return result, ended - began, time.perf_counter() - ended

        result, taken, committing = again(unit)
        if rows is not None:
            # Commits take as long as the disk wants: that is no matter of rows.
            self._pace.learn(rows, taken)
        self._pace.rest(taken + committing)
        return result


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
