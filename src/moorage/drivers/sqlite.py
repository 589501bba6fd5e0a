"""SQLite: one file, write-ahead log, every commit on disk before it is answered."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

from moorage import logs
from moorage.domain.errors import StorageFull
from moorage.drivers import wal
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
    # 128 MiB. By default it is 4: a large deletion then writes each page to the log and to the file again and
    # again, since every batch of it touches the same indexes.
    f"PRAGMA wal_autocheckpoint={wal.PAGES}",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
    "PRAGMA cache_size=-16384",
    "PRAGMA temp_store=MEMORY",
    # A log that has grown longer is cut when it begins anew.
    f"PRAGMA journal_size_limit={wal.BYTES // 2}",
)
_PASSING: Final = ("PRAGMA synchronous=NORMAL",)
_BULKY: Final = (
    # Of pages that are changed all over the indexes none should be written, and read again, before the commit.
    "PRAGMA cache_size=-65536",
    # Both are done once others may write.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA wal_autocheckpoint=0",
)


class SqliteDatabase:
    """A `Database` in one SQLite file, shared by all workers of one machine."""

    inline_reads = True

    def __init__(self, path: Path) -> None:
        self._folder, self._path = path.parent, path
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
        # Writers queue here, those of one process and then those of all, each in turn, instead of polling for
        # SQLite's lock against each other: that leaves some waiting for seconds.
        self._writing = threading.Lock()
        self._turn: int | None = None
        self._writers: dict[tuple[str, ...], sa.Connection] = {}
        # One connection is kept out of the pool, for one reader at a time: to lend costs more than to read.
        self._reading = threading.Lock()
        self._reader: sa.Connection | None = None
        self._watching = threading.Lock()
        self._watcher: sqlite3.Connection | None = None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot."""
        if not self._reading.acquire(blocking=False):
            with self.engine.connect() as connection:
                _driver(connection).execute("BEGIN").close()
                # Closing the connection rolls back, which for a reader only ends the snapshot.
                yield connection
            return
        try:
            if self._reader is None:
                self._reader = self.engine.connect()
            with _snapshot(self._reader) as connection:
                yield connection
        finally:
            self._reading.release()

    def version(self) -> int:
        """
        Return a number that is another one once anything was committed, by whichever process, and else the same.

        It costs a look at the index of the write-ahead log, in memory (SQLite: ``PRAGMA data_version``).
        """
        with self._watching:
            if self._watcher is None:
                # A connection that nobody writes with: of its own commits it would not be told.
                self._watcher = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
                _configure(self._watcher, None)
            found: int = self._watcher.execute("PRAGMA data_version").fetchone()[0]
            return found

    @contextmanager
    def write(self, *, lasting: bool = True, bulky: bool = False) -> Iterator[sa.Connection]:
        """
        Open the one writing transaction; IMMEDIATE, so that what is read in it cannot change under it.

        Everybody sees one that is not ``lasting`` once it is committed; it is on the disk with the next one that is.
        One that is ``bulky`` is on the disk when the block has ended, but nobody waits for that.
        """
        special = _BULKY if bulky else () if lasting else _PASSING
        with self._telling_when_full():
            with self._writing, self._in_turn():
                connection = self._writer(special)
                driver = _driver(connection)
                driver.execute("BEGIN IMMEDIATE").close()
                try:
                    yield connection
                    driver.execute("COMMIT").close()
                finally:
                    _leave(connection)
            if bulky:
                self._settle()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Wait for writers of other processes. The system lets go for one that dies."""
        if self._turn is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._turn = os.open(self._path.with_name(f"{self._path.name}-turn"), flags, 0o600)
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _writer(self, special: tuple[str, ...]) -> sa.Connection:
        if special not in self._writers:
            connection = self._writers[special] = self.engine.connect()
            for pragma in special:
                _driver(connection).execute(pragma).close()
        return self._writers[special]

    def _settle(self) -> None:
        """Do what a bulky transaction has left to do, while others write."""
        with self.engine.connect() as connection:
            wal.settle(self._path, _driver(connection))

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
        with self._reading, self._watching, self._writing:
            for connection in (self._reader, self._watcher, *self._writers.values()):
                if connection is not None:
                    connection.close()
            self._reader = self._watcher = None
            self._writers.clear()
            if self._turn is not None:
                os.close(self._turn)
                self._turn = None
        self.engine.dispose()


@contextmanager
def _snapshot(connection: sa.Connection) -> Iterator[sa.Connection]:
    driver = _driver(connection)
    driver.execute("BEGIN").close()
    try:
        yield connection
    finally:
        _leave(connection)


def _leave(connection: sa.Connection) -> None:
    """End what has not ended."""
    connection.rollback()
    driver = _driver(connection)
    if driver.in_transaction:
        # SQLAlchemy was not asked for anything, and knows of no transaction.
        driver.execute("ROLLBACK").close()


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's own connection: what is said to it costs no ceremony."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()
