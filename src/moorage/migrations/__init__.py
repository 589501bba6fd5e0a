"""
The tables' history, as Alembic revisions; `upgrade` brings a database to `HEAD`.

A version of Moorage works on the tables of its own revision and on those of a newer one that
has only added to them (docs/adr/0007): the newer one writes down the oldest that still can.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from moorage.registry.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = "0016"
"""The revision that this version of Moorage works with (a test holds it to Alembic's own answer)."""

OLDEST_CODE: Final = "0007"
"""
The lowest `HEAD` of a version that can work on the tables at this `HEAD`.

A migration that only adds (tables, nullable columns, indexes) leaves it; one that takes away what that
version still reads or writes raises it, one release after the code has stopped.
"""

_OLDEST: Final = "oldest_code"
_REVISION: Final = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table."""
_LOCK: Final = 7_301_504_411_208_319_333
"""The number of the advisory lock that one migration at a time holds; of no meaning, and nobody else's."""


class Found(NamedTuple):
    """What a database says of its tables."""

    revision: str | None
    """None for an empty database."""
    oldest_code: str | None

    @property
    def is_behind(self) -> bool:
        """Whether this version has revisions that the database lacks."""
        return self.revision is None or self.revision < HEAD

    @property
    def serves(self) -> bool:
        """Whether this version can work on the tables as they are."""
        if self.revision == HEAD:
            return True
        return not self.is_behind and self.oldest_code is not None and self.oldest_code <= HEAD


def look(engine: sa.Engine) -> Found:
    """Return what a database says of its tables. Does not need Alembic, whose import takes time."""
    with engine.connect() as connection:
        return _look(connection)


def _look(connection: sa.Connection) -> Found:
    inspector = sa.inspect(connection)
    if not inspector.has_table(_REVISION.name):
        return Found(None, None)
    revision = connection.execute(sa.select(_REVISION.c.version_num)).scalar()
    oldest = None
    if inspector.has_table("facts"):
        oldest = connection.execute(sa.text("SELECT value FROM facts WHERE name = :n"), {"n": _OLDEST}).scalar()
    return Found(revision, oldest)


def current(engine: sa.Engine) -> str | None:
    """Return the revision of a database, None for an empty one."""
    return look(engine).revision


def create(engine: sa.Engine) -> None:
    """
    Make the tables of an empty database as the last revision leaves them, in one transaction.

    Nothing of what the revisions do to rows is missing where there are none, and Alembic need not be imported.
    """
    with _alone(engine) as connection:
        if _look(connection).revision is None:  # nobody was quicker
            metadata.create_all(connection)
            _REVISION.create(connection)
            connection.execute(_REVISION.insert().values(version_num=HEAD))
            _complete(connection)


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Run the revisions that a database lacks, in one transaction; of several who do so at once one does it."""
    from alembic import command  # noqa: PLC0415 (slow to import, rarely needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with _alone(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if revision == "head":
            _complete(connection)


def _complete(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        _compare_by_bytes(connection)
    _note_oldest_code(connection)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    if engine.dialect.name != "postgresql":
        with engine.begin() as connection:
            # Said here: SQLite's driver begins none before a table is made or dropped.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
        return
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        # Rewriting a large table takes its time, and whoever waits for his turn too.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        # But all who use a table would queue behind a change of it that waits for the slowest of them.
        connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
        yield connection


_OTHERWISE_COMPARED: Final = sa.text(
    "SELECT table_name, column_name, data_type, character_maximum_length FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND data_type IN ('character varying', 'text')"
    " AND collation_name IS DISTINCT FROM 'C' AND table_name <> 'alembic_version'"
    " ORDER BY table_name, column_name"
)


def _compare_by_bytes(connection: sa.Connection) -> None:
    """
    Let every text be compared and sorted by its bytes, whatever the locale that the database was made with.

    Lists are sorted so at both doors, and pages begin where the last one ended. New columns hold nothing yet,
    which is when their collation costs nothing to set.
    """
    quote = connection.dialect.identifier_preparer.quote
    for row in connection.execute(_OTHERWISE_COMPARED).all():
        kind = row.data_type if row.character_maximum_length is None else f"varchar({row.character_maximum_length})"
        table, column = quote(row.table_name), quote(row.column_name)
        connection.execute(sa.text(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} COLLATE "C"'))


def _note_oldest_code(connection: sa.Connection) -> None:
    connection.execute(sa.text("DELETE FROM facts WHERE name = :n"), {"n": _OLDEST})
    connection.execute(sa.text("INSERT INTO facts (name, value) VALUES (:n, :v)"), {"n": _OLDEST, "v": OLDEST_CODE})
