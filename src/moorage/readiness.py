"""
Whether this worker can do its work: whether its database and its store of layers answer, in time.

Asked at most once a second, whoever asks how often, and each in a thread of its
own: when all others wait for a database that has gone silent, the answer still
comes, and names it.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from moorage import draining, logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.core import Registry

_FRESH: Final = 1.0
"""Seconds for which an answer holds."""
_PATIENCE: Final = 3.0
"""Seconds after which a part that has not answered is away."""


class Readiness:
    """What can be reached, as it was a second ago at most."""

    def __init__(self, registry: Registry) -> None:
        self._parts: dict[str, Callable[[], None]] = {
            "database": lambda: _reach_database(registry),
            "store": lambda: _reach_store(registry),
        }
        self._asked: dict[str, asyncio.Future[None]] = {}
        self._threads = ThreadPoolExecutor(len(self._parts), thread_name_prefix="moorage-ready")
        self._answer: dict[str, bool] = {}
        self._until = 0.0
        self._asking: asyncio.Future[None] | None = None

    async def check(self) -> dict[str, bool]:
        """Return whether each part answers; nothing is asked of a process that is going."""
        if draining.has_begun():
            return {"draining": False}
        if time.monotonic() >= self._until:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.ensure_future(self._ask())
            await asyncio.shield(self._asking)
        return self._answer

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        for name, part in self._parts.items():
            # One that has not come back from the last time is not asked twice.
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = loop.run_in_executor(self._threads, part)
        await asyncio.wait(self._asked.values(), timeout=_PATIENCE)
        self._answer = {name: _went_well(name, asked) for name, asked in self._asked.items()}
        self._until = time.monotonic() + _FRESH

    def close(self) -> None:
        """Ask no more; a part that never answers is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _went_well(name: str, asked: asyncio.Future[None]) -> bool:
    if not asked.done():
        logs.warning("not_ready", part=name, reason=f"no answer for {_PATIENCE} seconds")
        return False
    if problem := asked.exception():
        logs.warning("not_ready", part=name, reason=f"{type(problem).__name__}: {problem}"[:500])
        return False
    return True


def _reach_database(registry: Registry) -> None:
    with registry.database.read() as tx:
        tx.exec_driver_sql("SELECT 1 FROM repositories LIMIT 1").first()


def _reach_store(registry: Registry) -> None:
    registry.blobs.check()
