"""PostgreSQL: what is durable, what is run anew, and what becomes of connections."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from moorage import migrations
from moorage.domain.errors import Overloaded, Unavailable, Undone
from moorage.drivers import postgres as driver
from moorage.drivers.postgres import PostgresDatabase
from moorage.registry.again import again
from moorage.registry.tables import facts, repositories
from moorage.registry.upsert import insert_if_absent
from tests import postgres
from tests.drivers.test_databases import add, names

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = sa.text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[postgres.Cluster]:
    """A server that tests may stop."""
    with postgres.running() as started:
        yield started


@pytest.fixture
def url(cluster: postgres.Cluster) -> str:
    """The URL of a database with our tables."""
    return cluster.migrated()


@pytest.fixture
def database(url: str) -> Iterator[PostgresDatabase]:
    """A database with a small pool and little patience."""
    opened = PostgresDatabase(url, pool=2, wait=1, timeout=3)
    yield opened
    opened.close()


@contextlib.contextmanager
def superuser(url: str) -> Iterator[sa.Connection]:
    """Open a connection beside the driver's."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def kill(url: str, *, state: str | None = None) -> int:
    """Cut all connections to a database; return how many there were."""
    wanted = BUSY if state is None else sa.text(f"{BUSY.text} AND state = '{state}'")
    with superuser(url) as connection:
        pids = connection.execute(wanted).scalars().all()
        for pid in pids:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    return len(pids)


def in_use(database: PostgresDatabase) -> int:
    """Return how many connections of the pool have not been given back."""
    pool = database.engine.pool
    assert isinstance(pool, sa.QueuePool)
    return pool.checkedout()


# --- What every connection is ---------------------------------------------------------


def settings_of(database: PostgresDatabase, *wanted: str) -> tuple[str, ...]:
    """Return settings as a writer has them."""
    with database.write() as tx:
        return tuple(tx.exec_driver_sql(f"SHOW {name}").scalar_one() for name in wanted)


def test_a_commit_waits_for_the_disk(cluster: postgres.Cluster, url: str) -> None:
    """Where the server's default is not to wait for the disk, our commits do; where it is to wait for more, they do that."""
    for default, ours in (("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
        name = sa.make_url(url).database
        cluster.execute(f"ALTER DATABASE {name} SET synchronous_commit = {default}")
        database = PostgresDatabase(url)
        assert settings_of(database, "synchronous_commit") == (ours,)
        database.close()


def test_a_transaction_is_what_the_core_expects(cluster: postgres.Cluster, url: str) -> None:
    """Whatever the server's defaults are, a reader has a snapshot and cannot write, and a writer reads what is committed."""
    name = sa.make_url(url).database
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = PostgresDatabase(url)
    asked = ("transaction_isolation", "transaction_read_only")
    with database.read() as tx:
        assert [tx.exec_driver_sql(f"SHOW {n}").scalar_one() for n in asked] == ["repeatable read", "on"]
    assert settings_of(database, *asked) == ("read committed", "off")
    database.close()


def test_nothing_is_waited_for_without_end(database: PostgresDatabase, url: str) -> None:
    """Statements, locks and idle transactions have limits; those that a URL gives come before ours."""
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")
    assert settings_of(database, *limits) == ("3s", "1s", "6s", "moorage")

    other = PostgresDatabase(f"{url}&options=-c%20statement_timeout%3D7s&application_name=mine")
    assert settings_of(other, *limits) == ("7s", "10s", "1min", "mine")
    other.close()


def test_texts_compare_by_their_bytes(database: PostgresDatabase) -> None:
    """Every column of text is sorted by bytes, whatever the database's locale, and no text could be sorted otherwise."""
    with database.read() as tx:
        other = tx.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type IN ('character varying', 'text') AND collation_name IS DISTINCT FROM 'C'"
        ).all()
    assert other == [("alembic_version", "version_num")]


# --- Failures of a statement ------------------------------------------------------------


def test_a_lost_failure_is_not_a_success(database: PostgresDatabase) -> None:
    """If a statement fails and the block ends as if nothing were, the block fails: its rows were rolled back."""
    with pytest.raises(RuntimeError, match="rolled back"), database.write() as tx:
        add(tx, "a")
        with contextlib.suppress(IntegrityError):
            add(tx, "a")

    with database.read() as tx:
        assert names(tx) == []


def test_a_mistake_of_ours_stays_one(database: PostgresDatabase) -> None:
    """An error that no other attempt would mend is raised as it is, and the connection serves on."""
    with pytest.raises(ProgrammingError), database.read() as tx:
        tx.exec_driver_sql("SELECT nonsense")
    with database.write() as tx:
        add(tx, "a")
    assert in_use(database) == 0


def test_what_was_taken_away_is_looked_for_again(database: PostgresDatabase) -> None:
    """A reference to what is gone by now undoes the unit, so that it finds that out for itself."""
    with pytest.raises(Undone), database.write() as tx:
        tx.exec_driver_sql("INSERT INTO tags (repository_id, name, digest, tagged_at) VALUES ('r', 't', 'd', 0)")


def test_a_deadlock_is_run_anew(url: str) -> None:
    """Two units that lock the same rows in different orders are both carried out."""
    database = PostgresDatabase(url)
    with database.write() as tx:
        add(tx, "a", "b")
    both = threading.Barrier(2, timeout=20)
    attempts = []

    def unit(first: str, second: str) -> None:
        attempts.append(first)
        with database.write() as tx:
            tx.execute(sa.update(repositories).where(repositories.c.name == first).values(policy=first))
            if len(attempts) <= 2:
                both.wait()
            tx.execute(sa.update(repositories).where(repositories.c.name == second).values(policy=first))

    threads = [threading.Thread(target=again, args=[partial(unit, *order)]) for order in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(attempts) == 3
    with database.read() as tx:
        assert len(set(tx.execute(sa.select(repositories.c.policy)).scalars())) == 1
    database.close()


def test_a_lock_that_is_not_given_up(database: PostgresDatabase, url: str) -> None:
    """A unit that waits too long for a lock is refused, and not run anew."""
    with database.write() as tx:
        add(tx, "a")
    with superuser(url) as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("SELECT * FROM repositories FOR UPDATE")
        with pytest.raises(Overloaded), database.write() as tx:
            tx.execute(sa.select(repositories).with_for_update()).all()
    assert in_use(database) == 0


def test_a_statement_that_does_not_end(database: PostgresDatabase) -> None:
    """A statement that takes too long is cancelled."""
    with pytest.raises(Overloaded), database.read() as tx:
        tx.exec_driver_sql("SELECT pg_sleep(60)")
    with database.read() as tx:
        assert names(tx) == []


def test_a_table_that_changes_under_a_statement(database: PostgresDatabase, url: str) -> None:
    """A statement that was prepared before a migration changed its result works after it."""

    def look() -> str:
        with database.read() as tx:
            return str(tx.execute(sa.text("SELECT revision FROM changing")).scalar_one())

    with superuser(url) as other:
        other.exec_driver_sql("CREATE TABLE changing (revision integer)")
        other.exec_driver_sql("INSERT INTO changing VALUES (1)")
        assert [look() for _ in range(10)] == ["1"] * 10  # after a few times psycopg prepares it
        other.exec_driver_sql("ALTER TABLE changing ALTER COLUMN revision TYPE varchar(4)")
        with pytest.raises(Undone):
            look()
        assert again(look) == "1"


# --- Connections --------------------------------------------------------------------------


def test_all_connections_in_use(database: PostgresDatabase) -> None:
    """Who finds no connection free in time is told so, and others are not disturbed."""
    with database.read() as first, database.read() as second:
        with pytest.raises(Overloaded), database.read():
            pytest.fail("there was a connection")  # pragma: no cover
        assert names(first) == names(second) == []
    with database.read() as tx:
        assert names(tx) == []
    assert in_use(database) == 0


def test_a_connection_that_died_unused(database: PostgresDatabase, url: str) -> None:
    """Connections that were cut while nobody used them are replaced, unnoticed."""
    with database.read(), database.read():
        pass
    assert kill(url) == 2
    with database.write() as tx, database.read():
        add(tx, "a")
    assert in_use(database) == 0


def test_a_connection_that_dies_in_a_block(database: PostgresDatabase, url: str) -> None:
    """A unit whose connection is cut is undone whole, and can be run anew."""
    attempts = []

    def unit() -> None:
        with database.write() as tx:
            add(tx, "a")
            attempts.append(1)
            if len(attempts) == 1:
                assert kill(url) == 1
            add(tx, "b")

    again(unit)
    assert len(attempts) == 2
    with database.read() as tx:
        assert names(tx) == ["a", "b"]


def test_a_connection_that_dies_at_the_end_of_a_read(database: PostgresDatabase, url: str) -> None:
    """A unit that has read all that it wanted is done: that its connection could not end the snapshot is nobody's loss."""
    with database.read() as tx:
        assert names(tx) == []
        assert kill(url) == 1
    assert in_use(database) == 0
    with database.read() as tx:
        assert names(tx) == []


def test_a_connection_that_dies_before_the_commit(database: PostgresDatabase, url: str) -> None:
    """Where nobody can tell whether a commit took place, the unit fails and is not run anew."""
    attempts = []

    def unit() -> None:
        with database.write() as tx:
            add(tx, "a")
            attempts.append(1)
            kill(url)

    with pytest.raises(Unavailable) as caught:
        again(unit)
    assert not isinstance(caught.value, Undone)
    assert len(attempts) == 1
    assert in_use(database) == 0
    with database.read() as tx:
        assert names(tx) == []


def test_a_server_that_starts_again(own_cluster: postgres.Cluster) -> None:
    """After a crash and a restart of the server the pool works again, and what was committed is there."""
    database = PostgresDatabase(own_cluster.migrated(), pool=3)
    with database.write() as tx, database.read(), database.read():
        add(tx, "a")
    own_cluster.control("restart", "-m", "immediate")
    with database.read() as tx, database.read(), database.read():
        assert names(tx) == ["a"]
    assert in_use(database) == 0
    database.close()


def test_a_server_that_is_away(own_cluster: postgres.Cluster) -> None:
    """While there is no server, each attempt ends with a failure, and soon after it is back they succeed."""
    database = PostgresDatabase(own_cluster.migrated(), pool=3)
    with database.write() as tx:
        add(tx, "a")
    own_cluster.control("stop", "-m", "fast")
    try:
        for _ in range(2):
            with pytest.raises(Unavailable), database.read():
                pytest.fail("there was a server")  # pragma: no cover
    finally:
        own_cluster.control("start")
    with database.read() as tx:
        assert names(tx) == ["a"]
    assert in_use(database) == 0
    database.close()


def test_a_server_without_room(own_cluster: postgres.Cluster) -> None:
    """Where the server takes no more connections, who cannot have one is told; who has one goes on."""
    database = PostgresDatabase(limited(own_cluster, "one", 1), pool=3)
    with database.read() as tx:
        with pytest.raises(Unavailable), database.read():
            pytest.fail("there was room")  # pragma: no cover
        assert tx.exec_driver_sql("SELECT 1").scalar_one() == 1
    with database.read() as tx:
        assert tx.exec_driver_sql("SELECT 1").scalar_one() == 1
    assert in_use(database) == 0
    database.close()


def test_a_pool_closes_what_it_does_not_need(own_cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that were taken for a rush are there for others when they were not needed for a while."""
    seconds = itertools.count(step=20)
    monkeypatch.setattr(driver, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=time.sleep))
    url = limited(own_cluster, "three", 3)
    greedy, other = PostgresDatabase(url, pool=3), PostgresDatabase(url, pool=3)
    with greedy.read(), greedy.read(), greedy.read(), pytest.raises(Unavailable), other.read():
        pytest.fail("there was room")  # pragma: no cover
    for _ in range(4):
        with greedy.read(), greedy.read():
            assert in_use(greedy) == 2
    with greedy.read(), greedy.read(), other.read() as tx:
        assert tx.exec_driver_sql("SELECT 1").scalar_one() == 1
    greedy.close()
    other.close()


def limited(cluster: postgres.Cluster, role: str, connections: int) -> str:
    """Return the URL of a database with our tables that takes only so many connections, of a role of its own."""
    url = cluster.migrated()
    name = sa.make_url(url).database
    cluster.execute(f"CREATE ROLE {role} LOGIN; ALTER DATABASE {name} OWNER TO {role}")
    cluster.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {connections}")
    return url.replace("postgres@", f"{role}@")


# --- Portable statements ----------------------------------------------------------------------


def test_an_insert_tells_whether_it_inserted(database: PostgresDatabase) -> None:
    """Of two inserts of one key the first says that it inserted, and the second that it did not."""
    with database.write() as tx:
        assert insert_if_absent(tx, facts, {"name": "a", "value": "1"})
        assert not insert_if_absent(tx, facts, {"name": "a", "value": "2"})


def test_the_url_may_name_no_driver(url: str) -> None:
    """``postgresql://`` is as good as ``postgresql+psycopg://``."""
    database = PostgresDatabase(url.replace("postgresql+psycopg", "postgresql"))
    assert migrations.current(database.engine) == migrations.HEAD
    database.close()
