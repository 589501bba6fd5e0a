"""Run a unit of work anew where the database has undone it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from moorage.domain.errors import Undone

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSES: Final = (0.01, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each new attempt, less a random part, so that those who were in each other's way part."""


def again(unit: Callable[[], T]) -> T:
    """
    Return what a unit of work returns, running it a few times more if the database undoes it; then raise `Undone`.

    The unit opens its own transaction and must have no effect but through it.
    """
    for pause in _PAUSES:
        try:
            return unit()
        except Undone:
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (spreads load, keeps no secret)
    return unit()
