"""
Statements that every pull or push runs, compiled once.

SQLAlchemy compiles a statement once too, but looks up, copies and wraps much at each execution: about 100 us of
processor time on an embedded database, where the statement itself takes 10, and several times that where the
statement is put together anew. A `Prepared` statement gives its text and values to SQLite's driver
directly. On another database it is executed as ever.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

    Convert = Callable[[Any], Any] | None

_EMBEDDED: Final = "sqlite"


class Prepared:
    """
    A statement whose values are all bound by name; of an insert, ``columns`` are what values are given for.

    Its rows have the names of the columns, and their types, as SQLAlchemy's have.
    """

    def __init__(self, statement: Any, columns: Sequence[str] | None = None) -> None:
        self.statement = statement
        self._columns = columns
        self._native: _Native | None = None

    def all(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return all rows."""
        native = self._for(tx)
        return list(tx.execute(self.statement, values).all()) if native is None else native.all(tx, values)

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        """Return the first row, None if there is none."""
        native = self._for(tx)
        return tx.execute(self.statement, values).first() if native is None else native.first(tx, values)

    def run(self, tx: sa.Connection, values: Mapping[str, Any]) -> int:
        """Execute what returns no rows; return how many it has inserted, changed or deleted."""
        native = self._for(tx)
        if native is not None:
            return native.run(tx, values).rowcount
        # An insert's count of rows is kept on request only: without that it is -1 on PostgreSQL, always.
        done = tx.execute(self.statement, values, execution_options={"preserve_rowcount": True})
        return done.rowcount

    def run_all(self, tx: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute what returns no rows once for each of some values, if there are any."""
        native = self._for(tx)
        if native is not None:
            native.run_all(tx, rows)
        elif rows:
            tx.execute(self.statement, rows)

    def _for(self, tx: sa.Connection) -> _Native | None:
        if tx.dialect.name != _EMBEDDED:
            return None
        if self._native is None:
            self._native = _Native(self.statement, tx.dialect, self._columns)
        return self._native


class _Native:
    """A statement in the words of SQLite's driver."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self._fixed: dict[str, Any] = compiled.params
        # With what SQLAlchemy would write into the text at each execution: separators are never bound.
        expanded = compiled.construct_expanded_state(self._fixed)
        self._text: str = expanded.statement
        self._places = [
            (name, _impl(compiled.binds[name].type, dialect).bind_processor(dialect)) for name in expanded.positiontup
        ]
        selected = list(getattr(statement, "selected_columns", ()))
        self._made = cast("Any", namedtuple("Row", [str(column.key) for column in selected], rename=True))._make  # noqa: PYI024 (no type has these names)
        of_columns = [_impl(column.type, dialect).result_processor(dialect, None) for column in selected]
        self._converted = [(index, convert) for index, convert in enumerate(of_columns) if convert is not None]

    def all(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        return [self._row(row) for row in self.run(tx, values).fetchall()]

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        cursor = self.run(tx, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else self._row(row)

    def run(self, tx: sa.Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        placed = self._placed(values)
        try:
            return _driver(tx).execute(self._text, placed)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def run_all(self, tx: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        placed = [self._placed(row) for row in rows]
        try:
            _driver(tx).executemany(self._text, placed)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> BaseException:
        """Return the failure in SQLAlchemy's words, without the values: they are nobody's business in a log."""
        return sa.exc.DBAPIError.instance(self._text, None, error, sqlite3.Error, hide_parameters=True)

    def _placed(self, values: Mapping[str, Any]) -> list[Any]:
        fixed, placed = self._fixed, []
        for name, convert in self._places:
            value = values[name] if name in values else fixed[name]
            placed.append(value if convert is None else convert(value))
        return placed

    def _row(self, row: Any) -> Any:
        if self._converted:
            row = list(row)
            for index, convert in self._converted:
                row[index] = convert(row[index])
        return self._made(row)


def _driver(tx: sa.Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", tx.connection.driver_connection)


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> Any:
    """Return the dialect's form of a type, which knows how values go in and come out."""
    return kind.dialect_impl(dialect)
