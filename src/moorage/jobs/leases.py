"""
The rows of jobs: due, leased, renewed, finished.

Whoever changes a row repeats the whole condition under which it may in the
outer WHERE of its own statement. PostgreSQL checks that again when it has waited
for another's change; a condition in a sub-select it does not check again, and
leases twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.registry.tables import Instant, jobs
from moorage.registry.upsert import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LEASE: Final = timedelta(seconds=60)
"""How long a node that has gone silent keeps a job. Clocks of nodes may differ by a good part of it."""
OK: Final = "ok"
FAILED: Final = "failed"
STOPPED: Final = "stopped"
_FIRST_BACKOFF: Final = timedelta(seconds=30)
_LONGEST_BACKOFF: Final = timedelta(hours=1)
_MAX_ERROR: Final = 1000
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one job, until somebody else may."""

    name: str
    argument: str
    holder: str
    """Of this lease and no other: a node that was given up and comes back does not hold it again."""
    attempts: int
    """Runs since the last that went well, this one included."""
    started_at: datetime
    cursor: Any


def ensure(tx: sa.Connection, name: str, at: datetime, argument: str = "") -> bool:
    """Make the row of a job if there is none; tell whether it was made."""
    row = {"name": name, "argument": argument, "next_run_at": at, "again": False, "attempts": 0}
    return insert_if_absent(tx, jobs, row)


def without_rows(tx: sa.Connection, names: Sequence[str]) -> list[str]:
    """Return those of the jobs that have no row yet."""
    present = set(tx.execute(sa.select(jobs.c.name).where(jobs.c.name.in_(names), jobs.c.argument == "")).scalars())
    return [name for name in names if name not in present]


def ask(tx: sa.Connection, name: str, argument: str, at: datetime) -> None:
    """Have a job run once more; while it runs, once more after that."""
    if not ensure(tx, name, at, argument):
        tx.execute(sa.update(jobs).where(_is(name, argument)).values(next_run_at=at, again=True))


def due(tx: sa.Connection, names: Sequence[str], now: datetime, limit: int) -> list[tuple[str, str]]:
    """Return jobs that may be leased now, those that have waited longest first."""
    waiting = sa.select(jobs.c.name, jobs.c.argument).where(jobs.c.name.in_(names), _is_free(now), _is_due(now))
    return [(row.name, row.argument) for row in tx.execute(waiting.order_by(jobs.c.next_run_at).limit(limit))]


def rows(tx: sa.Connection, name: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of all jobs, or of one, to be shown."""
    wanted = sa.select(jobs).order_by(jobs.c.name, jobs.c.argument)
    found = tx.execute(wanted if name is None else wanted.where(jobs.c.name == name))
    return [dict(row) for row in found.mappings()]


def take(
    tx: sa.Connection, name: str, argument: str, holder: str, now: datetime, *, early: bool = False
) -> Lease | None:
    """Lease a job that is due (with ``early``, also one that is not yet); None if it is not to be had."""
    free = [_is(name, argument), _is_free(now), *([] if early else [_is_due(now)])]
    values = {
        "leased_by": holder,
        "leased_until": now + LEASE,
        "attempts": jobs.c.attempts + 1,
        "started_at": now,
        "again": False,
    }
    if tx.execute(sa.update(jobs).where(*free).values(values)).rowcount != 1:
        return None
    row = tx.execute(sa.select(jobs.c.attempts, jobs.c.cursor).where(_is(name, argument))).one()
    return Lease(name, argument, holder, row.attempts, now, row.cursor)


def renew(tx: sa.Connection, lease: Lease, now: datetime, progress: dict[str, Any], cursor: Any) -> bool:
    """Keep a lease for another while and store how far the run has come; tell whether the lease still is ours."""
    values = {"leased_until": now + LEASE, "progress": progress, "cursor": cursor}
    return tx.execute(sa.update(jobs).where(_held(lease)).values(values)).rowcount == 1


def finish(
    tx: sa.Connection,
    lease: Lease,
    now: datetime,
    outcome: str,
    *,
    every: timedelta | None,
    progress: dict[str, Any],
    cursor: Any = None,
    error: str | None = None,
) -> bool:
    """Give a lease back with what came of it; tell whether it still was ours."""
    if outcome == OK and every is None:
        gone = tx.execute(sa.delete(jobs).where(_held(lease), jobs.c.again.is_(sa.false())))
        if gone.rowcount == 1:
            return True
    after = _next_run(lease, now, outcome, every)
    values: dict[str, Any] = {
        "leased_by": None,
        "leased_until": None,
        # Asked for again while it ran: at once.
        "next_run_at": sa.case((jobs.c.again, sa.literal(now, Instant)), else_=sa.literal(after, Instant)),
        "finished_at": now,
        "outcome": outcome,
        "error": error and error[:_MAX_ERROR],
        "progress": progress,
        "cursor": None if outcome == OK else cursor,
        # A run that was told to stop has not failed.
        "attempts": {OK: 0, STOPPED: lease.attempts - 1}.get(outcome, lease.attempts),
    }
    if outcome == OK:
        values["succeeded_at"] = now
    return tx.execute(sa.update(jobs).where(_held(lease)).values(values)).rowcount == 1


def _next_run(lease: Lease, now: datetime, outcome: str, every: timedelta | None) -> datetime:
    if outcome == FAILED:
        return now + backoff(lease.attempts)
    # What was stopped goes on elsewhere at once.
    return now if outcome == STOPPED or every is None else max(lease.started_at + every, now)


def backoff(attempts: int) -> timedelta:
    """Return how long a job waits that has failed so many times in a row: 30 s, doubled each time, at most an hour."""
    return min(_FIRST_BACKOFF * (1 << min(attempts - 1, 16)), _LONGEST_BACKOFF)


def _is(name: str, argument: str) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.name == name, jobs.c.argument == argument)


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return jobs.c.next_run_at <= now


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)


def _held(lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(_is(lease.name, lease.argument), jobs.c.leased_by == lease.holder)
