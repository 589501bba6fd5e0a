"""``lifecycle``: images that have had their time, by the policy of their repository."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.domain.errors import Failure
from moorage.domain.lifecycle import Action
from moorage.domain.names import Digest, RepositoryName
from moorage.jobs.work import Stopped
from moorage.registry import images, lifecycle, repositories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.lifecycle import Image
    from moorage.jobs.work import Run
    from moorage.registry.core import Context, Registry
    from moorage.registry.lifecycle import Due

_REPOSITORIES: Final = 100
_BATCH: Final = 50
"""Images in one transaction: short enough that a push to the repository does not wait for it."""


def carry_out_lifecycles(registry: Registry, now: datetime, run: Run) -> None:
    """Carry out the lifecycle policies that are due, each on a snapshot of its repository."""
    done = expired = 0
    while batch := _due(registry, now):  # what has been carried out is due later
        for due in batch:
            expired += _evaluate(registry, due, run)
            done += 1
            run.progress(done, repositories=done, expired=expired)


def _due(registry: Registry, now: datetime) -> list[Due]:
    with registry.read(registry.system()) as ctx:
        return lifecycle.due(ctx, now, _REPOSITORIES)


def _evaluate(registry: Registry, due: Due, run: Run) -> int:
    """Carry out one policy; return how many images expired. What goes wrong with one leaves the others alone."""
    expired = 0
    try:
        expired = _expire(registry, due, run)
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 (logged whole, and tried again when it is next due)
        logs.exception("lifecycle_failed", repository=due.name, registry_id=due.account_id)
    with registry.write(registry.system()) as ctx:
        lifecycle.evaluated(ctx, due, timedelta(minutes=registry.settings.lifecycle_interval_minutes))
    return expired


def _expire(registry: Registry, due: Due, run: Run) -> int:
    who = registry.system(due.account_id, due.region)
    with registry.read(who) as ctx:
        repository = repositories.find(ctx, RepositoryName(due.name))
        if repository is None:
            return 0
        # What a rule would archive is not to be deleted.
        found = [image for image, rule in lifecycle.select(ctx, repository, due.text) if rule.action is Action.EXPIRE]
    expired = 0
    for start in range(0, len(found), _BATCH):
        run.check()
        with registry.write(who) as ctx:
            repositories.lock(ctx, repository)
            if not lifecycle.is_current(ctx, due):
                break
            expired += _delete(ctx, repository, found[start : start + _BATCH])
    logs.info("lifecycle_run", repository=repository.arn, expired=expired)
    return expired


def _delete(ctx: Context, repository: repositories.Repository, batch: Sequence[Image]) -> int:
    expired = 0
    for image in batch:
        # Tagged anew, or named by an index, since the snapshot: it is another image now.
        if images.tags_of(ctx, repository, image.digest) != list(image.tags):
            continue
        try:
            images.delete(ctx, repository, Digest(image.digest))
        except Failure:
            continue
        expired += 1
    return expired
