"""The tables' history: it ends where this version stands, and makes the tables that the code speaks of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from moorage import app, installation, migrations
from moorage.config import Settings
from moorage.drivers.sqlite import SqliteDatabase
from moorage.migrations import Found
from moorage.registry.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    made = sa.create_engine(f"sqlite:///{tmp_path / 'moorage.sqlite'}")
    yield made
    made.dispose()


@pytest.fixture
def scripts() -> ScriptDirectory:
    """Alembic's own view of the revisions."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_head_is_alembics(scripts: ScriptDirectory) -> None:
    """There is one line of revisions, and `HEAD` is its end."""
    assert scripts.get_heads() == [migrations.HEAD]
    assert len(scripts.get_bases()) == 1


def test_the_tables_are_those_of_the_code(engine: sa.Engine) -> None:
    """After all revisions Alembic finds nothing in which the database differs from the tables in code."""
    migrations.upgrade(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_constraints_are_those_of_the_code(engine: sa.Engine, tmp_path: Path) -> None:
    """Keys and rules of deletion, which Alembic does not compare, are the same as in tables made from the code."""
    migrations.upgrade(engine)
    direct = sa.create_engine(f"sqlite:///{tmp_path / 'direct.sqlite'}")
    metadata.create_all(direct)

    def described(of: sa.Engine) -> dict[str, object]:
        inspector = sa.inspect(of)
        return {
            table: (
                [(column["name"], column["nullable"]) for column in inspector.get_columns(table)],
                inspector.get_pk_constraint(table),
                sorted(map(repr, inspector.get_foreign_keys(table))),
                sorted(map(repr, inspector.get_unique_constraints(table))),
                sorted(json.dumps(index, default=str) for index in inspector.get_indexes(table)),
            )
            for table in metadata.tables
        }

    assert described(engine) == described(direct)
    assert _kept_by_key(engine) == _kept_by_key(direct) != set()
    direct.dispose()


def _kept_by_key(of: sa.Engine) -> set[str]:
    """Return the tables that SQLite keeps in the order of their keys, of which Alembic's inspector knows nothing."""
    with of.connect() as connection:
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'")
        return set(found.scalars())


ROWS = (
    (
        "INSERT INTO repositories (id, account_id, region, name, created_at, tag_mutability, mutability_filters,"
        " resource_tags) VALUES ('r', '1', 'l', 'app', 0, 'MUTABLE', '[]', '{}')"
    ),
    "INSERT INTO blobs (digest, size, location, created_at) VALUES ('l', 1, 'l', 0)",
    "INSERT INTO repository_blobs (repository_id, digest, linked_at) VALUES ('r', 'l', 0)",
    (
        "INSERT INTO manifests (repository_id, digest, media_type, image_size, size, pushed_at, tagged, body)"
        " VALUES ('r', 'm', 't', 1, 1, 0, 1, '')"
    ),
    "INSERT INTO tags (repository_id, name, digest, tagged_at) VALUES ('r', 'v', 'm', 7)",
    "INSERT INTO edges (repository_id, parent, child, kind) VALUES ('r', 'm', 'l', 'layer')",
    "INSERT INTO loose_layers (repository_id, digest, due_at) VALUES ('r', 'l', 9)",
)


def fill(engine: sa.Engine) -> None:
    """Make the tables as an earlier version had them, with what it stored of an image."""
    migrations.upgrade(engine, "0015")
    with engine.begin() as connection:
        for row in ROWS:
            connection.exec_driver_sql(row)


def test_rows_outlive_a_table_that_is_written_anew(engine: sa.Engine) -> None:
    """What an earlier version has stored of an image is there, and goes with it, after its tables were rebuilt."""
    fill(engine)

    migrations.upgrade(engine)

    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        assert connection.exec_driver_sql("SELECT * FROM tags").all() == [("r", "v", "m", 7)]
        assert connection.exec_driver_sql("SELECT * FROM edges").all() == [("r", "m", "l", "layer")]
        assert connection.exec_driver_sql("SELECT * FROM loose_layers").all() == [("r", "l", 9)]
        connection.exec_driver_sql("DELETE FROM manifests")
        connection.exec_driver_sql("DELETE FROM repository_blobs")
        left = [connection.exec_driver_sql(f"SELECT * FROM {t}").all() for t in ("tags", "edges", "loose_layers")]  # noqa: S608
        assert left == [[], [], []]


def test_a_database_tells_its_revision(engine: sa.Engine) -> None:
    """An empty database has none, a migrated one `HEAD`."""
    assert migrations.current(engine) is None

    migrations.upgrade(engine)

    assert migrations.current(engine) == migrations.HEAD


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    """What is at `HEAD` stays as it is, rows included."""
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO blobs (digest, size, location, created_at) VALUES ('d', 1, 'l', 0)")

    migrations.upgrade(engine)
    installation.migrate(engine, Settings())

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one() == 1


def test_preparing_twice_is_preparing_once(tmp_path: Path) -> None:
    """A second start finds master key, root key and tables, and leaves them as they are."""
    settings = Settings(data=tmp_path / "data")
    app.prepare(settings)
    first = {path.name: path.read_bytes() for path in settings.data.iterdir() if path.suffix in {".key", ".json"}}

    app.prepare(settings)

    again = {path.name: path.read_bytes() for path in settings.data.iterdir() if path.suffix in {".key", ".json"}}
    assert again == first
    assert len(first) == 2
    for name in first:
        assert (settings.data / name).stat().st_mode & 0o777 == 0o600


def test_a_database_made_at_once_is_one_that_was_migrated(engine: sa.Engine, tmp_path: Path) -> None:
    """Alembic finds an empty database that was given its tables at `HEAD`, and nothing in which it differs."""
    migrations.create(engine)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == migrations.HEAD
    step_by_step = sa.create_engine(f"sqlite:///{tmp_path / 'steps.sqlite'}")
    migrations.upgrade(step_by_step)

    assert migrations.look(engine) == migrations.look(step_by_step)
    assert _kept_by_key(engine) == _kept_by_key(step_by_step)
    migrations.create(engine)  # as by who was slower: nothing is made twice
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.HEAD
    step_by_step.dispose()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_kill_leaves_the_tables_as_they_were(engine: sa.Engine, tmp_path: Path, *, is_new: bool) -> None:
    """Whichever statement a start was killed at, the next one finds what was there before, whole, and does it all."""
    if not is_new:
        fill(engine)
    database = SqliteDatabase(tmp_path / "moorage.sqlite")
    before, killed = migrations.look(database.engine), list[Path]()

    def kill(*_given: Any) -> None:
        # What a process leaves that is killed here: the file, and the log beside it.
        killed.append(tmp_path / f"killed-{len(killed)}")
        killed[-1].mkdir()
        for file in tmp_path.glob("moorage.sqlite*"):
            shutil.copy(file, killed[-1])

    sa.event.listen(database.engine, "before_cursor_execute", kill)
    installation.migrate(database.engine, Settings())
    database.close()

    assert len(killed) > 20
    for folder in killed:
        left = SqliteDatabase(folder / "moorage.sqlite")
        assert migrations.look(left.engine) in {before, Found(migrations.HEAD, migrations.OLDEST_CODE)}
        installation.migrate(left.engine, Settings())
        with left.read() as tx:
            assert tx.exec_driver_sql("SELECT * FROM tags").all() == ([] if is_new else [("r", "v", "m", 7)])
        left.close()
