"""One leased run, from its begin to what came of it, and the thread that keeps its lease meanwhile."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy.exc import SQLAlchemyError

from moorage import logs
from moorage.domain.errors import Failure
from moorage.jobs import leases
from moorage.jobs.work import Run, Stopped

if TYPE_CHECKING:
    from types import TracebackType

    from moorage.jobs.leases import Lease
    from moorage.jobs.work import Job
    from moorage.registry.core import Registry

LOST: Final = "lost"
"""The lease went to somebody else, who decides what came of the job."""
_TICK: Final = 1.0
"""Seconds between two looks at the run's progress."""
_RENEWAL: Final = leases.LEASE.total_seconds() / 3
"""Seconds after which a lease is renewed even if nothing has changed."""


def holder(registry: Registry) -> str:
    """Return a name for a new lease: the process, for people, and an id of its own."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{registry.new_id()[:8]}"


def carry_out(registry: Registry, job: Job, lease: Lease, run: Run) -> str:
    """Run a leased job and give the lease back; return the outcome."""
    error = None
    with _Keeper(registry, lease, run):
        try:
            job.function(registry, registry.clock(), run)
            outcome = leases.OK
        except Stopped:
            outcome = leases.STOPPED
        except Exception as problem:  # noqa: BLE001 (whatever a job does must not end the runner; it is logged and stored)
            outcome, error = leases.FAILED, f"{type(problem).__name__}: {problem}"
            logs.exception("job_failed", job=job.name, argument=lease.argument, attempts=lease.attempts)
    given = {"every": job.every, "progress": run.state(), "cursor": run.cursor, "error": error}
    with registry.database.write() as tx:
        return outcome if leases.finish(tx, lease, registry.clock(), outcome, **given) else LOST


class _Keeper:
    """Renews a lease for the length of a block, and stops the run if it is lost."""

    def __init__(self, registry: Registry, lease: Lease, run: Run) -> None:
        self._registry, self._lease, self._run = registry, lease, run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="moorage-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        changes, renewed = 0, time.monotonic()
        while not self._ended.wait(_TICK):
            if self._run.changes == changes and time.monotonic() - renewed < _RENEWAL:
                continue
            seen = self._run.changes
            try:
                with self._registry.database.write() as tx:
                    now = self._registry.clock()
                    ours = leases.renew(tx, self._lease, now, self._run.state(), self._run.cursor)
            except (Failure, SQLAlchemyError, OSError):
                # The database may come back while the lease still is ours.
                logs.exception("lease_not_renewed", job=self._lease.name)
                ours = time.monotonic() - renewed < leases.LEASE.total_seconds()
            else:
                changes, renewed = seen, time.monotonic()
            if not ours:
                self._run.stop()
                return
