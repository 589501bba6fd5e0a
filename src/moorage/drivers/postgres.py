"""
PostgreSQL, or what speaks its protocol: one pool of connections for each worker.

Transactions are begun and ended by one message each, said to libpq itself. The
first of them is also the proof that a pooled connection lives, so that no ping is
needed: one that died with its server is replaced before anything was asked of it.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from moorage import logs
from moorage.domain.errors import Overloaded, StorageFull, Unavailable, Undone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.errors import Failure

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Whatever the server's default is: what the core reads after it has locked a row must be what is committed then.
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_PAUSES: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each new attempt to begin, less a random part: a server that restarts is met again."""
_RECYCLED: Final = 1800
"""Seconds after which a connection is replaced: firewalls forget, and addresses move."""
_UNUSED: Final = 30.0
"""Seconds after which connections that were not needed at any time are closed: other workers may have none."""
_CONFLICTS: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: undone, and to be run anew."""
_TAKEN_AWAY: Final = "23503"
"""foreign_key_violation: what the unit had found was deleted before it could refer to it; anew, it will not find it."""
_TOO_LONG: Final = frozenset({"55P03", "57014"})
"""lock_not_available, query_canceled: a lock or a statement took longer than it may."""
_CACHED_PLAN: Final = "0A000"
"""feature_not_supported, said of a prepared statement whose tables a migration has changed."""
_RESOURCES: Final = ("53", "57P")
"""Classes: no memory, no disk, no connection free; the server is stopping or starting."""
_DISK_FULL: Final = "53100"
_READ_ONLY: Final = "25006"
"""read_only_sql_transaction: of a write, that this server is a standby by now."""
_CONNECTION: Final[dict[str, Any]] = {
    "application_name": "moorage",
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # A request that was sent and not even acknowledged: the host is gone.
    "tcp_user_timeout": 30_000,
}
_DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


class _Pool(sa.QueuePool):
    """A pool that shrinks again to what it needs."""

    _since = 0.0
    _unused = 0
    """How many connections were free at any time since then."""
    _surplus = 0

    def _do_get(self) -> sa.pool.ConnectionPoolEntry:
        record = super()._do_get()
        self._unused = min(self._unused, self.checkedin())
        return record

    def _do_return_conn(self, record: sa.pool.ConnectionPoolEntry) -> None:
        now = time.monotonic()
        if now - self._since >= _UNUSED:
            self._surplus, self._unused, self._since = self._unused, self.checkedin(), now
        # Where none is free, somebody may be waiting for this one.
        if self._surplus and self.checkedin():
            self._surplus -= 1
            try:
                record.close()
            finally:
                self._dec_overflow()
        else:
            super()._do_return_conn(record)


class PostgresDatabase:
    """A `Database` on a PostgreSQL server, shared by the workers of all nodes."""

    inline_reads = False

    def __init__(self, url: str, *, pool: int = 8, wait: float = 10, timeout: int = 30) -> None:
        """
        Prepare a pool of at most ``pool`` connections; none is opened yet.

        ``wait``: seconds to wait for a free one. ``timeout``: seconds that a
        statement may take; a lock is waited for a third of that.
        """
        parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
        given = parsed.query.get("options", "")
        limits = (
            f"-c statement_timeout={timeout}s -c lock_timeout={max(timeout // 3, 1)}s"
            f" -c idle_in_transaction_session_timeout={2 * timeout}s"
        )
        defaults = {name: value for name, value in _CONNECTION.items() if name not in parsed.query}
        self.engine = sa.create_engine(
            parsed,
            isolation_level="AUTOCOMMIT",  # transactions are begun below, by hand
            connect_args={**defaults, "options": f"{limits} {given}".strip()},
            use_native_hstore=False,
            poolclass=_Pool,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=wait,
            pool_recycle=_RECYCLED,
            # The others go unused, and are closed.
            pool_use_lifo=True,
        )
        sa.event.listen(self.engine, "connect", _make_durable)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a snapshot; raises `Unavailable`, or `Overloaded` if no connection is free in time."""
        with self._transaction(_READ) as connection:
            yield connection

    @contextmanager
    def write(
        self,
        *,
        lasting: bool = True,  # noqa: ARG002 (all that it commits lasts)
        bulky: bool = False,  # noqa: ARG002 (its server writes back by itself)
    ) -> Iterator[sa.Connection]:
        """
        Open a transaction, durable when the block has ended.

        What it decides on must be read under a lock. Raises as `read` does, `Undone` where the block may be
        run anew, and `Unavailable` where it may not, because the connection broke while it was committed.
        """
        with self._transaction(_WRITE) as connection:
            yield connection
            _commit(connection)

    def version(self) -> None:
        """Know none: to ask the server costs as much as the rows."""

    def free(self) -> None:
        """Know nothing of the server's disk."""

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sa.Connection]:
        connection = self._begun(begin)
        try:
            yield connection
        except DBAPIError as error:
            failure = _failure(error, writing=begin == _WRITE)
            if failure is None:
                raise
            if _is_stale_plan(error):
                connection.invalidate()
            logs.warning("database_failed", reason=str(error.orig), sqlstate=_state(error))
            raise failure from error
        finally:
            _end(connection)

    def _begun(self, begin: str) -> sa.Connection:
        for pause in _PAUSES:
            if pause:  # to sleep for no time is to wait for one's turn again
                time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (spreads load, keeps no secret)
            try:
                return self._begin(begin)
            except NoneFree as error:
                logs.warning("no_connection_free", pool=self.engine.pool.status())
                raise Overloaded from error
            except (InterfaceError, OperationalError) as error:
                last = error
        logs.warning("database_unavailable", reason=str(last.orig))
        raise Unavailable from last

    def _begin(self, begin: str) -> sa.Connection:
        connection = self.engine.connect()
        try:
            if _say(connection, begin) != b"BEGIN":
                # By the long way, on which SQLAlchemy notices that the connection is dead, and all older ones with it.
                connection.exec_driver_sql(begin)
        except BaseException:
            connection.close()
            raise
        return connection


def _driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _say(connection: sa.Connection, command: str) -> bytes | None:
    """Say a command and return what the server has done, None if it has not."""
    try:
        result = _driver(connection).pgconn.exec_(command.encode())
    except psycopg.OperationalError:
        return None
    return result.command_status if result.status == ExecStatus.COMMAND_OK else None


def _commit(connection: sa.Connection) -> None:
    try:
        result = _driver(connection).pgconn.exec_(b"COMMIT")
    except psycopg.OperationalError as error:
        raise Unavailable from error
    if result.status == ExecStatus.COMMAND_OK:
        if result.command_status != b"COMMIT":
            # A statement failed and its error was lost on the way: PostgreSQL rolls back and calls that a success.
            raise RuntimeError("the transaction had failed, and was rolled back")
        return
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    reason = result.error_message.decode(errors="replace").strip()
    logs.warning("commit_failed", reason=reason, sqlstate=state)
    if state in _CONFLICTS:
        raise Undone
    raise StorageFull if state == _DISK_FULL else Unavailable


def _end(connection: sa.Connection) -> None:
    """End the transaction, if it has not ended, and give the connection back."""
    if not connection.invalidated:
        status = _driver(connection).pgconn.transaction_status
        if status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            has_ended = _say(connection, "ROLLBACK") is not None
        else:
            has_ended = status == TransactionStatus.IDLE
        if not has_ended:
            # To give it back would try to end the transaction once more, and raise.
            connection.invalidate()
    connection.close()


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _is_stale_plan(error: DBAPIError) -> bool:
    return _state(error) == _CACHED_PLAN and "cached plan" in str(error.orig)


def _failure(error: DBAPIError, *, writing: bool) -> Failure | None:
    """Return what a statement's error means to the caller; None for one that is our own fault."""
    state = _state(error)
    if error.connection_invalidated or state in _CONFLICTS or state == _TAKEN_AWAY or _is_stale_plan(error):
        return Undone()
    if state in _TOO_LONG:
        return Overloaded()
    if state == _DISK_FULL:
        return StorageFull()
    if state.startswith(_RESOURCES) or (writing and state == _READ_ONLY):
        return Unavailable()
    return None


def _make_durable(connection: psycopg.Connection[Any], _record: Any) -> None:
    """Let commits wait for the disk, where the server's default is that they do not; stronger settings stay."""
    connection.execute(_DURABLE)
