"""Conditions on many values, as one parameter: a statement whose text does not grow is made ready once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable


def among(tx: sa.Connection, column: sa.ColumnElement[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """Say that a column's text is one of the values."""
    if tx.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(values), sa.ARRAY(sa.String)))
    given: Any = sa.func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(sa.select(given.c.value))
