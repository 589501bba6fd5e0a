"""Inserts that meet a row of the same key: the one thing that SQLite and PostgreSQL share and SQL does not."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from moorage.registry.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _insert(dialect: str, table: sa.Table) -> Any:
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (slow to import, for those who have it)

        return postgresql.insert(table)
    return sqlite.insert(table)


@lru_cache(maxsize=256)
def _absent(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    return Prepared(_insert(dialect, table).on_conflict_do_nothing(), columns)


def insert_if_absent(tx: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken; tell whether it was inserted."""
    return _absent(tx.dialect.name, table, tuple(values)).run(tx, values) == 1


@lru_cache(maxsize=256)
def _updating(dialect: str, table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...]) -> Prepared:
    inserted = _insert(dialect, table)
    changed = {name: inserted.excluded[name] for name in columns if name not in key}
    return Prepared(inserted.on_conflict_do_update(index_elements=list(key), set_=changed), columns)


def insert_or_update(tx: sa.Connection, table: sa.Table, values: Mapping[str, Any], key: Sequence[str]) -> None:
    """Insert a row, or give the row of the same ``key`` the other values."""
    _updating(tx.dialect.name, table, tuple(values), tuple(key)).run(tx, values)


@lru_cache(maxsize=16)
def _postponing(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    return Prepared(_later(table, _insert(dialect, table)), columns)


def insert_or_postpone_one(tx: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert a row with a ``due_at``, or where one is, let the later ``due_at`` stand."""
    _postponing(tx.dialect.name, table, tuple(values)).run(tx, values)


def insert_or_postpone(tx: sa.Connection, table: sa.Table, rows: sa.Select[Any]) -> None:
    """
    Insert the rows of a query (the table's key and ``due_at``), or where one is, let the later ``due_at`` stand.

    The query must not name a key twice, and is best ordered by the key: two of these at once then wait for each
    other instead of both for ever.
    """
    inserted = _insert(tx.dialect.name, table).from_select([column.name for column in rows.selected_columns], rows)
    tx.execute(_later(table, inserted))


def _later(table: sa.Table, inserted: Any) -> Any:
    given, there = inserted.excluded.due_at, table.c.due_at
    later = sa.case((given > there, given), else_=there)
    key = [column.name for column in table.primary_key.columns]
    return inserted.on_conflict_do_update(index_elements=key, set_={"due_at": later})


def insert_or_merge(
    tx: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    merge: Mapping[str, Callable[[Any, Any], Any]],
) -> None:
    """
    Insert rows, or where one is, let ``merge`` make each named column of the new value and the old one.

    The rows are best ordered by the key, for the same reason as above.
    """
    inserted = _insert(tx.dialect.name, table)
    changed = {name: rule(inserted.excluded[name], table.c[name]) for name, rule in merge.items()}
    key = [column.name for column in table.primary_key.columns]
    tx.execute(inserted.on_conflict_do_update(index_elements=key, set_=changed), rows)
