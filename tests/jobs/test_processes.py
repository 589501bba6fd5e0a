"""Jobs where they run: several runners over one database, and a process that is told to go."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage import app, draining
from moorage.jobs import Job, Run, leases
from moorage.jobs.runner import Runner
from tests.registry.kit import Bench

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from moorage.registry.core import Registry

PATIENCE = 30
PARTS, RUNNERS = 60, 4


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_split_work_is_done_once(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> None:
    """Work that was split into 60 parts is done by four runners together, each part once, and then it is gone."""
    given = {"database": request.getfixturevalue("cluster").migrated()} if database == "postgres" else {}
    done: Counter[str] = Counter()
    together = threading.Barrier(RUNNERS)

    def work(_registry: Registry, _now: datetime, run: Run) -> None:
        done[run.argument] += 1

    with Bench.opened(tmp_path, **given) as bench:
        parts = [f"part-{number}" for number in range(PARTS)]
        with bench.registry.database.write() as tx:
            for part in parts:
                leases.ask(tx, "job", part, bench.registry.clock())

        def run_all(runner: Runner) -> None:
            together.wait()
            while runner.run_next():
                pass

        runners = [Runner(bench.registry, [Job("job", work, None, "A test's.")], poll=1) for _ in range(RUNNERS)]
        with ThreadPoolExecutor(RUNNERS) as threads:
            list(threads.map(run_all, runners))
        with bench.registry.database.read() as tx:
            assert leases.rows(tx) == []

    assert done == Counter(parts)


def test_the_signal_stops_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job stops when its process is told to go, and not only when the last request has ended; its cursor is kept."""
    begun, ended = threading.Event(), threading.Event()

    def work(_registry: Registry, _now: datetime, run: Run) -> None:
        run.progress(1, 2, cursor="half")
        begun.set()
        try:
            run.wait(PATIENCE)
        finally:
            ended.set()

    monkeypatch.setattr(draining, "_begun", threading.Event())
    monkeypatch.setattr(draining, "_actions", [])
    only = (Job("job", work, timedelta(hours=1), "A test's."),)
    monkeypatch.setattr(app, "jobs_of", lambda _registry: only)

    async def serve(application: Any) -> None:
        told: asyncio.Queue[Any] = asyncio.Queue()
        said: asyncio.Queue[Any] = asyncio.Queue()
        await told.put({"type": "lifespan.startup"})
        lifespan = asyncio.create_task(application({"type": "lifespan", "asgi": {}, "state": {}}, told.get, said.put))
        assert (await said.get())["type"] == "lifespan.startup.complete"
        assert await asyncio.to_thread(begun.wait, PATIENCE)

        draining.begin()

        assert await asyncio.to_thread(ended.wait, PATIENCE)
        await told.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await lifespan

    with Bench.opened(tmp_path, jobs_poll_seconds=1) as bench, bench.other_worker() as other:
        asyncio.run(serve(app.create_app(registry=other.registry)))
        with bench.registry.database.read() as tx:
            (row,) = leases.rows(tx, "job")
    assert (row["outcome"], row["cursor"], row["leased_by"]) == ("stopped", "half", None)
    assert not draining._actions
