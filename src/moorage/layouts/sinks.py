"""Layouts that are written. What an earlier attempt left is looked at, and if it is good not written again."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import IO, TYPE_CHECKING, Protocol, cast

from moorage.domain.names import Digest
from moorage.layouts.format import INDEX, MARKER, MARKER_TEXT, PIECE, LayoutError, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Sink(Protocol):
    """A layout to be."""

    def has(self, digest: Digest, size: int) -> bool:
        """Tell whether a blob is there, whole and good."""

    def put(self, digest: Digest, size: int, pieces: Iterable[bytes]) -> None:
        """Write a blob; raises `LayoutError` if its bytes are not those of the digest."""

    def finish(self, index: bytes) -> None:
        """Write what makes a layout of it."""


def checked(digest: Digest, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces; raise `LayoutError` at their end if they are not those of the digest."""
    running, count = hashlib.new(digest.algorithm), 0
    for piece in pieces:
        running.update(piece)
        count += len(piece)
        yield piece
    if count != size or running.hexdigest() != digest.partition(":")[2]:
        raise LayoutError(f"the stored bytes of {digest} are damaged")


def _is_good(digest: Digest, size: int, pieces: Iterable[bytes]) -> bool:
    try:
        for _piece in checked(digest, size, pieces):
            pass
    except LayoutError:
        return False
    return True


def _read(file: IO[bytes], left: int) -> Iterator[bytes]:
    while left and (piece := file.read(min(left, PIECE))):
        yield piece
        left -= len(piece)


class Folder:
    """A layout in a folder; each file has its name when it is whole."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        for algorithm in ("sha256", "sha512"):
            (folder / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)

    def has(self, digest: Digest, size: int) -> bool:
        """Tell whether a blob is there."""
        path = self._root / path_of(digest)
        if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return _is_good(digest, size, _read(file, size))

    def put(self, digest: Digest, size: int, pieces: Iterable[bytes]) -> None:
        """Write a blob."""
        self._write(path_of(digest), checked(digest, size, pieces))

    def finish(self, index: bytes) -> None:
        """Write the index, and then what says that it is a layout."""
        self._write(INDEX, [index])
        self._write(MARKER, [MARKER_TEXT])
        if not any((self._root / "blobs" / "sha512").iterdir()):
            (self._root / "blobs" / "sha512").rmdir()

    def _write(self, path: str, pieces: Iterable[bytes]) -> None:
        goal = self._root / path
        part = goal.with_name(f"{goal.name}.part")
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(goal)


class Tar:
    """A layout in a tar file. Until it is whole it is called ``.part``, and another attempt goes on there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._there: set[Digest] = set()
        self._file = self._part.open("r+b" if self._part.exists() else "w+b")
        end = self._go_on()
        self._file.seek(end)
        self._file.truncate()
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 (until `finish`)

    def _go_on(self) -> int:
        """Note the good blobs of an earlier attempt; return where the last of them ends."""
        end = 0
        length = os.fstat(self._file.fileno()).st_size
        while end + tarfile.BLOCKSIZE <= length:
            self._file.seek(end)
            try:
                member = tarfile.TarInfo.frombuf(self._file.read(tarfile.BLOCKSIZE), "utf-8", "strict")
                digest = Digest.parse(member.name.removeprefix("blobs/").replace("/", ":"))
            except Exception:  # noqa: BLE001 (whatever it is, it is not ours and is written over)
                break
            if member.type != tarfile.REGTYPE or not _is_good(digest, member.size, _read(self._file, member.size)):
                break
            self._there.add(digest)
            end += tarfile.BLOCKSIZE + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return min(end, length)

    def has(self, digest: Digest, size: int) -> bool:  # noqa: ARG002 (it was compared)
        """Tell whether a blob is there."""
        return digest in self._there

    def put(self, digest: Digest, size: int, pieces: Iterable[bytes]) -> None:
        """Write a blob."""
        self._add(path_of(digest), size, checked(digest, size, pieces))
        self._there.add(digest)

    def finish(self, index: bytes) -> None:
        """Write the index, and give the file its name."""
        self._add(INDEX, len(index), iter([index]))
        self._add(MARKER, len(MARKER_TEXT), iter([MARKER_TEXT]))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)

    def _add(self, name: str, size: int, pieces: Iterator[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o644
        self._tar.addfile(member, cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", _Pieces(pieces)), PIECE)))
        for _rest in pieces:  # to its end, where it is compared
            raise LayoutError(f"{name} is longer than it should be")


class _Pieces(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._pieces, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
