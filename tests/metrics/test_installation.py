"""What a scrape tells of the whole installation, and what it does without a database."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.jobs import leases
from moorage.metrics import installation
from moorage.metrics.installation import Facts, Installation
from tests.registry.kit import Bench

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Silent:
    """A database that does not answer before it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0

    def read(self) -> Any:
        """Wait, and fail."""
        self.asked += 1
        self.answers.wait(60)
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))


def test_jobs_and_uploads_are_counted(tmp_path: Path) -> None:
    """Jobs are told with their last success and how many of their parts failed, uploads by how many are open."""
    with Bench.opened(tmp_path) as bench:
        bench.begin()
        bench.begin()
        with bench.registry.database.write() as tx:
            for part, outcome in (("a", leases.FAILED), ("b", leases.OK), ("c", leases.FAILED)):
                leases.ensure(tx, "job", T0, part)
                lease = leases.take(tx, "job", part, "x", T0)
                assert lease is not None
                leases.finish(tx, lease, T0, outcome, every=leases.LEASE, progress={})

        found = asyncio.run(Installation(bench.registry).facts())

    assert found.gauges == {"uploads_open": 2, "damaged": 0}
    assert found.jobs == [{"name": "job", "succeeded_at": T0, "finished_at": T0, "failing": 2}]


def test_a_silent_database_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape goes on without a database that does not answer, however often, and asks it once."""
    monkeypatch.setattr(installation, "_PATIENCE", 0.01)
    silent = Silent()

    async def scrape(asking: Installation) -> None:
        for _ in range(3):
            assert await asking.facts() == Facts({}, [])
        assert silent.asked == 1
        silent.answers.set()
        while silent.asked == 1:
            assert await asking.facts() == Facts({}, [])

    with Bench.opened(tmp_path) as bench:
        monkeypatch.setattr(bench.registry, "database", silent)
        asyncio.run(scrape(Installation(bench.registry)))
        monkeypatch.undo()
