"""``moorage migrate``, and what a server makes of a PostgreSQL database that is not, or no more, as it needs it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from typer.testing import CliRunner, Result

from moorage import app, installation, migrations
from moorage.cli.main import app as command
from moorage.config import Settings, SettingsError
from moorage.registry.secrets import encode_key
from moorage.registry.tables import access_keys, facts, metadata
from tests import content, servers
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import Cluster

NEWER = "9999"


@pytest.fixture
def url(cluster: Cluster) -> str:
    """The URL of an empty database."""
    return cluster.create()


def migrate(data: Path, url: str, *more: str) -> Result:
    """Run ``moorage migrate``."""
    arguments = ["migrate", "--data", str(data), "--database", url, "--account-id", ACCOUNT, *more]
    return CliRunner().invoke(command, arguments)


def settings(data: Path, url: str) -> Settings:
    """Return the settings of a node."""
    return Settings(data=data, database=url, account_id=ACCOUNT)


@contextlib.contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """Open a connection of our own."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def at_once(count: int, act: Any) -> list[Any]:
    """Call a function with 0, 1, … in as many threads at once; return what it returned."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(act, range(count)))


# --- The command --------------------------------------------------------------------------


def test_an_empty_database_becomes_a_registry(tmp_path: Path, url: str) -> None:
    """``migrate`` makes the tables, the root access key and the check of the master key; then a server starts."""
    assert migrate(tmp_path, url, "--check").exit_code == 1

    done = migrate(tmp_path, url)

    assert (done.exit_code, migrations.HEAD in done.stdout) == (0, True)
    assert migrate(tmp_path, url, "--check").exit_code == 0
    key = installation.read_root_key(tmp_path, ACCOUNT)
    assert key is not None
    with servers.running(tmp_path, "--database", url, workers=1) as server:
        assert server.key == key
        server.client().create_repository(repositoryName="app")


def test_migrating_twice_changes_nothing(tmp_path: Path, url: str) -> None:
    """A second ``migrate``, from here or from another machine, leaves everything as it is."""
    migrate(tmp_path / "one", url)
    key = (tmp_path / "one" / "master.key").read_text()
    with connected(url) as connection:
        before = [connection.execute(sa.select(table)).all() for table in metadata.tables.values()]
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "master.key").write_text(key)

    assert [migrate(tmp_path / name, url).exit_code for name in ("one", "two")] == [0, 0]

    with connected(url) as connection:
        assert [connection.execute(sa.select(table)).all() for table in metadata.tables.values()] == before
    assert installation.read_root_key(tmp_path / "two", ACCOUNT) is None


def test_several_migrate_at_once(tmp_path: Path, url: str) -> None:
    """Of several who migrate an empty database at the same moment all succeed, and there is one root key."""
    master = encode_key(bytes(32))
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "master.key").write_text(master)

    problems = at_once(4, lambda number: app.migrate(settings(tmp_path / str(number), url)))

    assert problems == [None] * 4
    with connected(url) as connection:
        assert len(connection.execute(sa.select(access_keys)).all()) == 1
    made = [installation.read_root_key(tmp_path / str(number), ACCOUNT) for number in range(4)]
    assert len([key for key in made if key is not None]) == 1


def test_the_tables_are_those_of_the_code(tmp_path: Path, url: str) -> None:
    """On PostgreSQL too, Alembic finds nothing in which the database differs from the tables in code."""
    migrate(tmp_path, url)
    with connected(url) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert [one for one in differences if "comment" not in str(one[0])] == []


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, url: str) -> None:
    """If a revision cannot be run, the database is as it was, and the next ``migrate`` does it all."""
    with connected(url) as connection:
        connection.exec_driver_sql("CREATE TABLE facts (other integer)")
        with pytest.raises(sa.exc.ProgrammingError):
            migrations.upgrade(connection.engine)
        assert sa.inspect(connection).get_table_names() == ["facts"]
        connection.exec_driver_sql("DROP TABLE facts")
    assert migrate(tmp_path, url).exit_code == 0


# --- What a server refuses ------------------------------------------------------------------


def test_a_server_makes_no_tables(tmp_path: Path, url: str) -> None:
    """A server refuses an empty database, names the command, and leaves it empty."""
    with pytest.raises(RuntimeError, match="there is no registry in the database yet: `moorage migrate` makes"):
        servers.start(tmp_path, "--database", url)
    with connected(url) as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_server_does_not_migrate(tmp_path: Path, cluster: Cluster) -> None:
    """A server refuses tables of an older version, and names the command."""
    url = cluster.migrated()
    with connected(url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(SettingsError, match=r"\(0001, not \d+\): `moorage migrate` brings them up to date"):
        app.prepare(settings(tmp_path, url))


def test_another_master_key(tmp_path: Path, cluster: Cluster) -> None:
    """A node that has another master key than the first is refused, by ``serve`` and by ``migrate``."""
    url = cluster.migrated()
    app.prepare(settings(tmp_path / "one", url))
    for start in (app.prepare, app.migrate):
        with pytest.raises(SettingsError, match="the master key is not the one that the database was made with"):
            start(settings(tmp_path / "two", url))


def test_another_master_key_where_there_are_no_keys(tmp_path: Path, cluster: Cluster) -> None:
    """The check of the master key does not depend on there being an access key."""
    url = cluster.migrated()
    app.prepare(settings(tmp_path / "one", url))
    with connected(url) as connection:
        connection.execute(sa.delete(access_keys))
    with pytest.raises(SettingsError, match="the master key is not the one"):
        app.prepare(settings(tmp_path / "two", url))


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    """Where no server answers, or the URL is none, the command ends with one line that shows no password."""
    for url in (f"postgresql://u:geheim@/d?host={tmp_path}", "postgresql://u:geheim@host:port/d"):
        done = migrate(tmp_path, url)
        assert done.exit_code == 2
        assert done.stderr.startswith("moorage: ")
        assert done.stderr.count("\n") == 1
        assert "geheim" not in done.stderr


# --- Two releases on one database -----------------------------------------------------------


def expand(url: str, *, oldest: str | None) -> None:
    """Do to a database what the next release's ``migrate`` does: it only adds."""
    with connected(url) as connection:
        for table in ("repositories", "manifests", "uploads", "blobs"):
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN of_the_next_release text")
        connection.exec_driver_sql("CREATE TABLE of_the_next_release (id integer PRIMARY KEY)")
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": NEWER})
        if oldest is not None:
            connection.execute(sa.update(facts).where(facts.c.name == "oldest_code").values(value=oldest))


def test_the_next_releases_tables(tmp_path: Path, cluster: Cluster) -> None:
    """A running server works on while the next release adds to the tables under it, and starts again on them."""
    url = cluster.migrated()
    with servers.running(tmp_path, "--database", url) as server:
        server.client().create_repository(repositoryName="app")
        first = content.push(server, "app", "v1")
        expand(url, oldest=None)
        second = content.push(server, "app", "v2")
    with servers.running(tmp_path, "--database", url) as server:
        third = content.push(server, "app", "v3")
        listed = server.client().describe_images(repositoryName="app")["imageDetails"]
    assert {image["imageDigest"] for image in listed} == {first.digest, second.digest, third.digest}
    assert migrate(tmp_path, url, "--check").exit_code == 0
    assert migrate(tmp_path, url).exit_code == 0
    with connected(url) as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == NEWER


def test_tables_that_this_version_cannot_share(tmp_path: Path, cluster: Cluster) -> None:
    """Tables from which a newer version has taken something away are refused, by ``serve`` and by ``migrate``."""
    url = cluster.migrated()
    expand(url, oldest=NEWER)
    for start in (app.prepare, app.migrate):
        with pytest.raises(SettingsError, match=rf"\({NEWER}, not \d+\), with which this one cannot share them"):
            start(settings(tmp_path, url))


# --- Several nodes ---------------------------------------------------------------------------


def test_nodes_that_start_at_once(tmp_path: Path, cluster: Cluster) -> None:
    """Several nodes may start for the first time at the same moment: one of them makes the root key."""
    url = cluster.migrated()
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "master.key").write_text(encode_key(bytes(32)))

    at_once(4, lambda number: app.prepare(settings(tmp_path / str(number), url)))

    files = [json.loads(file.read_text()) for file in tmp_path.rglob("root-access-key-*.json")]
    with connected(url) as connection:
        ids = connection.execute(sa.select(access_keys.c.id)).scalars().all()
    assert [file["access_key_id"] for file in files] == ids
    assert len(ids) == 1
