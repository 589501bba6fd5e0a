"""What the database knows of the whole installation, for a scrape that does not wait for it long."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from moorage import logs
from moorage.domain.errors import Failure
from moorage.registry import damage
from moorage.registry.tables import jobs, uploads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.registry.core import Registry

_PATIENCE: Final = 2.0
"""Seconds that a scrape waits for the database: Prometheus itself gives up after ten."""
_UPLOADS: Final = sa.select(sa.func.count()).select_from(uploads)
_JOBS: Final = sa.select(
    jobs.c.name,
    sa.func.max(jobs.c.succeeded_at).label("succeeded_at"),
    sa.func.max(jobs.c.finished_at).label("finished_at"),
    sa.func.count(sa.case((jobs.c.outcome == "failed", 1))).label("failing"),
).group_by(jobs.c.name)


class Facts(NamedTuple):
    """Gauges, and the rows of jobs; nothing of a database that is away, which must not hide all the rest."""

    gauges: Mapping[str, float]
    jobs: Sequence[Mapping[str, Any]]


class Installation:
    """Asks the database, in a thread of its own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="moorage-metrics")
        self._asked: asyncio.Future[Facts] | None = None

    async def facts(self) -> Facts:
        """Return what the database answers in time. One that has not answered the last scrape is not asked twice."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        await asyncio.wait([self._asked], timeout=_PATIENCE)
        return self._asked.result() if self._asked.done() else Facts({}, [])

    def close(self) -> None:
        """Ask no more; an answer that is not there yet is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> Facts:
        try:
            with self._registry.database.read() as tx:
                gauges = {"uploads_open": tx.execute(_UPLOADS).scalar_one(), "damaged": damage.count(tx)}
                return Facts(gauges, [dict(row) for row in tx.execute(_JOBS).mappings()])
        except (Failure, SQLAlchemyError, OSError):
            logs.exception("metrics_without_database")
            return Facts({}, [])
