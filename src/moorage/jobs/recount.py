"""``recount``: whether what is counted of each repository is what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage import logs
from moorage.registry import usage
from moorage.registry.tables import repositories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.core import Registry

_BATCH: Final = 100
"""Repositories that are listed at a time."""


def recount(registry: Registry, _now: datetime, run: Run) -> None:
    """Look at all repositories, each in a transaction of its own, and count those anew that were miscounted."""
    done, repaired = 0, 0
    while batch := _after(registry, run.cursor or ""):
        for repository_id in batch:
            repaired += _repair(registry, repository_id)
            done += 1
            run.progress(done, cursor=repository_id, repositories=done, repaired=repaired)


def _after(registry: Registry, last: str) -> Sequence[str]:
    following = sa.select(repositories.c.id).where(repositories.c.id > last).order_by(repositories.c.id)
    with registry.database.read() as tx:
        return tx.execute(following.limit(_BATCH)).scalars().all()


def _repair(registry: Registry, repository_id: str) -> bool:
    """Count a repository anew if it was miscounted; tell whether it was."""
    with registry.database.read() as tx:
        # One snapshot: both see the same pushes.
        counted, truth = usage.counted(tx, repository_id), usage.truth(tx, repository_id)
    if counted == truth:
        return False
    logs.warning("miscounted", repository=repository_id, counted=counted, truth=truth)
    with registry.database.write() as tx:
        usage.recount(tx, repository_id)
    return True
