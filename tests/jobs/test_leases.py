"""Rows of jobs: who gets one, how long it is kept, what is left of it."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage import migrations
from moorage.jobs import leases
from tests.drivers.test_databases import DATABASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.storage import Database

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOBS, LEASERS = 400, 8


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each database that there is, with our tables, empty."""
    if request.param == "postgres":
        (tmp_path / "url").write_text(request.getfixturevalue("cluster").create())
    opened: Any = DATABASES[request.param](tmp_path)
    migrations.upgrade(opened.engine)
    yield opened
    opened.close()


def take(
    database: Database, name: str = "job", holder: str = "a", now: datetime = T0, **how: bool
) -> leases.Lease | None:
    """Try to lease a job."""
    with database.write() as tx:
        return leases.take(tx, name, "", holder, now, **how)


def taken(database: Database, holder: str = "a", now: datetime = T0) -> leases.Lease:
    """Lease a job that is there."""
    with database.write() as tx:
        leases.ensure(tx, "job", T0)
    lease = take(database, holder=holder, now=now)
    assert lease is not None
    return lease


def finish(database: Database, lease: leases.Lease, outcome: str, now: datetime = T0, **more: Any) -> bool:
    """Give a lease back."""
    given: dict[str, Any] = {"every": HOUR, "progress": {}} | more
    with database.write() as tx:
        return leases.finish(tx, lease, now, outcome, **given)


def row(database: Database) -> dict[str, Any]:
    """The row of the job."""
    with database.read() as tx:
        (found,) = leases.rows(tx, "job")
    return found


def test_each_job_is_leased_once(database: Database) -> None:
    """Of 400 jobs, which 8 leasers take as fast as they can, each is leased exactly once."""
    names = [f"job-{number}" for number in range(JOBS)]
    with database.write() as tx:
        for name in names:
            leases.ensure(tx, name, T0)
    together = threading.Barrier(LEASERS)

    def lease_all(leaser: int) -> list[str]:
        mine: list[str] = []
        together.wait()
        while True:
            with database.read() as tx:
                waiting = leases.due(tx, names, T0, 16)
            if not waiting:
                return mine
            for name, argument in waiting:
                with database.write() as tx:
                    if leases.take(tx, name, argument, f"leaser-{leaser}", T0):
                        mine.append(name)

    with ThreadPoolExecutor(LEASERS) as threads:
        leased = Counter(name for mine in threads.map(lease_all, range(LEASERS)) for name in mine)

    assert leased == Counter(names)


def test_a_lease_excludes_others(database: Database) -> None:
    """What is leased is not to be had, neither when due nor by hand, and is not listed as due."""
    taken(database)

    assert take(database, holder="b") is None
    assert take(database, holder="b", early=True) is None
    with database.read() as tx:
        assert leases.due(tx, ["job"], T0, 10) == []


def test_what_is_not_due_is_run_by_hand_only(database: Database) -> None:
    """A job that waits for its time can be leased before it by who asks for it."""
    with database.write() as tx:
        leases.ensure(tx, "job", T0 + HOUR)

    assert take(database) is None
    assert take(database, early=True) is not None


def test_a_silent_holder_loses_its_lease(database: Database) -> None:
    """When a lease has run out another node takes the job and its cursor; the first can neither renew nor finish."""
    first = taken(database)
    with database.write() as tx:
        assert leases.renew(tx, first, T0, {"done": 7, "total": 9}, {"after": "seven"})

    second = take(database, holder="b", now=T0 + leases.LEASE)

    assert second is not None
    assert (second.attempts, second.cursor) == (2, {"after": "seven"})
    with database.write() as tx:
        assert not leases.renew(tx, first, T0 + leases.LEASE, {}, None)
    assert not finish(database, first, leases.OK)
    assert row(database)["leased_by"] == "b"


def test_a_renewed_lease_is_kept(database: Database) -> None:
    """Renewing moves the end of a lease."""
    lease = taken(database)
    with database.write() as tx:
        leases.renew(tx, lease, T0 + leases.LEASE / 2, {"done": 1, "total": None}, None)

    assert take(database, holder="b", now=T0 + leases.LEASE) is None
    assert row(database)["progress"] == {"done": 1, "total": None}


def test_success_waits_for_the_next_time(database: Database) -> None:
    """After a run that went well the job is free, due one interval after its begin, and counts from anew."""
    lease = taken(database)

    assert finish(database, lease, leases.OK, T0 + timedelta(minutes=10), cursor={"x": 1})

    after = row(database)
    assert after["next_run_at"] == T0 + HOUR
    assert (after["outcome"], after["attempts"], after["cursor"], after["leased_by"]) == ("ok", 0, None, None)
    assert after["succeeded_at"] == T0 + timedelta(minutes=10)


def test_failures_back_off(database: Database) -> None:
    """Each failure in a row doubles the wait, from 30 seconds to an hour; the error and the cursor stay."""
    waits, now = [], T0
    lease = taken(database)
    for _ in range(10):
        finish(database, lease, leases.FAILED, now, error="it broke", cursor={"x": 1})
        waits.append((row(database)["next_run_at"] - now).total_seconds())
        now = row(database)["next_run_at"]
        lease = taken(database, now=now)

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert (row(database)["error"], lease.cursor) == ("it broke", {"x": 1})
    assert row(database)["succeeded_at"] is None


def test_what_was_stopped_goes_on_at_once(database: Database) -> None:
    """A run that was told to stop has not failed: it is due now, where it had come to."""
    finish(database, taken(database), leases.STOPPED, cursor={"after": 3})

    again = take(database, holder="b")

    assert again is not None
    assert (again.attempts, again.cursor) == (1, {"after": 3})


def test_work_without_a_schedule_goes_when_it_is_done(database: Database) -> None:
    """A row that was asked for is gone after it went well, and stays after a failure."""
    lease = taken(database)
    finish(database, lease, leases.FAILED, every=None)
    assert row(database)["outcome"] == "failed"

    again = take(database, now=T0 + HOUR)
    assert again is not None
    finish(database, again, leases.OK, every=None)

    with database.read() as tx:
        assert leases.rows(tx) == []


@pytest.mark.parametrize("every", [HOUR, None])
def test_asking_while_it_runs_runs_it_once_more(database: Database, every: timedelta | None) -> None:
    """What is asked for during a run may have come too late for it, so the job runs again."""
    lease = taken(database)
    with database.write() as tx:
        leases.ask(tx, "job", "", T0)

    finish(database, lease, leases.OK, T0, every=every)

    assert row(database)["next_run_at"] == T0
    assert take(database) is not None
    assert row(database)["again"] is False


def test_parts_of_the_work_are_leased_apart(database: Database) -> None:
    """One job's work can be split: each argument is a row with a lease of its own."""
    with database.write() as tx:
        leases.ask(tx, "job", "one", T0)
        leases.ask(tx, "job", "two", T0)
        leases.ask(tx, "job", "two", T0)

        assert leases.take(tx, "job", "one", "a", T0) is not None
        assert leases.take(tx, "job", "two", "b", T0) is not None
        assert leases.due(tx, ["job"], T0, 10) == []
