"""
The pace of a job that has much to do beside people who push and pull.

What it holds (the one writing transaction of SQLite, a lock, the disk) it holds for some milliseconds, and then
leaves it alone for a multiple of that: who waits has it in between. How much is done at once is found out on the way.
While nobody is there it does not rest, and holds things for somewhat longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.jobs.work import Run

_TURN: Final = 0.01
"""Seconds of work at a time, about."""
_ALONE: Final = 0.05
"""The same, while nobody waits."""
_LEAST: Final = 10
_MOST: Final = 1000
_BULK: Final = 10_000
"""The most rows that one statement is given."""


def fitting(rows: int, taken: float, turn: float) -> int:
    """Return how many rows to take the next time, where these took so many seconds and ``turn`` is what they may."""
    # By steps: once may have been chance.
    factor = min(max(turn / max(taken, 1e-6), 0.5), 1.5)
    return min(max(int(rows * factor), _LEAST), _BULK)


class Pace:
    """How much to do at once, and the rest after it."""

    def __init__(self, run: Run, percent: int, is_anybody: Callable[[], bool]) -> None:
        """Let a run work for so many of a hundred parts of its time while anybody is there; with 100 it never rests."""
        self._run = run
        self._rest = (100 - percent) / percent
        self._is_anybody = is_anybody
        self.rows = 100
        """How many rows to take at once."""

    def rest(self, taken: float) -> None:
        """
        Leave alone, after so many seconds, what others were kept from.

        Raises `moorage.jobs.work.Stopped` where the run must end.
        """
        if self._makes_room():
            self._run.wait(taken * self._rest)

    def learn(self, rows: int, taken: float) -> None:
        """Take more or fewer rows the next time, after so many seconds of work on these."""
        turn = _TURN if self._makes_room() else _ALONE
        if taken > 2 * turn:
            self.rows = max(rows // 2, _LEAST)
        elif taken < turn / 2 and rows >= self.rows:
            self.rows = min(self.rows * 3 // 2, _MOST)

    def _makes_room(self) -> bool:
        return self._rest > 0 and self._is_anybody()
