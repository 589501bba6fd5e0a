"""
How workers ended, and so when the next may begin.

A worker that is killed (by the kernel, which is out of memory) is replaced however often that happens: the others,
and those who wait in the listening socket, have somebody to go on with. Only a server of which no worker comes up at
all has nothing to wait for.
"""

from __future__ import annotations

import asyncio
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STILLBORN: Final = 8
"""Workers that die one after another before they are up, while none is: then there is no use in more."""
_FIRST: Final = 0.1
_LONGEST: Final = 2.0
_SOON: Final = 10.0
"""Seconds of life that are enough for the next worker not to be kept waiting any longer than the first was."""


@dataclass(slots=True)
class Life:
    """One worker's: when it began, and whether it has been seen to serve."""

    born: float
    _mark: mmap.mmap
    """A byte that the worker shares with its parent."""

    @classmethod
    def beginning(cls, now: float) -> Life:
        """Return that of a worker which is about to be forked."""
        return cls(now, mmap.mmap(-1, 1))

    @property
    def came_up(self) -> bool:
        """Whether the worker's loop has run with all in place that it needs to serve."""
        return self._mark[0] != 0

    def telling(self, load: Callable[[], Any]) -> Callable[[], Any]:
        """Return the worker's loader, which also has the worker tell when it is up."""

        def loaded() -> Any:
            application = load()
            # The loop runs once the server has its socket and its certificate, which may fail too.
            asyncio.get_event_loop().call_soon(self.come_up)
            return application

        return loaded

    def come_up(self) -> None:
        """Tell the parent."""
        self._mark[0] = 1


class Lives:
    """The lives of all workers, by number."""

    def __init__(self) -> None:
        self._living: dict[int, Life] = {}
        self._due: dict[int, float] = {}
        self._short: dict[int, int] = {}
        self._stillborn = 0

    def begin(self, number: int, now: float) -> Life:
        """Note that a worker begins, in place of any before."""
        self._due.pop(number, None)
        life = self._living[number] = Life.beginning(now)
        return life

    def end(self, number: int, now: float) -> float:
        """Note that a worker has died, and return the seconds after which the next is due."""
        life = self._living.pop(number)
        self._stillborn = 0 if life.came_up else self._stillborn + 1
        self._short[number] = self._short.get(number, 0) + 1 if now - life.born < _SOON else 0
        pause = min(_FIRST * (1 << min(self._short[number], 16)), _LONGEST)
        self._due[number] = now + pause
        return pause

    @property
    def are_hopeless(self) -> bool:
        """Whether none is up, and many in a row have not come up either."""
        return self._stillborn >= STILLBORN and not any(life.came_up for life in self._living.values())

    def due(self, now: float) -> list[int]:
        """Return the workers that may begin now."""
        return [number for number, when in self._due.items() if when <= now]

    def wait(self, now: float) -> float | None:
        """Return the seconds until one may begin; None if all are there."""
        return max(min(self._due.values()) - now, 0.0) if self._due else None
