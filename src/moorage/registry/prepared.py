"""
Statements that every pull or push runs, compiled once.

SQLAlchemy compiles a statement once too, but looks up, copies and wraps much at each execution: about 100 us of
processor time on an embedded database, where the statement itself takes 10, and several times that where the
statement is put together anew. A `Prepared` statement gives its text and values to the database's own driver.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

    Convert = Callable[[Any], Any] | None


class Prepared:
    """
    A statement whose values are all bound by name; of an insert, ``columns`` are what values are given for.

    Its rows have the names of the columns, and their types, as SQLAlchemy's have, and its failures are SQLAlchemy's.
    """

    def __init__(self, statement: Any, columns: Sequence[str] | None = None) -> None:
        self.statement = statement
        self._columns = columns
        self._native: _Native | None = None

    def all(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return all rows."""
        return self._for(tx).all(tx, values)

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        """Return the first row, None if there is none."""
        return self._for(tx).first(tx, values)

    def run(self, tx: sa.Connection, values: Mapping[str, Any]) -> int:
        """Execute what returns no rows; return how many it has inserted, changed or deleted."""
        count: int = self._for(tx).run(tx, values).rowcount
        return count

    def run_all(self, tx: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute what returns no rows once for each of some values, if there are any."""
        if rows:
            self._for(tx).run_all(tx, rows)

    def _for(self, tx: sa.Connection) -> _Native:
        native = self._native
        if native is None or native.dialect is not tx.dialect:
            native = self._native = _Native(self.statement, tx.dialect, self._columns)
        return native


class _Native:
    """A statement in the words of one database's driver."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str] | None) -> None:
        self.dialect = dialect
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self._fixed: dict[str, Any] = compiled.params
        # With what SQLAlchemy would write into the text at each execution: separators are never bound.
        expanded = compiled.construct_expanded_state(self._fixed)
        self._text: str = expanded.statement
        self._names: list[str] = list(expanded.parameters) if expanded.positiontup is None else []
        """What values are given by, if not by their places."""
        self._places = [
            (name, _impl(compiled.binds[name].type, dialect).bind_processor(dialect))
            for name in expanded.positiontup or self._names
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

    def run(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any:
        placed, driver = self._placed(values), _driver(tx)
        try:
            return driver.execute(self._text, placed)
        except self._error as error:
            raise self._failed(error, driver) from error

    def run_all(self, tx: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        placed, driver = [self._placed(row) for row in rows], _driver(tx)
        try:
            driver.cursor().executemany(self._text, placed)
        except self._error as error:
            raise self._failed(error, driver) from error

    @property
    def _error(self) -> type[Exception]:
        return cast("Any", self.dialect.dbapi).Error  # type: ignore[no-any-return]

    def _failed(self, error: Exception, driver: Any) -> BaseException:
        """Return the failure in SQLAlchemy's words, without the values: they are nobody's business in a log."""
        return sa.exc.DBAPIError.instance(
            self._text,
            None,
            error,
            self._error,
            hide_parameters=True,
            connection_invalidated=self.dialect.is_disconnect(cast("Any", error), driver, None),
            dialect=self.dialect,
        )

    def _placed(self, values: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
        fixed, placed = self._fixed, []
        for name, convert in self._places:
            value = values[name] if name in values else fixed[name]
            placed.append(value if convert is None else convert(value))
        return dict(zip(self._names, placed, strict=True)) if self._names else placed

    def _row(self, row: Any) -> Any:
        if self._converted:
            row = list(row)
            for index, convert in self._converted:
                row[index] = convert(row[index])
        return self._made(row)


def _driver(tx: sa.Connection) -> Any:
    return tx.connection.driver_connection


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> Any:
    """Return the dialect's form of a type, which knows how values go in and come out."""
    return kind.dialect_impl(dialect)
