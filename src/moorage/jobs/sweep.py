"""``sweep``: bytes that no row names, which crashes and lost races leave behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moorage.registry.sweep import sweep

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.core import Registry

_AGE: Final = timedelta(hours=48)
"""Younger bytes may belong to a request that is not over: none takes that long."""


def sweep_orphans(registry: Registry, now: datetime, run: Run) -> None:
    """Remove bytes that are old and that no row names: the only walk over the store, and nobody waits for it."""
    swept = sweep(registry, now - _AGE)
    run.progress(swept.seen, orphans=swept.deleted, aborted=swept.aborted)
