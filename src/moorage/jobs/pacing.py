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

_LEAST: Final = 10
"""Rows that are taken at once however long they take."""


class Pace:
    """How much to do at once, and the rest after it."""

    def __init__(
        self,
        run: Run,
        percent: int,
        is_anybody: Callable[[], bool],
        *,
        turns: tuple[float, float] = (0.01, 0.05),
        rows: int = 100,
        most: int = 1000,
    ) -> None:
        """
        Let a run work for so many of a hundred parts of its time while anybody is there; with 100 it never rests.

        ``turns``: seconds of work at a time, about, beside somebody and alone. ``rows``: how many to take at first,
        ``most``: at any time.
        """
        self._run = run
        self._rest = (100 - percent) / percent
        self._is_anybody = is_anybody
        self._beside, self._alone = turns
        self._most = most
        self.rows = rows
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
        turn = self._beside if self._makes_room() else self._alone
        # By steps: once may have been chance.
        factor = min(max(turn / max(taken, 1e-6), 0.5), 1.5)
        # Few that were quick say nothing of many.
        if factor < 1 or rows >= self.rows:
            self.rows = min(max(int(rows * factor), _LEAST), self._most)

    def _makes_room(self) -> bool:
        return self._rest > 0 and self._is_anybody()
