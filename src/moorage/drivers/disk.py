"""
Bytes in a folder.

A file is created where it will stay, under the id of its upload; a finished
layer is that same file, recorded by its row. Nothing is renamed or copied,
and a file's name never comes from outside.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import TYPE_CHECKING, Final

from moorage.drivers import direct
from moorage.drivers.space import free_bytes, telling_when_full
from moorage.registry.storage import Busy, Missing, OnDisk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_LOCATION_RE: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f-]{36}")
_CHUNK: Final = 1024 * 1024


class DiskStore:
    """A `BlobStore` in one folder, shared by all workers of one machine."""

    at_once = 50

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def _path(self, location: str) -> Path:
        if _LOCATION_RE.fullmatch(location) is None:
            raise ValueError(f"not a location of this store: {location!r}")
        return self.root / location

    def new_location(self, upload_id: str) -> str:
        """Return a path of two parts, so that no folder grows without bound."""
        return f"{upload_id[:2]}/{upload_id}"

    def check(self) -> None:
        """Look at the folder."""
        self.root.stat()

    def free(self) -> int:
        """Return the bytes free on the folder's disk."""
        return free_bytes(self.root)

    @telling_when_full()
    def open(self, location: str, offset: int) -> DiskWriter:
        """Return the writer of a file, alone with it until it is closed or its process ends."""
        path = self._path(location)
        if offset == 0 and not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            _sync_folder(self.root)
        try:
            # Without bytes to go on from, the file is made; with them, it must be there.
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if offset == 0 else 0), 0o600)
        except FileNotFoundError:
            raise Missing(location) from None
        try:
            return DiskWriter(location, path, descriptor, offset)
        except BaseException:
            os.close(descriptor)
            raise

    def read(self, location: str, start: int, stop: int) -> Generator[bytes]:
        """Yield the bytes in pieces of 1 MiB."""
        try:
            file = self._path(location).open("rb", buffering=0)
        except FileNotFoundError:
            raise Missing(location) from None
        with file:
            file.seek(start)
            left = stop - start
            while left > 0:
                piece = file.read(min(_CHUNK, left))
                if not piece:
                    raise Missing(location)
                left -= len(piece)
                yield piece

    def locate(self, location: str) -> OnDisk:
        """Return the file."""
        return OnDisk(self._path(location))

    def size(self, location: str) -> int | None:
        """Return the file's length."""
        try:
            return self._path(location).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, location: str) -> None:
        """Remove the file."""
        self._path(location).unlink(missing_ok=True)

    def delete_many(self, locations: Sequence[str]) -> None:
        """Remove the files."""
        for location in locations:
            self.delete(location)

    def pieces(self, location: str) -> list[str]:
        """Return the location: a file is one piece."""
        return [location]

    def older_than(self, when: datetime) -> Iterator[str]:
        """Yield the files last written before ``when``."""
        limit = when.timestamp()
        for folder in sorted(self.root.iterdir()):
            for path in sorted(folder.iterdir()):
                if path.stat().st_mtime < limit:
                    yield f"{folder.name}/{path.name}"

    def abort_unfinished(self, when: datetime) -> int:  # noqa: ARG002 (the interface's)
        """Drop nothing: a file that is half written is a file, which `older_than` yields."""
        return 0


class DiskWriter:
    """The `Writer` of one file, holding its lock (which the system releases when a process dies)."""

    def __init__(self, location: str, path: Path, descriptor: int, offset: int) -> None:
        self._location = location
        self._path = path
        self._descriptor = descriptor
        self._offset = offset
        self._kept = offset
        self._blocks: direct.Blocks | None = None
        self._is_cut = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(path.name) from None
        if os.fstat(descriptor).st_size < offset:
            raise Missing(path.name)

    @telling_when_full()
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append; what does not fit is cut off when the writer is closed."""
        self._cut()
        if self._blocks is None and len(data) >= direct.BLOCK:
            self._blocks = direct.Blocks(self._descriptor, self._offset)
        if self._blocks is None:
            direct.put(self._descriptor, data, self._offset)
        else:
            self._blocks.write(data)
        self._offset += len(data)

    @telling_when_full()
    def flush(self) -> str:
        """Return the one location that an upload has here, with all bytes in the file."""
        self._cut()
        if self._blocks is not None:
            self._blocks.end()
            self._blocks = None
        self._kept = self._offset
        return self._location

    @telling_when_full()
    def sync(self) -> str:
        """Sync the file, then the folder that names it."""
        location = self.flush()
        try:
            os.fsync(self._descriptor)
        except OSError:
            # Nobody knows what is on the disk now, and to ask again would be answered with success
            # (fsync(2) tells of each error once). What was uploaded is void: the client begins anew.
            os.ftruncate(self._descriptor, 0)
            raise
        _sync_folder(self._path.parent)
        return location

    def keep(self) -> None:
        """Do nothing: the file replaces nothing."""

    def discard(self) -> None:
        """Do nothing: the next writer cuts the file back to what the row says."""

    def _cut(self) -> None:
        # Not on opening: until its opener has looked again, under the lock, the
        # file may be another writer's work or a finished layer.
        if not self._is_cut:
            os.ftruncate(self._descriptor, self._offset)
            self._is_cut = True

    def close(self) -> None:
        """Give back the space of what was not flushed, and release the lock."""
        try:
            if self._is_cut and os.fstat(self._descriptor).st_size > self._kept:
                os.ftruncate(self._descriptor, self._kept)
        finally:
            os.close(self._descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
