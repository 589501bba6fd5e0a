"""
The two things the core needs from outside, as narrow as they can be.

A driver implements one of them; only ``moorage.app`` knows which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    def write(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that is durable once the block has ended without an exception."""

    def close(self) -> None:
        """Let go of all connections."""


class Busy(Exception):
    """Another writer holds the upload."""


class Missing(Exception):
    """The store has fewer bytes at that location than it should have."""


class Writer(Protocol):
    """The one writer of an upload, from an offset on. Not thread-safe; calls may come from different threads."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append the bytes."""

    def sync(self) -> None:
        """Make everything written so far durable: bytes and name."""

    def close(self) -> None:
        """Let the next writer in."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """`BlobStore.locate`: the bytes are this file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`BlobStore.locate`: the bytes are served by another host at this URL."""

    url: str


class Streamed:
    """`BlobStore.locate`: the bytes must be read through the store."""


Place = OnDisk | Elsewhere | Streamed


class BlobStore(Protocol):
    """Bytes by location. A location is made by the store and means nothing to anybody else."""

    def new_location(self, upload_id: str) -> str:
        """Return where the bytes of an upload will be, for good: nothing is copied at the end."""

    def open(self, location: str, offset: int) -> Writer:
        """
        Return the writer of an upload, standing at ``offset``.

        Bytes beyond the offset (of a writer that was cut off) are discarded
        with the first write or sync and not before: to open and close takes
        nothing away. Raises `Busy` while another writer is open, here or in
        another process, and `Missing` if there are fewer bytes than ``offset``.
        """

    def read(self, location: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to just before ``stop``; raises `Missing` if they are not there."""

    def locate(self, location: str) -> Place:
        """Tell how the bytes reach a client."""

    def size(self, location: str) -> int | None:
        """Return the number of bytes stored, or None if there is nothing."""

    def delete(self, location: str) -> None:
        """Remove the bytes, if any."""

    def older_than(self, when: datetime) -> Iterator[str]:
        """Yield the locations that were last written before ``when``."""
