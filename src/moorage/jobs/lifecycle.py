"""``lifecycle``: images that have had their time, by the policy of their repository."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.domain.errors import Failure
from moorage.domain.lifecycle import Action
from moorage.domain.names import RepositoryName, repository_arn
from moorage.jobs.pacing import Pace
from moorage.jobs.work import Stopped
from moorage.registry import archive, images, lifecycle, removal, repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from moorage.domain.lifecycle import Image, Rule
    from moorage.jobs.work import Run
    from moorage.registry.core import Context, Registry
    from moorage.registry.lifecycle import Due

_REPOSITORIES: Final = 100
_FIRST: Final = 200
"""Images in the first transaction: how long those take tells how many the next may have."""
_TOLD: Final = 1000
"""Images in one event of the audit trail, at most."""
_TURN: Final = 0.5
"""Seconds that a transaction should work, for which pushes to the repository wait."""
_BESIDE: Final = 0.05
"""The same where all pushes wait for it, at each of their own transactions, and somebody is there."""
_MOST: Final = 10_000
"""The most images that one transaction is given."""


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
    try:
        acted = carry_out(registry, due, run)
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 (logged whole, and tried again when it is next due)
        logs.exception("lifecycle_failed", repository=due.name, registry_id=due.account_id)
        _note_evaluated(registry, due)
        return Counter()
    arn = repository_arn(due.region, due.account_id, due.name)
    logs.info("lifecycle_run", repository=arn, **_told(acted))
    return acted


def _note_evaluated(registry: Registry, due: Due) -> None:
    with registry.write(registry.system()) as ctx:
        lifecycle.evaluated(ctx, due, timedelta(minutes=registry.settings.lifecycle_interval_minutes))


def carry_out(
    registry: Registry, due: Due, run: Run, advance: Callable[[float], None] = lambda _more: None
) -> Counter[Action]:
    """
    Carry out one policy, due or not; return what was done to how many images.

    ``advance`` is told of each number of images that were looked at once more. Raises `Stopped`.
    """
    who = registry.system(due.account_id, due.region)
    with registry.read(who) as ctx:
        repository = repositories.find(ctx, RepositoryName(due.name))
        found = [] if repository is None else lifecycle.select(ctx, repository, due.text)
    acted: Counter[Action] = Counter()
    if repository is None:
        return acted
    start, pace = 0, _pace(registry, run)
    while batch := found[start : start + pace.rows]:
        run.check()
        with registry.write(who, bulky=True) as ctx:
            repositories.lock(ctx, repository)
            if not lifecycle.is_current(ctx, due):
                break
            began = time.perf_counter()
            done = _act(ctx, repository, batch)
            acting = time.perf_counter() - began
        taken = time.perf_counter() - began
        acted.update(rule.action for _image, rule in done)
        for first in range(0, len(done), _TOLD):
            _tell(registry, repository, done[first : first + _TOLD])
        advance(len(batch))
        start += len(batch)
        pace.learn(len(batch), acting)
        pace.rest(taken)
    _note_evaluated(registry, due)
    return acted


def _pace(registry: Registry, run: Run) -> Pace:
    turns = (_TURN if registry.settings.database_is_shared else _BESIDE, _TURN)
    return Pace(run, registry.settings.gc_pace, registry.is_anybody, turns=turns, rows=_FIRST, most=_MOST)


def _act(
    ctx: Context, repository: repositories.Repository, batch: Sequence[tuple[Image, Rule]]
) -> list[tuple[Image, Rule]]:
    """Do to images what their rules say; return those to which it was done."""
    named = removal.tags_of(ctx, repository, [image.digest for image, _rule in batch])
    # Tagged anew since the snapshot, it is another image now.
    same = [(image, rule) for image, rule in batch if named[image.digest] == list(image.tags)]
    expiring = [image.digest for image, rule in same if rule.action is Action.EXPIRE]
    done = images.delete_unneeded(ctx, repository, expiring)
    for image, rule in same:
        if rule.action is Action.TRANSITION:
            with suppress(Failure):
                archive.archive(ctx, repository, image.digest)
                done.add(image.digest)
    return [(image, rule) for image, rule in same if image.digest in done]


def _tell(registry: Registry, repository: repositories.Repository, done: Sequence[tuple[Image, Rule]]) -> None:
    """Tell the audit trail, as CloudTrail does, which images a policy has acted on."""
    if registry.trail is None:
        return
    actions = [
        {
            "lifecycleEventImage": {
                "digest": image.digest,
                "tagStatus": "Tagged" if image.tags else "Untagged",
                "tagList": list(image.tags),
                "pushedAt": round(image.pushed_at.timestamp() * 1000),
            },
            "rulePriority": rule.priority,
            "action": rule.action.value,
        }
        for image, rule in done
    ]
    details = {"repositoryName": repository.name, "lifecycleEventImageActions": actions}
    whose = repository.registry_id, repository.region
    registry.trail.happened("PolicyExecutionEvent", repository.arn, *whose, details)
