"""``lifecycle``: images that have had their time, by the policy of their repository."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.domain.errors import Failure
from moorage.domain.lifecycle import Action
from moorage.domain.names import RepositoryName
from moorage.jobs.work import Stopped
from moorage.registry import archive, images, lifecycle, removal, repositories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.lifecycle import Image, Rule
    from moorage.jobs.work import Run
    from moorage.registry.core import Context, Registry
    from moorage.registry.lifecycle import Due

_REPOSITORIES: Final = 100
_BATCH: Final = 200
"""Images in one transaction: short enough that a push to the repository does not wait for it."""


def carry_out_lifecycles(registry: Registry, now: datetime, run: Run) -> None:
    """Carry out the lifecycle policies that are due, each on a snapshot of its repository."""
    done = 0
    acted: Counter[Action] = Counter()
    while batch := _due(registry, now):  # what has been carried out is due later
        for due in batch:
            acted += _evaluate(registry, due, run)
            done += 1
            run.progress(done, repositories=done, **_told(acted))


def _due(registry: Registry, now: datetime) -> list[Due]:
    with registry.read(registry.system()) as ctx:
        return lifecycle.due(ctx, now, _REPOSITORIES)


def _told(acted: Counter[Action]) -> dict[str, int]:
    return {"expired": acted[Action.EXPIRE], "archived": acted[Action.TRANSITION]}


def _evaluate(registry: Registry, due: Due, run: Run) -> Counter[Action]:
    """Carry out one policy; return what was done to how many images. What goes wrong leaves other policies alone."""
    acted: Counter[Action] = Counter()
    try:
        acted = _carry_out(registry, due, run)
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 (logged whole, and tried again when it is next due)
        logs.exception("lifecycle_failed", repository=due.name, registry_id=due.account_id)
    with registry.write(registry.system()) as ctx:
        lifecycle.evaluated(ctx, due, timedelta(minutes=registry.settings.lifecycle_interval_minutes))
    return acted


def _carry_out(registry: Registry, due: Due, run: Run) -> Counter[Action]:
    who = registry.system(due.account_id, due.region)
    with registry.read(who) as ctx:
        repository = repositories.find(ctx, RepositoryName(due.name))
        if repository is None:
            return Counter()
        found = lifecycle.select(ctx, repository, due.text)
    acted: Counter[Action] = Counter()
    for start in range(0, len(found), _BATCH):
        run.check()
        with registry.write(who) as ctx:
            repositories.lock(ctx, repository)
            if not lifecycle.is_current(ctx, due):
                break
            acted += _act(ctx, repository, found[start : start + _BATCH])
    logs.info("lifecycle_run", repository=repository.arn, **_told(acted))
    return acted


def _act(ctx: Context, repository: repositories.Repository, batch: Sequence[tuple[Image, Rule]]) -> Counter[Action]:
    named = removal.tags_of(ctx, repository, [image.digest for image, _rule in batch])
    # Tagged anew since the snapshot, it is another image now.
    same = [(image.digest, rule.action) for image, rule in batch if named[image.digest] == list(image.tags)]
    expiring = [digest for digest, action in same if action is Action.EXPIRE]
    acted = Counter({Action.EXPIRE: len(images.delete_unneeded(ctx, repository, expiring))})
    for digest, action in same:
        if action is Action.TRANSITION:
            with suppress(Failure):
                archive.archive(ctx, repository, digest)
                acted[action] += 1
    return acted
