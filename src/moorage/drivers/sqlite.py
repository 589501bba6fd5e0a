"""SQLite: one file, write-ahead log, every commit on disk before it is answered."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

from moorage import logs
from moorage.domain.errors import StorageFull
from moorage.drivers.space import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_MILLISECONDS: Final = 60_000
_PRIMARY: Final = 0xFF
"""The part of an error's code that says what kind it is."""
_NEXT_TO_NOTHING: Final = 1024 * 1024
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    # FULL syncs the log at each commit: an answered write survives a power cut.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # Pages, 64 MiB. By default it is 4: a large deletion then writes each page to the log and to the file again and
    # again, since every batch of it touches the same indexes.
    "PRAGMA wal_autocheckpoint=16000",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
    "PRAGMA cache_size=-16384",
    "PRAGMA temp_store=MEMORY",
)


class SqliteDatabase:
    """A `Database` in one SQLite file, shared by all workers of one machine."""

    inline_reads = True

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self.engine = sa.create_engine(
            f"sqlite:///{path}",
            # Transactions are begun below, by hand: the driver's own habit of
            # beginning them late would read outside of any.
            connect_args={"isolation_level": None, "check_same_thread": False},
            poolclass=sa.QueuePool,
            pool_size=8,
            max_overflow=64,
        )
        sa.event.listen(self.engine, "connect", _configure)
        # Within one process writers queue here, in turn, instead of polling for
        # the file's lock against each other.
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot."""
        with self.engine.connect() as connection:
            _driver(connection).execute("BEGIN").close()
            # Closing the connection rolls back, which for a reader only ends the snapshot.
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open the one writing transaction; IMMEDIATE, so that what is read in it cannot change under it."""
        with self._telling_when_full(), self._writing, self.engine.connect() as connection:
            driver = _driver(connection)
            driver.execute("BEGIN IMMEDIATE").close()
            # If the block or the commit raises, closing the connection rolls back.
            yield connection
            driver.execute("COMMIT").close()

    @contextmanager
    def _telling_when_full(self) -> Iterator[None]:
        """Raise `StorageFull` for what SQLite says, in more than one way, of a disk that is full."""
        try:
            yield
        except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
            code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & _PRIMARY
            # Some of its files it only extends: then all that it knows is that this went wrong.
            is_full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self.free() < _NEXT_TO_NOTHING)
            if not is_full:
                raise
            logs.warning("database_disk_full", reason=str(error))
            raise StorageFull from error

    def free(self) -> int:
        """Return the bytes free on the disk of the file."""
        return free_bytes(self._folder)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's own connection: what is said to it costs no ceremony."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()
