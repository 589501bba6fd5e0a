"""
When keys were last used, and for what: noted in memory, and written now and then for many keys at once.

A pull never writes. What a killed process had not written yet is lost: up to
``last_used_seconds`` of it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from moorage import logs
from moorage.domain.errors import Unavailable
from moorage.registry.tables import access_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from moorage.registry.core import Registry
    from moorage.registry.storage import Database


class Use(NamedTuple):
    """One use of a key."""

    at: datetime
    service: str
    region: str


class Uses:
    """The last uses of keys in this process that are not written yet. As many as there are keys, at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unwritten: dict[str, Use] = {}

    def note(self, access_key_id: str, use: Use) -> None:
        """Note that a request was signed with a key, or came with a token made by one."""
        with self._lock:
            known = self._unwritten.get(access_key_id)
            if known is None or known.at <= use.at:
                self._unwritten[access_key_id] = use

    def flush(self, database: Database) -> int:
        """Write what was noted; return for how many keys. What cannot be written is kept for the next time."""
        with self._lock:
            noted, self._unwritten = self._unwritten, {}
        if not noted:
            return 0
        try:
            with database.write() as tx:
                # In one order, so that two workers never wait for each other.
                tx.execute(_LATER, [{"key": key, **use._asdict()} for key, use in sorted(noted.items())])
        except (SQLAlchemyError, Unavailable):
            logs.exception("last_used_not_written", keys=len(noted))
            for key, use in noted.items():
                self.note(key, use)
            return 0
        return len(noted)


_AT = sa.bindparam("at", type_=access_keys.c.last_used_at.type)
_LATER = (
    sa.update(access_keys)
    .where(
        access_keys.c.id == sa.bindparam("key"),
        sa.or_(access_keys.c.last_used_at.is_(None), access_keys.c.last_used_at < _AT),
    )
    .values(last_used_at=_AT, last_used_service=sa.bindparam("service"), last_used_region=sa.bindparam("region"))
)
"""Time goes on only: another worker may have written a later use."""


@asynccontextmanager
async def flushing(registry: Registry) -> AsyncIterator[None]:
    """Write now and then what requests note while the block runs; the rest is written when the registry is closed."""
    task = asyncio.create_task(_flush_for_ever(registry))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _flush_for_ever(registry: Registry) -> None:
    while True:
        await asyncio.sleep(registry.settings.last_used_seconds)
        await registry.perform(registry.flush)
