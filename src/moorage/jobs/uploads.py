"""``expire-uploads``: what was begun and never ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.registry import collection
from moorage.registry.tables import uploads

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.core import Registry

_BATCH: Final = 100
"""Uploads in one transaction: short enough that a push does not wait for it."""


def expire_uploads(registry: Registry, now: datetime, run: Run) -> None:
    """Forget uploads that nobody continued in time: their bytes are condemned with their rows."""
    oldest = now - timedelta(hours=registry.settings.upload_expiry_hours)
    forgotten = 0
    while batch := _forget(registry, oldest):
        forgotten += batch
        run.progress(forgotten, uploads=forgotten)


def _forget(registry: Registry, oldest: datetime) -> int:
    """Forget one batch; return how many uploads were looked at."""
    expired = sa.select(uploads.c.id, uploads.c.location, uploads.c.offset).where(uploads.c.touched_at <= oldest)
    with registry.write(registry.system()) as ctx:
        rows = ctx.tx.execute(expired.order_by(uploads.c.touched_at).limit(_BATCH)).all()
        for row in rows:
            # Somebody may have continued it since it was looked at.
            still = sa.delete(uploads).where(uploads.c.id == row.id, uploads.c.touched_at <= oldest)
            if ctx.tx.execute(still).rowcount == 1:
                collection.condemn(ctx, row.location, row.offset)
    return len(rows)
