"""
Fail points: functions of the product that are wrapped by their names, so that the product knows nothing of them.

A point is ``before NAME`` or ``after NAME``. Armed with a point and a number, a
process kills itself when it is there for that many times. Armed with none, it
notes where it has been.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TRANSACTIONS: Final = ("drivers.sqlite:SqliteDatabase.write", "drivers.postgres:PostgresDatabase.write")
"""Before: the block has ended and is not committed. After: it is durable, and nobody knows."""
FUNCTIONS: Final = (
    # bytes on disk: made, written, synced with their folder, deleted
    "drivers.disk:DiskStore.open",
    "drivers.disk:DiskWriter.write",
    "drivers.disk:DiskWriter.sync",
    "drivers.disk:_sync_folder",
    "drivers.disk:DiskStore.delete",
    "drivers.disk:DiskStore.delete_many",
    # objects: put, sent in parts and completed, deleted
    "drivers.objects:ObjectStore.put",
    "drivers.objects:ObjectStore.stream",
    "drivers.objects:ObjectStore.confirm",
    "drivers.objects:ObjectStore._delete",
    "drivers.objects:ObjectStore.delete_many",
    "drivers.objects:ObjectStore.abort_unfinished",
    "drivers.object_writer:ObjectWriter._send",
    "drivers.object_writer:ObjectWriter.flush",
    "drivers.object_writer:ObjectWriter.keep",
    # an upload: begun, a part counted, made a layer, given up
    "registry.uploads:begin",
    "registry.uploads:Appender.commit",
    "registry.uploads:Appender._count",
    "registry.uploads:Appender.finish",
    "registry.uploads:Appender._become",
    "registry.uploads:_store_blob",
    "registry.uploads:_link",
    "registry.uploads:mount",
    "registry.uploads:cancel",
    # an image: put, deleted, kept, restored, forgotten
    "registry.images:put",
    "registry.images:_insert",
    "registry.images:_point",
    "registry.removal:remove",
    "registry.removal:_keep",
    "registry.deleted:restore",
    "registry.deleted:_put_back",
    "registry.deleted:purge",
    "registry.repositories:delete",
    # the queues of the collector: filled, settled, claimed, forgotten
    "registry.collection:loosen_link",
    "registry.collection:loosen_layers",
    "registry.collection:loosen_blobs",
    "registry.collection:_condemn",
    "registry.collection:condemn_uploads",
    "registry.collection:settle_layers",
    "registry.collection:_release",
    "registry.collection:settle_blobs",
    "registry.collection:claim",
    "registry.collection:forget",
    "jobs.sweep:sweep",
    "registry.sweep:unnamed",
    # the leases of jobs
    "jobs.leases:take",
    "jobs.leases:finish",
)


class Hit(NamedTuple):
    """A point, reached for the ``number``-th time in a process."""

    point: str
    number: int


def arm(at: Hit | None, record: Path | None = None) -> None:
    """Let this process die at a point, or without one write the points that it comes by to a file."""
    reached = _dying(at) if at else _recording(record)
    for name in FUNCTIONS:
        owner, attribute = _resolve(name)
        setattr(owner, attribute, _around(getattr(owner, attribute), name, reached))
    for name in TRANSACTIONS:
        owner, attribute = _resolve(name)
        setattr(owner, attribute, _around_block(getattr(owner, attribute), name, reached))


def _resolve(name: str) -> tuple[Any, str]:
    module, _, path = name.partition(":")
    owner: Any = importlib.import_module(f"moorage.{module}")
    *parents, attribute = path.split(".")
    return functools.reduce(getattr, parents, owner), attribute


def _dying(at: Hit) -> Callable[[str], None]:
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def reached(point: str) -> None:
        with lock:
            counts[point] += 1
            if (point, counts[point]) == at:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _recording(record: Path | None) -> Callable[[str], None]:
    lock = threading.Lock()

    def reached(point: str) -> None:
        if record is not None:
            with lock, record.open("a") as file:
                file.write(f"{point}\n")

    return reached


def _around(original: Callable[..., Any], name: str, reached: Callable[[str], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*given: Any, **named: Any) -> Any:
        reached(f"before {name}")
        result = original(*given, **named)
        reached(f"after {name}")
        return result

    return wrapper


def _around_block(original: Callable[..., Any], name: str, reached: Callable[[str], None]) -> Callable[..., Any]:
    @contextmanager
    @functools.wraps(original)
    def wrapper(*given: Any, **named: Any) -> Iterator[Any]:
        with original(*given, **named) as block:
            yield block
            reached(f"before {name}")
        reached(f"after {name}")

    return wrapper


def hits(record: Path) -> list[Hit]:
    """Return what a process came by, in order, each point with its count."""
    counts: Counter[str] = Counter()
    found = []
    for point in record.read_text().splitlines():
        counts[point] += 1
        found.append(Hit(point, counts[point]))
    return found
