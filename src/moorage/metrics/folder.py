"""
The folder in which workers tell each other what they have counted.

One file a worker, written whole. What is read is always what was written
before, never a worker's own memory: else two scrapes answered by two workers
could see a sum go back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PREFIX: Final = "moorage-metrics-"
_SILENT: Final = 30.0
"""Seconds after which the gauges of a worker that wrote nothing no longer count."""
_ENDED: Final = "ended.json"
"""The sum of workers that have ended."""


class Folder:
    """What all workers of one server have counted. A worker is known by its process id, and by a number of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, worker: str, snapshot: dict[str, Any]) -> None:
        """Replace a worker's file."""
        self._put(f"{worker}.json", snapshot)

    def end(self, worker: str, snapshot: dict[str, Any]) -> None:
        """Leave what a worker has counted, when it ends."""
        with self._alone():
            self.write(worker, snapshot)
            self._gather([self.path / f"{worker}.json"])

    def sum(self) -> dict[str, Any]:
        """Return what all have counted; gauges only of those that live."""
        with self._alone():
            files = [file for file in self.path.glob("*.json") if file.name != _ENDED]
            self._gather([file for file in files if not _lives(int(file.name.partition("-")[0]))])
            return add(map(_read, self.path.glob("*.json")))

    def _gather(self, files: list[Path]) -> None:
        """Add the files of workers that have ended to the one of all these, so that there is no end of files."""
        if not files:
            return
        ended = self.path / _ENDED
        total = add(map(_read, [*([ended] if ended.exists() else []), *files]))
        self._put(_ENDED, {**total, "gauges": {}})
        for file in files:
            file.unlink()

    def _put(self, name: str, snapshot: dict[str, Any]) -> None:
        new = self.path / f".{name}.{os.getpid()}.new"
        new.write_text(json.dumps(snapshot))
        new.replace(self.path / name)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(file: Path) -> dict[str, Any]:
    snapshot: dict[str, Any] = json.loads(file.read_text())
    if time.time() - file.stat().st_mtime > _SILENT:
        # Its process id may be another process's by now.
        snapshot["gauges"] = {}
    return snapshot


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def add(snapshots: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of snapshots."""
    requests: dict[tuple[str, ...], list[float]] = {}
    others: dict[tuple[str, ...], float] = {}
    gauges: dict[str, float] = {}
    for snapshot in snapshots:
        for key, cell in snapshot["requests"]:
            before = requests.get(tuple(key))
            requests[tuple(key)] = cell if before is None else [a + b for a, b in zip(before, cell, strict=True)]
        for key, value in snapshot["others"]:
            others[tuple(key)] = others.get(tuple(key), 0.0) + value
        for name, value in snapshot["gauges"].items():
            gauges[name] = gauges.get(name, 0.0) + value
    return {
        "requests": [[list(key), cell] for key, cell in requests.items()],
        "others": [[list(key), value] for key, value in others.items()],
        "gauges": gauges,
    }


@contextlib.contextmanager
def shared(fallback: Path) -> Iterator[Folder]:
    """Make a fresh folder for the length of a server, in memory where the system has a place there."""
    path = _made(Path("/dev/shm"), *_temporary(), fallback)  # noqa: S108 (a folder of a name nobody can guess)
    with (path / "server").open("w") as held:
        # Says to the next server whether this one still is there, even if it was killed.
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield Folder(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _temporary() -> list[Path]:
    try:
        return [Path(tempfile.gettempdir())]
    except FileNotFoundError:
        # A container whose file system is read-only need not have one.
        return []


def _made(*places: Path) -> Path:
    for place in places:
        try:
            _tidy(place)
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        except OSError:
            continue
    raise OSError(f"there is no place for metrics in {', '.join(map(str, places))}")


def _tidy(place: Path) -> None:
    """Remove folders that servers of this user left behind when they were killed."""
    for left in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_uid != os.getuid():
                continue
            with (left / "server").open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
