"""Inserts that meet a row of the same key: the one thing that SQLite and PostgreSQL share and SQL does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _insert(tx: sa.Connection, table: sa.Table) -> Any:
    if tx.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (slow to import, for those who have it)

        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_if_absent(tx: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken; tell whether it was inserted."""
    # An insert's count of rows is kept on request only: without that it is -1 on PostgreSQL, always.
    counted = {"preserve_rowcount": True}
    done = tx.execute(_insert(tx, table).values(values).on_conflict_do_nothing(), execution_options=counted)
    return done.rowcount == 1


def insert_or_update(tx: sa.Connection, table: sa.Table, values: Mapping[str, Any], key: Sequence[str]) -> None:
    """Insert a row, or give the row of the same ``key`` the other values."""
    changed = {name: value for name, value in values.items() if name not in key}
    tx.execute(_insert(tx, table).values(values).on_conflict_do_update(index_elements=list(key), set_=changed))


def insert_or_postpone(tx: sa.Connection, table: sa.Table, rows: sa.Select[Any]) -> None:
    """
    Insert the rows of a query (the table's key and ``due_at``), or where one is, let the later ``due_at`` stand.

    The query must not name a key twice, and is best ordered by the key: two of these at once then wait for each
    other instead of both for ever.
    """
    inserted = _insert(tx, table).from_select([column.name for column in rows.selected_columns], rows)
    given, there = inserted.excluded.due_at, table.c.due_at
    later = sa.case((given > there, given), else_=there)
    key = [column.name for column in table.primary_key.columns]
    tx.execute(inserted.on_conflict_do_update(index_elements=key, set_={"due_at": later}))


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
    inserted = _insert(tx, table)
    changed = {name: rule(inserted.excluded[name], table.c[name]) for name, rule in merge.items()}
    key = [column.name for column in table.primary_key.columns]
    tx.execute(inserted.on_conflict_do_update(index_elements=key, set_=changed), rows)
