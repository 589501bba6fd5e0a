"""Runs: in the background and ended in good order, each with what came of it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain.errors import AccessDenied
from moorage.domain.names import repository_arn
from moorage.jobs import Job, Run, Stopped, carrying, leases
from moorage.jobs.runner import Runner
from moorage.registry.auth import Need, authorize
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moorage.registry.core import Registry
    from tests.jobs.conftest import Clock
    from tests.registry.kit import Bench

HOUR = timedelta(hours=1)
PATIENCE = 30
"""Seconds after which a test gives up waiting for an event."""


def runner(bench: Bench, function: Callable[[Registry, datetime, Run], None], **more: Any) -> Runner:
    """Return a runner of one job, which is due."""
    made = Runner(bench.registry, [Job("job", function, HOUR, "A test's.")], poll=0.01, **more)
    made.ensure_rows()
    return made


def row(bench: Bench) -> dict[str, Any]:
    """The job's row."""
    with bench.registry.database.read() as tx:
        (found,) = leases.rows(tx, "job")
    return found


def test_a_job_gets_registry_and_time(bench: Bench, clock: Clock) -> None:
    """A job is called with the registry and the time of its clock; what came of it is stored and observed."""
    seen: list[Any] = []
    observed: list[Any] = []
    made = runner(bench, lambda *given: seen.extend(given), observe=lambda *given: observed.append(given))

    assert made.run_next()
    assert not made.run_next()

    assert seen[:2] == [bench.registry, clock.now]
    assert (row(bench)["outcome"], row(bench)["succeeded_at"]) == ("ok", clock.now)
    assert [given[:2] for given in observed] == [("job", "ok")]


def test_it_runs_again_when_its_time_has_come(bench: Bench, clock: Clock) -> None:
    """The next run is one interval after the last."""
    made = runner(bench, lambda *_: None)
    made.run_next()

    clock.move(minutes=59)
    assert not made.run_next()
    clock.move(minutes=1)
    assert made.run_next()


@pytest.mark.usefixtures("clock")
def test_a_failure_is_stored_and_not_the_runners_end(bench: Bench) -> None:
    """A job that raises is stored with its error, as far as it had come, and the runner goes on."""

    def fail(_registry: Registry, _now: datetime, run: Run) -> None:
        run.progress(3, 5, images=2)
        raise ValueError("five is right out")

    made = runner(bench, fail)

    assert made.run_next()

    after = row(bench)
    assert (after["outcome"], after["error"]) == ("failed", "ValueError: five is right out")
    assert after["progress"] == {"done": 3, "total": 5, "images": 2}
    assert not made.run_next()


@pytest.mark.usefixtures("clock")
def test_a_job_stops_and_another_worker_goes_on(bench: Bench) -> None:
    """A runner that is stopped lets its job end where it asks; another worker goes on from the cursor."""
    begun = threading.Event()

    def count(_registry: Registry, _now: datetime, run: Run) -> None:
        for number in range(run.cursor or 0, 6):
            run.progress(number, 6, cursor=number)
            if number == 2 and not begun.is_set():
                begun.set()
                run.wait(PATIENCE)

    first = runner(bench, count)
    first.start()
    assert begun.wait(PATIENCE)
    first.stop()
    first.join(PATIENCE)
    assert (row(bench)["outcome"], row(bench)["cursor"], row(bench)["attempts"]) == ("stopped", 2, 0)

    with bench.other_worker() as other:
        other.registry.clock = bench.registry.clock
        assert runner(other, count).run_next()

    assert (row(bench)["outcome"], row(bench)["progress"]["done"]) == ("ok", 5)


def test_a_worker_that_lost_its_lease_stops(bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose lease somebody else has taken is told to stop, and its outcome does not count."""
    monkeypatch.setattr(carrying, "_TICK", 0.01)
    observed: list[Any] = []

    def lose(registry: Registry, _now: datetime, run: Run) -> None:
        with registry.database.write() as tx:
            assert leases.take(tx, "job", "", "somebody else", clock.move(minutes=2))
        run.progress(1)
        run.wait(PATIENCE)

    made = runner(bench, lose, observe=lambda *given: observed.append(given[:2]))

    assert made.run_next()

    assert observed == [("job", "lost")]
    assert row(bench)["leased_by"] == "somebody else"
    assert row(bench)["outcome"] is None


def test_a_long_run_keeps_its_lease_and_tells_its_progress(
    bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a job runs its lease is renewed and its progress can be read, without a word of its own to the database."""
    monkeypatch.setattr(carrying, "_TICK", 0.01)
    told, renewed = threading.Event(), threading.Event()
    renew = leases.renew

    def watched(*given: Any) -> bool:
        kept = renew(*given)
        renewed.set()
        return kept

    monkeypatch.setattr(leases, "renew", watched)

    def work(_registry: Registry, _now: datetime, run: Run) -> None:
        clock.move(seconds=50)
        run.progress(1, 2, cursor=["a"])
        assert renewed.wait(PATIENCE)
        assert told.wait(PATIENCE)

    made = runner(bench, work)
    made.start()
    try:
        assert renewed.wait(PATIENCE)
        clock.move(seconds=50)
        with bench.registry.database.write() as tx:
            (found,) = leases.rows(tx, "job")
            assert leases.take(tx, "job", "", "b", clock.now) is None
        assert (found["progress"], found["cursor"]) == ({"done": 1, "total": 2}, ["a"])
    finally:
        told.set()
        made.stop()
        made.join(PATIENCE)
    assert row(bench)["outcome"] == "ok"


def test_no_new_job_after_the_signal(bench: Bench) -> None:
    """A runner that was stopped takes nothing any more."""
    ran: list[Any] = []
    made = runner(bench, lambda *_: ran.append(1))
    made.stop()
    made.start()
    made.join(PATIENCE)
    assert not ran


def test_progress_stops_a_run() -> None:
    """Telling progress is also asking whether to go on."""
    run = Run()
    run.progress(1)
    run.stop()
    with pytest.raises(Stopped):
        run.progress(2)
    with pytest.raises(Stopped):
        run.wait(PATIENCE)
    assert json.dumps(run.state()) == '{"done": 2, "total": null}'


def test_the_system_has_no_permissions(bench: Bench) -> None:
    """A job that would ask for a permission is denied it: who works as the system uses what needs none."""
    with bench.registry.read(bench.registry.system()) as ctx, pytest.raises(AccessDenied):
        authorize(ctx, Need("ecr:ListImages", repository_arn(REGION, ACCOUNT, "first")))
