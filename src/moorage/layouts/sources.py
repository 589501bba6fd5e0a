"""
Layouts that are read. Whoever made one is not trusted: nothing is unpacked, no link is followed.

A path is always made of a digest, and never taken from the layout.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tarfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, Self, cast

from moorage.layouts.format import INDEX, LARGEST_INDEX, MARKER, PIECE, LayoutError, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from moorage.domain.names import Digest

_MOST_MEMBERS: Final = 1_000_000
_LARGEST_HEADER: Final = 1 << 20
_NAME: Final = re.compile(r"(?:\./)?(oci-layout|index\.json|blobs/(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128}))")


class Source(Protocol):
    """A layout that is open."""

    def size(self, path: str) -> int | None:
        """Return the bytes of a file of the layout, None if it has none of that path."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file of the layout; raises `LayoutError` if there is none."""

    def __enter__(self) -> Self:
        """Return the source, to be closed at the end of the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""


def opened(path: Path) -> Source:
    """Open a layout: a folder or a tar file; raises `LayoutError` for what is none."""
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise LayoutError(f"{path} is neither a folder nor a file")
    return Tar(path)


def whole(source: Source, path: str, most: int) -> bytes:
    """Return a file of a layout; raises `LayoutError` if it is missing or longer than ``most`` bytes."""
    size = source.size(path)
    if size is None:
        raise LayoutError(f"the layout has no {path}")
    if size > most:
        raise LayoutError(f"{path} is too long: {size} bytes, {most} at most")
    return b"".join(source.pieces(path))


def content(source: Source, digest: Digest, most: int) -> bytes:
    """Return a short blob whose bytes have been compared with its digest; raises `LayoutError`."""
    data = whole(source, path_of(digest), most)
    if hashlib.new(digest.algorithm, data).hexdigest() != digest.partition(":")[2]:
        raise LayoutError(f"the layout's bytes of {digest} are others")
    return data


class _Closing:
    """A source with files to close."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()


class Folder(_Closing):
    """A layout in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._root = folder

    def size(self, path: str) -> int | None:
        """Return the bytes of a file."""
        try:
            with self._open(path) as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        try:
            with self._open(path) as file:
                while piece := file.read(PIECE):
                    yield piece
        except FileNotFoundError:
            raise LayoutError(f"the layout has no {path}") from None

    def _open(self, path: str) -> IO[bytes]:
        """Open a file below the folder by way of folders alone; raises `LayoutError` for links and devices."""
        *above, name = path.split("/")
        with ExitStack() as held:
            at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
            held.callback(os.close, at)
            try:
                for folder in above:
                    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                    held.callback(os.close, at)
                # Without waiting: a pipe would keep us for ever.
                found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            except FileNotFoundError:
                raise
            except OSError:
                raise LayoutError(f"{path} is not a plain file of the layout") from None
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise LayoutError(f"{path} is not a plain file of the layout")
        return os.fdopen(found, "rb")


class _Bounded:
    """A file that is never asked for much at once: tar headers say how long they are themselves."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise LayoutError("a header of the archive is too long")
        return self._file.read(size)


class Tar(_Closing):
    """A layout in a tar file, which is not compressed: its headers are read once, and its files where they lie."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = self._held.enter_context(path.open("rb"))
        self._length = os.fstat(self._file.fileno()).st_size
        try:
            self._members = dict(self._found())
        except (tarfile.TarError, OverflowError, ValueError):
            self._held.close()
            raise LayoutError(f"{path} is not a tar file (a compressed one has to be unpacked first)") from None
        except BaseException:
            self._held.close()
            raise

    def _found(self) -> Iterator[tuple[str, tuple[int, int]]]:
        count = 0
        archive = tarfile.TarFile(fileobj=cast("IO[bytes]", _Bounded(self._file)))
        while (member := archive.next()) is not None:
            count += 1
            if count > _MOST_MEMBERS:
                raise LayoutError(f"the archive has more than {_MOST_MEMBERS} files")
            # Each is kept by `tarfile`, and what it has looked at is not wanted again.
            cast("Any", archive).members.clear()
            self._check(member)
            if (match := _NAME.fullmatch(member.name)) and not member.isdir():
                yield match[1], (member.offset_data, member.size)

    def _check(self, member: tarfile.TarInfo) -> None:
        parts = member.name.split("/")
        if member.name.startswith("/") or ".." in parts:
            raise LayoutError(f"the archive has a path that leads out of it: {member.name[:200]!r}")
        plain = member.isdir() or (member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse())
        if not plain:
            raise LayoutError(f"the archive has something that is no plain file: {member.name[:200]!r}")
        if member.offset_data + (0 if member.isdir() else member.size) > self._length:
            raise LayoutError("the archive is cut off")

    def size(self, path: str) -> int | None:
        """Return the bytes of a file."""
        found = self._members.get(path)
        return None if found is None else found[1]

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        if path not in self._members:
            raise LayoutError(f"the layout has no {path}")
        offset, left = self._members[path]
        while left:
            self._file.seek(offset)
            piece = self._file.read(min(left, PIECE))
            if not piece:
                raise LayoutError("the archive is cut off")
            yield piece
            offset, left = offset + len(piece), left - len(piece)


def marker_and_index(source: Source) -> tuple[bytes, bytes]:
    """Return the two files that make a layout, as they are; raises `LayoutError`."""
    return whole(source, MARKER, 1024), whole(source, INDEX, LARGEST_INDEX)
