"""
Writing to an object store: what one request brings becomes one object.

Little is kept in memory and put at once; more is sent in parts as it comes. A
small object at the end of an upload is taken into the next one, so that an
upload in many small requests does not end in as many objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.domain.errors import StoreUnavailable
from moorage.drivers.pieces import Location, Piece

if TYPE_CHECKING:
    from obstore import WritableFile

    from moorage.drivers.objects import ObjectStore

PART: Final = 8 * 1024 * 1024
"""Bytes sent at once. Ten thousand parts, which is S3's limit, hold more than the longest layer."""
SMALL: Final = 4 * 1024 * 1024
"""Bytes from which an object stays what it is."""
LARGE: Final = 4 * 1024 * 1024 * 1024
"""Bytes after which the next object is begun: joining very many parts takes a store minutes, or too long."""


class ObjectWriter:
    """
    The `Writer` of an upload, at the end of what its row names.

    Others may write at the same time: each makes objects of its own, and the
    row takes those of one.
    """

    def __init__(self, store: ObjectStore, location: Location) -> None:
        self._store = store
        self._location = location
        self._pieces = list(location.pieces)
        self._gathered = bytearray()
        self._stream: WritableFile | None = None
        self._sending = Piece(location.stem, 0)
        """The object that the stream makes, as far as it has come."""
        self._made: list[Piece] = []
        self._replaced: list[Piece] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Gather bytes for one object; from `PART` of them on, send."""
        if self._stream is None and len(self._gathered) + len(data) < PART:
            self._gathered += data
            return
        if self._stream is not None and self._sending.size >= LARGE:
            self._finish(self._stream)
        if self._stream is None:
            self._begin()
        self._send(data)

    def _begin(self) -> None:
        # The small ones before are read while nothing is under way that they could break.
        before = self._take_small(len(self._gathered))
        self._sending = Piece(self._location.new_key(), 0)
        self._stream = self._store.stream(self._sending.key, PART)
        for data in (before, self._gathered):
            self._send(data)
        self._gathered = bytearray()

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) and self._stream is not None:
            with self._store.answering(self._sending.key):
                self._stream.write(data)
            self._sending = Piece(self._sending.key, self._sending.size + len(data))

    def _take_small(self, size: int) -> bytes:
        """Take objects off the end that are small and no longer than what follows them; return their bytes."""
        taken: list[Piece] = []
        while self._pieces and self._pieces[-1].size < SMALL and self._pieces[-1].size <= size:
            taken.insert(0, self._pieces.pop())
            size += taken[0].size
        self._replaced += taken
        return b"".join(data for piece in taken for data in self._store.read(piece.location, 0, piece.size))

    def flush(self) -> str:
        """Finish the object; when this returns the store has it for good."""
        if self._stream is not None:
            self._finish(self._stream)
        elif self._gathered:
            self._put(self._take_small(len(self._gathered)) + self._gathered)
            self._gathered = bytearray()
        return self._location.with_pieces(self._pieces)

    def _finish(self, stream: WritableFile) -> None:
        self._stream = None
        self._made.append(self._sending)
        self._store.confirm(self._sending, stream.close, of_parts=True)
        self._pieces.append(self._sending)

    def sync(self) -> str:
        """As `flush`: a store that answers has it for good. Nothing at all becomes an object of nothing."""
        self.flush()
        if not self._pieces:
            self._put(b"")
        return self._location.with_pieces(self._pieces)

    def _put(self, data: bytes) -> None:
        piece = Piece(self._location.new_key(), len(data))
        self._made.append(piece)
        self._store.confirm(piece, lambda: self._store.put(piece.key, data))
        self._pieces.append(piece)

    def keep(self) -> None:
        """Delete the small objects that went into a larger one."""
        self._made.clear()
        self._delete(self._replaced)

    def discard(self) -> None:
        """Delete the objects made."""
        self._delete(self._made)

    def close(self) -> None:
        """Let go of an object that is under way."""
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        # obstore cannot abort the parts it has sent, so they are made an object, which goes at once.
        try:
            with self._store.answering(self._sending.key):
                stream.close()
        except StoreUnavailable:
            return  # ``abort_unfinished`` finds the parts.
        self._delete([self._sending])

    def _delete(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        try:
            self._store.delete_many([piece.location for piece in pieces])
        except StoreUnavailable:
            # Nothing depends on it: a sweep finds them.
            logs.warning("objects_left", keys=[piece.key for piece in pieces])
        pieces.clear()
