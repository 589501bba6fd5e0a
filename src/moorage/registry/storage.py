"""
The two things the core needs from outside, as narrow as they can be.

A driver implements one of them; only ``moorage.app`` knows which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy as sa


class Database(Protocol):
    """Transactions. What is read inside one is a consistent snapshot."""

    inline_reads: bool
    """Whether a point read is cheaper than a hop to a thread (an embedded database)."""

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that only reads."""

    def write(self, *, lasting: bool = True, bulky: bool = False) -> AbstractContextManager[sa.Connection]:
        """
        Open a transaction that is durable once the block has ended without an exception.

        One that is not ``lasting`` may be lost with the power of the machine, until the next one that is. For what no
        answer promises: that an upload has begun, and how far it has come. One that is ``bulky`` changes thousands of
        rows, and does after its end, when others may write, what need not be done before. It lasts.
        """

    def version(self) -> int | None:
        """Return a number that is another one after each commit of anybody, None where that would be dear."""

    def free(self) -> int | None:
        """Return the bytes free on its disk, None where that is not to be known."""

    def close(self) -> None:
        """Let go of all connections."""


class Busy(Exception):
    """Another writer holds the upload."""


class Missing(Exception):
    """The store has fewer bytes at that location than it should have."""


class Writer(Protocol):
    """
    A writer of an upload, from an offset on. Not thread-safe; calls may come from different threads.
    Whatever writes raises `StorageFull` where there is no space.

    What `flush` and `sync` return is the upload's location from then on, once a
    row says so; until then the upload is what it was before.
    """

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append the bytes."""

    def flush(self) -> str:
        """Let any process read everything written so far, and go on from there; return where it is."""

    def sync(self) -> str:
        """As `flush`, and make it durable: bytes and name."""

    def keep(self) -> None:
        """Let go of what the flushed location replaces: a row names that location, durably."""

    def discard(self) -> None:
        """Let go of what was flushed: no row will ever name it."""

    def close(self) -> None:
        """Let the next writer in, and let go of what was not flushed."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """`BlobStore.locate`: the bytes are this file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`BlobStore.locate`: the bytes are served by another host."""

    url: Callable[[], str]
    """Makes a URL that whoever has it can read for some minutes. May ask another host for credentials."""


class Streamed:
    """`BlobStore.locate`: the bytes must be read through the store."""


Place = OnDisk | Elsewhere | Streamed


def upload_of(location: str) -> str:
    """Return the upload that a location came from: each begins with two characters of its id, a slash, and the id."""
    return location[3:39]


class BlobStore(Protocol):
    """
    Bytes by location. A location is made by the store and means nothing to anybody else, but for its
    beginning (`upload_of`).

    A store may keep one location in several pieces, each of which is a location too.
    """

    at_once: int
    """So many locations `delete_many` is best given: of more, others who use the store would notice."""

    def new_location(self, upload_id: str) -> str:
        """Return the location of an upload to which nothing has been written yet."""

    def check(self) -> None:
        """Raise OSError or `StoreUnavailable` unless the store answers; takes seconds at most."""

    def free(self) -> int | None:
        """Return the bytes free on its disk, None where there is no such bound."""

    def open(self, location: str, offset: int) -> Writer:
        """
        Return a writer of an upload, standing at ``offset``.

        Bytes beyond the offset (of a writer that was cut off) are discarded
        with the first write or sync and not before: to open and close takes
        nothing away. Raises `Missing` if there are fewer bytes than ``offset``.

        A store in which two writers would write to the same place raises `Busy`
        while another one is open, here or in another process. In any other the
        writers do not see each other, and a row decides whose location counts.
        """

    def read(self, location: str, start: int, stop: int) -> Generator[bytes]:
        """Yield the bytes from ``start`` to just before ``stop``; raises `Missing` if they are not there."""

    def locate(self, location: str) -> Place:
        """Tell how the bytes reach a client."""

    def size(self, location: str) -> int | None:
        """Return the number of bytes stored, or None if there is nothing."""

    def delete(self, location: str) -> None:
        """Remove the bytes, if any."""

    def delete_many(self, locations: Sequence[str]) -> None:
        """Remove the bytes of all of them, in as few requests as the store allows."""

    def pieces(self, location: str) -> list[str]:
        """Return the locations, one a piece, that `older_than` would yield for this one."""

    def older_than(self, when: datetime) -> Iterator[str]:
        """Yield the pieces that were last written before ``when``, whether or not a row names them."""

    def abort_unfinished(self, when: datetime) -> int:
        """Drop what writers that died left half written before ``when``; return how many of them."""
