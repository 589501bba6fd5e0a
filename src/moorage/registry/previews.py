"""Previews of lifecycle policies: what one would do now, computed once and kept for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage import logs
from moorage.domain import lifecycle
from moorage.domain.errors import LifecyclePolicyPreviewInProgress, LifecyclePolicyPreviewNotFound
from moorage.registry import lifecycle as policies
from moorage.registry import paging, repositories
from moorage.registry.tables import lifecycle_previews, lifecycle_results
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.lifecycle import Image, Rule
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

IN_PROGRESS: Final = "IN_PROGRESS"
COMPLETE: Final = "COMPLETE"
EXPIRED: Final = "EXPIRED"
FAILED: Final = "FAILED"
_LIFETIME: Final = timedelta(hours=24)
_PATIENCE: Final = timedelta(minutes=10)
"""How long a preview may take: after that, whoever computed it is taken to be gone."""
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Preview:
    """The last preview of a repository."""

    id: str
    text: str
    status: str
    expiring: int
    transitioning: int


@dataclass(frozen=True, slots=True)
class Result:
    """An image that the previewed policy would act on."""

    position: int
    digest: str
    tags: Sequence[str]
    pushed_at: datetime
    priority: int
    action: str
    storage_class: str


def begin(ctx: Context, repository: Repository, text: str) -> str:
    """
    Note that a preview of a policy is being computed, and return its id; `compute` does it.

    Replaces the preview before. Raises `LifecyclePolicyPreviewInProgress` while that is being computed.
    """
    repositories.lock(ctx, repository)
    before = _row(ctx, repository)
    if before is not None and before.status == IN_PROGRESS and before.started_at > ctx.now - _PATIENCE:
        raise LifecyclePolicyPreviewInProgress
    ctx.tx.execute(sa.delete(lifecycle_results).where(lifecycle_results.c.repository_id == repository.id))
    preview_id = ctx.registry.new_id()
    values = {
        "repository_id": repository.id,
        "id": preview_id,
        "text": text,
        "status": IN_PROGRESS,
        "started_at": ctx.now,
        "expiring": 0,
        "transitioning": 0,
    }
    insert_or_update(ctx.tx, lifecycle_previews, values, key=["repository_id"])
    return preview_id


def compute(ctx: Context, repository: Repository, preview_id: str, text: str) -> None:
    """Compute a preview that was begun, in transactions of its own: a snapshot, and results by the batch."""
    try:
        with ctx.read() as reading:
            found = policies.select(reading, repository, text)
        for start in range(0, len(found), _BATCH):
            rows = [
                _values(repository, preview_id, start + n, image, rule)
                for n, (image, rule) in enumerate(found[start : start + _BATCH])
            ]
            with ctx.write() as writing:
                writing.tx.execute(sa.insert(lifecycle_results), rows)
    except Exception:
        logs.exception("preview_failed", request_id=ctx.request_id, repository=repository.name)
        _finish(ctx, repository, preview_id, status=FAILED)
        raise
    expiring = sum(rule.action is lifecycle.Action.EXPIRE for _, rule in found)
    _finish(ctx, repository, preview_id, status=COMPLETE, expiring=expiring, transitioning=len(found) - expiring)


def _values(repository: Repository, preview_id: str, position: int, image: Image, rule: Rule) -> dict[str, Any]:
    return {
        "repository_id": repository.id,
        "preview_id": preview_id,
        "position": position,
        "digest": image.digest,
        "tags": list(image.tags),
        "pushed_at": image.pushed_at,
        "priority": rule.priority,
        "action": rule.action.upper(),
        "storage_class": rule.storage.upper(),
    }


def _finish(ctx: Context, repository: Repository, preview_id: str, **values: Any) -> None:
    with ctx.write() as writing:
        # Not if another preview has taken its place, or the repository is gone.
        mine = sa.and_(lifecycle_previews.c.repository_id == repository.id, lifecycle_previews.c.id == preview_id)
        writing.tx.execute(sa.update(lifecycle_previews).where(mine).values(**values))


def get(ctx: Context, repository: Repository) -> Preview:
    """Return the last preview, whatever its state; raise `LifecyclePolicyPreviewNotFound`."""
    row = _row(ctx, repository)
    if row is None:
        raise LifecyclePolicyPreviewNotFound(name=repository.name, registry_id=repository.registry_id)
    status, age = row.status, ctx.now - row.started_at
    if age > _LIFETIME:
        status = EXPIRED
    elif status == IN_PROGRESS and age > _PATIENCE:
        status = FAILED
    return Preview(row.id, row.text, status, row.expiring, row.transitioning)


def _row(ctx: Context, repository: Repository) -> Any:
    return ctx.tx.execute(
        sa.select(lifecycle_previews).where(lifecycle_previews.c.repository_id == repository.id)
    ).first()


def page(
    ctx: Context, repository: Repository, preview: Preview, *, tagged: bool | None, limit: int, next_token: str | None
) -> paging.Page[Result]:
    """Return the next results in order; with ``tagged``, only those of tagged or of untagged images."""
    listing = f"preview/{preview.id}/{tagged}"
    after = paging.position(ctx, listing, next_token)
    position, items = int(after[0]) if after else -1, list[Result]()
    while len(items) <= limit:
        # Filtered here: whether a JSON list is empty is no question to put to every database.
        rows = _after(ctx, repository, preview, position, limit + 1)
        items += [result for result in rows if tagged is None or bool(result.tags) == tagged]
        if len(rows) <= limit:
            break
        position = rows[-1].position
    more = len(items) > limit
    items = items[:limit]
    return paging.Page(items, paging.token(ctx, listing, [str(items[-1].position)]) if more else None)


def among(ctx: Context, repository: Repository, preview: Preview, digests: Sequence[str]) -> list[Result]:
    """Return the results for some images, in order."""
    return _results(ctx, repository, preview, lifecycle_results.c.digest.in_(digests), None)


def _after(ctx: Context, repository: Repository, preview: Preview, position: int, count: int) -> list[Result]:
    return _results(ctx, repository, preview, lifecycle_results.c.position > position, count)


def _results(
    ctx: Context, repository: Repository, preview: Preview, which: sa.ColumnElement[bool], count: int | None
) -> list[Result]:
    results = lifecycle_results.c
    rows = ctx.tx.execute(
        sa.select(
            results.position,
            results.digest,
            results.tags,
            results.pushed_at,
            results.priority,
            results.action,
            results.storage_class,
        )
        .where(results.repository_id == repository.id, results.preview_id == preview.id, which)
        .order_by(results.position)
        .limit(count)
    )
    return [Result(*row) for row in rows]
