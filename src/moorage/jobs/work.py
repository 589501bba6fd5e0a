"""
What a job is, and what it gets to work with.

A job is a function of the registry, the time and its run. It opens its own
transactions, short ones, as `Registry.system`. It may be ended at any moment
(a signal, a crash, a lost lease) and begun again elsewhere, so whatever it does
must be right when done twice.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from moorage.registry.core import Registry


class Stopped(Exception):
    """The job must end now: its process is going, or its lease has gone to somebody else."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work."""

    name: str
    function: Callable[[Registry, datetime, Run], None]
    every: timedelta | None
    """Between the begins of two runs; None for work that is only done when `leases.ask` asks for it."""
    description: str


class Run:
    """One run of a job: what it was asked to do, how far it has come, and whether it may go on."""

    def __init__(self, argument: str = "", cursor: Any = None, *, turn: float | None = None) -> None:
        """With a ``turn``, so many seconds are for this job before others that are due (`make_room`)."""
        self._turn_ends = None if turn is None else time.monotonic() + turn
        self.argument = argument
        """Which part of the work this run is about; empty for all of it."""
        self.cursor = cursor
        """Where a run that was cut short had come to, as it said itself; None at the beginning."""
        self.done = 0
        self.total: int | None = None
        self.facts: dict[str, Any] = {}
        self.changes = 0
        """How often `progress` was called."""
        self._stop = threading.Event()

    def progress(self, done: int, total: int | None = None, *, cursor: Any = None, **facts: Any) -> None:
        """
        Tell how far the run has come, and stop here if it must; raises `Stopped`.

        Costs nothing: what was told last is written about once a second by
        another thread. A run that takes over gets a ``cursor`` (anything that
        JSON can hold) that may be as old as that.
        """
        self.done, self.total, self.facts = done, total, facts
        if cursor is not None:
            self.cursor = cursor
        self.changes += 1
        self.check()

    def check(self) -> None:
        """Raise `Stopped` if the run must end."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than the run may; raises `Stopped`."""
        self._stop.wait(seconds)
        self.check()

    def make_room(self) -> None:
        """
        Raise `Stopped` if the run has had its turn: it goes on from its cursor once the jobs that are due have run.

        For a job that may take hours. To be called where the cursor is right.
        """
        if self._turn_ends is not None and time.monotonic() >= self._turn_ends:
            raise Stopped

    def stop(self) -> None:
        """Let the run end where it next asks. Other threads call this."""
        self._stop.set()

    def state(self) -> dict[str, Any]:
        """Return the progress as it is stored."""
        return {"done": self.done, "total": self.total, **self.facts}
