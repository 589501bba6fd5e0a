"""What every database must do. A new one is a line in `DATABASES`."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, InternalError

from moorage import migrations
from moorage.domain.errors import Undone
from moorage.drivers import wal
from moorage.drivers.postgres import PostgresDatabase
from moorage.drivers.sqlite import SqliteDatabase
from moorage.registry.tables import repositories, uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moorage.registry.storage import Database

DATABASES: dict[str, Callable[[Path], Database]] = {
    "sqlite": lambda folder: SqliteDatabase(folder / "moorage.sqlite"),
    "postgres": lambda folder: PostgresDatabase((folder / "url").read_text()),
}
THREADS, TURNS = 4, 25


@pytest.fixture(params=DATABASES)
def driver(request: pytest.FixtureRequest) -> str:
    """The name of a driver: a child process opens the same database by it."""
    name: str = request.param
    return name


@pytest.fixture
def database(driver: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with our tables, empty."""
    if driver == "postgres":
        (tmp_path / "url").write_text(request.getfixturevalue("cluster").create())
    opened: Any = DATABASES[driver](tmp_path)
    migrations.upgrade(opened.engine)
    yield opened
    opened.close()


def add(tx: sa.Connection, *names: str) -> None:
    """Insert repositories."""
    for name in names:
        tx.execute(
            sa.text(
                "INSERT INTO repositories (id, account_id, region, name, created_at, tag_mutability,"
                " mutability_filters, resource_tags) VALUES (:id, '123456789012', 'eu-west-1', :id, 0, 'MUTABLE', '[]', '{}')"
            ),
            {"id": name},
        )


def names(tx: sa.Connection) -> list[str]:
    """Return the names of all repositories."""
    return list(tx.execute(sa.select(repositories.c.name).order_by(repositories.c.name)).scalars())


def test_what_was_written_is_read(database: Database) -> None:
    """When a writing block has ended, everybody reads what it wrote."""
    with database.write() as tx:
        add(tx, "a", "b")
        assert names(tx) == ["a", "b"]

    with database.read() as tx:
        assert names(tx) == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_undoes_all(database: Database, error: type[BaseException]) -> None:
    """A block that raises leaves nothing of what it wrote, and the next one can write."""
    with pytest.raises(error), database.write() as tx:
        add(tx, "a")
        raise error
    with database.write() as tx:
        assert names(tx) == []
        add(tx, "b")

    with database.read() as tx:
        assert names(tx) == ["b"]


def test_a_failed_statement_undoes_all(database: Database) -> None:
    """A statement that breaks a constraint fails the block, and what came before it goes too."""
    with pytest.raises(IntegrityError), database.write() as tx:
        add(tx, "a")
        add(tx, "a")

    with database.read() as tx:
        assert names(tx) == []


def test_a_failure_within_can_be_survived(database: Database) -> None:
    """Within a nested block a statement may fail without the rest (repositories.create)."""
    with database.write() as tx:
        add(tx, "a")
        with pytest.raises(IntegrityError), tx.begin_nested():
            add(tx, "b")
            add(tx, "a")
        add(tx, "c")

    with database.read() as tx:
        assert names(tx) == ["a", "c"]


def test_a_reader_sees_one_moment(database: Database) -> None:
    """What is read in one block does not change under it, though others write meanwhile."""
    with database.write() as tx:
        add(tx, "a")
    with database.read() as tx:
        before = names(tx)
        with database.write() as other:
            add(other, "b")
        assert names(tx) == before == ["a"]

    with database.read() as tx:
        assert names(tx) == ["a", "b"]


def test_a_reader_does_not_see_what_is_not_committed(database: Database) -> None:
    """What a writer has not committed is not read, and the reader does not wait for it."""
    with database.write() as tx:
        add(tx, "a")
        with database.read() as other:
            assert names(other) == []


def test_a_reader_writes_nothing(database: Database) -> None:
    """What a reading block writes is not kept."""
    with contextlib.suppress(InternalError), database.read() as tx:
        add(tx, "a")  # which PostgreSQL refuses at once

    with database.read() as tx:
        assert names(tx) == []


def test_what_is_referred_to_must_be_there(database: Database) -> None:
    """Foreign keys are enforced, and their rows go with what they refer to."""
    values = {"id": "u", "offset": 0, "parts": 0, "small_parts": 0, "last_part_small": False, "location": "x"}
    upload = sa.insert(uploads).values(**values, touched_at=sa.literal(0, sa.BigInteger))
    with pytest.raises((IntegrityError, Undone)), database.write() as tx:
        tx.execute(upload.values(repository_id="none"))
    with database.write() as tx:
        add(tx, "a")
        tx.execute(upload.values(repository_id="a"))
        tx.execute(sa.delete(repositories))

    with database.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(uploads)).scalar_one() == 0


def test_a_read_then_write_loses_no_update(database: Database) -> None:
    """Writers that count up what they read under its lock, all at once, lose no count."""
    with database.write() as tx:
        add(tx, "a")
        tx.execute(sa.update(repositories).values(policy="0"))

    def count() -> None:
        for _ in range(TURNS):
            with database.write() as tx:
                seen = int(tx.execute(sa.select(repositories.c.policy).with_for_update()).scalar_one())
                tx.execute(sa.update(repositories).values(policy=str(seen + 1)))

    run_in_threads(count)

    with database.read() as tx:
        assert tx.execute(sa.select(repositories.c.policy)).scalar_one() == str(THREADS * TURNS)


def test_a_version_tells_of_every_commit(database: Database, driver: str, tmp_path: Path) -> None:
    """Where a database has a version, it is another one after a commit of any process, and else stays."""
    before = database.version()
    assert database.version() == before
    if before is None:
        return
    seen: set[int | None] = {before}
    with contextlib.closing(DATABASES[driver](tmp_path)) as other:
        for number, writer in enumerate((database, other, database)):
            for lasting in (True, False):
                with writer.write(lasting=lasting) as tx:
                    add(tx, f"{number}-{lasting}")
                assert database.version() not in seen
                seen.add(database.version())
    with contextlib.suppress(ZeroDivisionError), database.write() as tx:
        add(tx, "undone")
        raise ZeroDivisionError
    assert database.version() in seen


def test_what_need_not_last_is_seen_at_once(database: Database, driver: str, tmp_path: Path) -> None:
    """A commit that need not survive the power is read by other processes as any other, and stays in its order."""
    with contextlib.closing(DATABASES[driver](tmp_path)) as other:
        with database.write(lasting=False) as tx:
            add(tx, "a")
        with other.write() as tx:
            assert names(tx) == ["a"]
            add(tx, "b")
        with database.read() as tx:
            assert names(tx) == ["a", "b"]


def run_in_threads(act: Callable[[], None]) -> None:
    """Do something in several threads at once; raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 (given to the caller)
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def write_from_a_process(driver: str, folder: Path, prefix: str, barrier: Any, results: Any) -> None:
    """Write from several threads of another process."""
    database = DATABASES[driver](folder)
    barrier.wait()
    numbers = iter(range(THREADS * TURNS))
    lock = threading.Lock()

    def act() -> None:
        for _ in range(TURNS):
            with lock:
                number = next(numbers)
            with database.write() as tx:
                add(tx, f"{prefix}-{number}")

    try:
        run_in_threads(act)
        results.put("done")
    except BaseException as error:  # noqa: BLE001 (given to the parent)
        results.put(repr(error))
    database.close()


def test_all_of_many_writers_succeed(database: Database, driver: str, tmp_path: Path) -> None:
    """Two processes of several threads each write at once, and every write is there."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    children = [
        context.Process(target=write_from_a_process, args=(driver, tmp_path, prefix, barrier, results))
        for prefix in ("x", "y")
    ]
    for child in children:
        child.start()
    outcomes = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join(timeout=60)

    assert outcomes == ["done", "done"]
    with database.read() as tx:
        assert set(names(tx)) == {f"{p}-{n}" for p in ("x", "y") for n in range(THREADS * TURNS)}


def test_readers_do_not_wait_for_a_writer_of_another_process(database: Database, driver: str, tmp_path: Path) -> None:
    """Many readers read while a writer is open elsewhere."""
    other = DATABASES[driver](tmp_path)
    with other.write() as tx:
        add(tx, "a")

        def look() -> None:
            with database.read() as reading:
                assert names(reading) == []

        run_in_threads(look)
    other.close()


def test_a_closed_database_leaves_no_connection(database: Database) -> None:
    """After closing, the database can be used again, and closed again."""
    database.close()
    with database.write() as tx:
        add(tx, "a")
    database.close()
    with database.read() as tx:
        assert names(tx) == ["a"]


# --- SQLite alone --------------------------------------------------------------------


def test_every_sqlite_connection_is_durable(tmp_path: Path) -> None:
    """Each of many connections at once has the log, the full sync, the foreign keys and the patience."""
    database = SqliteDatabase(tmp_path / "moorage.sqlite")
    opened = [database.engine.connect() for _ in range(20)]
    pragmas = {
        tuple(
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        )
        for connection in opened
    }
    for connection in opened:
        connection.close()
    database.close()

    assert pragmas == {("wal", 2, 1, 60_000)}


def test_a_bulky_transaction_leaves_no_long_log_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it has ended, and the log is long, all that it has changed is in the file itself."""
    database = SqliteDatabase(tmp_path / "moorage.sqlite")
    migrations.upgrade(database.engine)
    monkeypatch.setattr(wal, "_OWN", 0)
    with database.write(bulky=True) as tx:
        add(tx, "a")
    shutil.copy(tmp_path / "moorage.sqlite", tmp_path / "copy.sqlite")
    database.close()
    copy = SqliteDatabase(tmp_path / "copy.sqlite")
    with copy.read() as tx:
        assert names(tx) == ["a"]
    copy.close()


def test_a_killed_sqlite_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    """A process killed between two statements of a transaction leaves all of those before it, and none of that one."""
    database = SqliteDatabase(tmp_path / "moorage.sqlite")
    migrations.upgrade(database.engine)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=write_and_wait, args=(tmp_path, ready))
    child.start()
    assert ready.wait(timeout=60)
    child.kill()
    child.join(timeout=60)

    with database.write() as tx:
        assert names(tx) == ["whole-1", "whole-2"]
        add(tx, "after")
    database.close()


def write_and_wait(folder: Path, ready: Any) -> None:
    """Write a transaction, begin a second one, and wait to be killed."""
    database = SqliteDatabase(folder / "moorage.sqlite")
    with database.write() as tx:
        add(tx, "whole-1", "whole-2")
    with database.write() as tx:
        add(tx, "half")
        ready.set()
        threading.Event().wait()
