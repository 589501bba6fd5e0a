"""
Statements that every pull runs, compiled once.

SQLAlchemy compiles a statement once too, but looks up, copies and wraps much at each execution: about 100 us
of processor time on an embedded database, where the statement itself takes 10. A `Prepared` statement gives its
text and values to SQLite's driver directly. On another database it is executed as ever.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

    Convert = Callable[[Any], Any] | None

_EMBEDDED: Final = "sqlite"


class Prepared:
    """
    A select whose values are all bound by name.

    Its rows have the names of the columns, and their types, as SQLAlchemy's have.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement
        self._native: _Native | None = None

    def all(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return all rows."""
        native = self._for(tx)
        return list(tx.execute(self.statement, values)) if native is None else native.all(tx, values)

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        """Return the first row, None if there is none."""
        native = self._for(tx)
        return tx.execute(self.statement, values).first() if native is None else native.first(tx, values)

    def _for(self, tx: sa.Connection) -> _Native | None:
        if tx.dialect.name != _EMBEDDED:
            return None
        if self._native is None:
            self._native = _Native(self.statement, tx.dialect)
        return self._native


class _Native:
    """A statement in the words of SQLite's driver."""

    def __init__(self, statement: sa.Select[Any], dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text: str = compiled.string
        self._fixed: dict[str, Any] = compiled.params
        self._places = [
            (name, _impl(compiled.binds[name].type, dialect).bind_processor(dialect)) for name in compiled.positiontup
        ]
        columns = list(statement.selected_columns)
        self._made = cast("Any", namedtuple("Row", [str(column.key) for column in columns], rename=True))._make  # noqa: PYI024 (no type has these names)
        of_columns = [_impl(column.type, dialect).result_processor(dialect, None) for column in columns]
        self._converted = [(index, convert) for index, convert in enumerate(of_columns) if convert is not None]

    def all(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        return [self._row(row) for row in self._run(tx, values).fetchall()]

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        cursor = self._run(tx, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else self._row(row)

    def _run(self, tx: sa.Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        driver = cast("sqlite3.Connection", tx.connection.driver_connection)
        fixed = self._fixed
        return driver.execute(
            self._text,
            [
                (values[name] if name in values else fixed[name])
                if convert is None
                else convert(values[name] if name in values else fixed[name])
                for name, convert in self._places
            ],
        )

    def _row(self, row: Any) -> Any:
        if self._converted:
            row = list(row)
            for index, convert in self._converted:
                row[index] = convert(row[index])
        return self._made(row)


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> Any:
    """Return the dialect's form of a type, which knows how values go in and come out."""
    return kind.dialect_impl(dialect)
