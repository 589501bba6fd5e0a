"""Prepared statements give what SQLAlchemy gives, on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from moorage.domain.errors import Undone
from moorage.registry.prepared import Prepared
from moorage.registry.tables import repositories, uploads

if TYPE_CHECKING:
    from tests.registry.kit import Bench

WHEN = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
SELECT = sa.select(repositories, sa.literal(7)).where(repositories.c.name >= sa.bindparam("least"))
INSERT = Prepared(
    sa.insert(uploads),
    ["id", "repository_id", "offset", "parts", "small_parts", "last_part_small", "location", "touched_at"],
)


def upload(bench: Bench, identifier: str, repository: str | None = None) -> dict[str, Any]:
    """Return the row of an upload."""
    counted = {"offset": 0, "parts": 0, "small_parts": 0, "last_part_small": True, "location": "ab", "touched_at": WHEN}
    return {"id": identifier, "repository_id": repository or bench.first.id, **counted}


def test_rows_are_sqlalchemys(bench: Bench) -> None:
    """Rows have the same values of the same types (times, JSON, booleans) under the same names, in the same order."""
    bench.repository("second", tags=[{"Key": "team", "Value": "a"}])
    prepared = Prepared(SELECT)
    with bench.read() as ctx:
        expected = ctx.tx.execute(SELECT, {"least": "a"}).all()
        found = prepared.all(ctx.tx, {"least": "a"})
        assert [tuple(row) for row in found] == [tuple(row) for row in expected]
        assert [type(value) for row in found for value in row] == [type(value) for row in expected for value in row]
        assert [row.resource_tags for row in found] == [row.resource_tags for row in expected]
        assert tuple(prepared.first(ctx.tx, {"least": "second"}) or ()) == tuple(expected[1])
        assert prepared.first(ctx.tx, {"least": "z"}) is None


def test_what_is_written_is_counted(bench: Bench) -> None:
    """An insert, an update and a deletion tell how many rows they meant, and write what SQLAlchemy reads."""
    move = Prepared(sa.update(uploads).where(uploads.c.id == sa.bindparam("upload")), ["offset"])
    drop = Prepared(sa.delete(uploads).where(uploads.c.id == sa.bindparam("upload")))
    rows = [upload(bench, name) for name in ("a", "b", "c")]
    with bench.write() as ctx:
        assert INSERT.run(ctx.tx, rows[0]) == 1
        INSERT.run_all(ctx.tx, rows[1:])
        INSERT.run_all(ctx.tx, [])
        assert move.run(ctx.tx, {"upload": "b", "offset": 9}) == 1
        assert move.run(ctx.tx, {"upload": "none", "offset": 9}) == 0
        assert drop.run(ctx.tx, {"upload": "c"}) == 1
    found = bench.rows(sa.select(uploads.c.id, uploads.c.offset, uploads.c.touched_at).order_by(uploads.c.id))
    assert [tuple(row) for row in found] == [("a", 0, WHEN), ("b", 9, WHEN)]


@pytest.mark.parametrize("many", [False, True])
def test_failures_are_sqlalchemys(bench: Bench, many: bool) -> None:
    """A row that may not be is SQLAlchemy's IntegrityError (or means: anew), which tells nothing of the values."""
    row = upload(bench, "secret", repository="none")
    with pytest.raises((IntegrityError, Undone)) as caught, bench.write() as ctx:
        if many:
            INSERT.run_all(ctx.tx, [row])
        else:
            INSERT.run(ctx.tx, row)
    if isinstance(caught.value, DBAPIError):
        assert "secret" not in str(caught.value)
