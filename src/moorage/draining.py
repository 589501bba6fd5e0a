"""
Whether this process is on its way out.

The first signal begins it (`workers`), or the end of the application where
another server runs it. From then on nothing long is begun, and `/readyz` says no.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_begun: Final = threading.Event()
_actions: Final[list[Callable[[], object]]] = []


def begin() -> None:
    """Note that the process is going, and tell those who asked to be told."""
    if not _begun.is_set():
        _begun.set()
        for action in _actions:
            action()


def has_begun() -> bool:
    """Whether the process is going."""
    return _begun.is_set()


def when_begun(action: Callable[[], object]) -> None:
    """Have something quick done when the process begins to go, on the thread of its event loop."""
    _actions.append(action)


def forget(action: Callable[[], object]) -> None:
    """Take back what `when_begun` was told: what it is about has ended by itself."""
    if action in _actions:
        _actions.remove(action)
