"""The thread that runs jobs in the background of a worker. Any worker runs any job, and each job runs once."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.jobs import leases
from moorage.jobs.carrying import carry_out, holder
from moorage.jobs.work import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moorage.jobs.work import Job
    from moorage.registry.core import Registry

    Observe = Callable[[str, str, float], None]

_CANDIDATES: Final = 16
"""Due jobs that are looked at together: who finds the first one taken tries the next."""
_TURN: Final = 30.0
"""Seconds after which a long job lets others go first."""


class Runner:
    """Runs what is due, one job at a time, until it is stopped."""

    def __init__(
        self, registry: Registry, jobs: Sequence[Job], *, poll: float, observe: Observe = lambda *_: None
    ) -> None:
        """
        Prepare to look for work about every ``poll`` seconds.

        ``observe`` gets the name, the outcome and the seconds of each run.
        """
        self._registry = registry
        self._jobs = {job.name: job for job in jobs}
        self._poll = poll
        self._observe = observe
        self._stopping = threading.Event()
        self._current: Run | None = None
        self._thread = threading.Thread(target=self._loop, name="moorage-jobs", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more jobs and let the one that runs stop where it can; returns at once, from any thread."""
        self._stopping.set()
        if run := self._current:
            run.stop()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended. A job that does not stop in time is left to the next holder of its lease."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _loop(self) -> None:
        # The workers of all nodes may have started together, and should not ask together.
        while not self._stopping.wait(self._poll * random.uniform(0.5, 1.5)):  # noqa: S311 (spreads load, hides nothing)
            try:
                self.ensure_rows()
                while not self._stopping.is_set() and self.run_next():
                    pass
            except Exception:  # noqa: BLE001 (the database is away, perhaps; it is asked again)
                logs.exception("jobs_not_run")

    def ensure_rows(self) -> None:
        """See that every job with a schedule has its row."""
        scheduled = [job.name for job in self._jobs.values() if job.every is not None]
        with self._registry.database.read() as tx:
            absent = leases.without_rows(tx, scheduled)
        if absent:
            with self._registry.database.write() as tx:
                for name in absent:
                    leases.ensure(tx, name, self._registry.clock())

    def run_next(self) -> bool:
        """Run one job that is due; tell whether there was one."""
        lease = self._lease_next()
        if lease is None:
            return False
        run = self._current = Run(lease.argument, lease.cursor, turn=_TURN)
        if self._stopping.is_set():
            # The signal came between; the run ends at its first question.
            run.stop()
        began = time.perf_counter()
        outcome = carry_out(self._registry, self._jobs[lease.name], lease, run)
        self._current = None
        self._observe(lease.name, outcome, time.perf_counter() - began)
        return True

    def _lease_next(self) -> leases.Lease | None:
        now = self._registry.clock()
        with self._registry.database.read() as tx:
            waiting = leases.due(tx, list(self._jobs), now, _CANDIDATES)
        for name, argument in waiting:
            with self._registry.database.write() as tx:
                lease = leases.take(tx, name, argument, holder(self._registry), now)
            if lease is not None:
                return lease
        return None
