"""Whose pulls leave no time: scanners, mirrors, whoever pulls everything and means nothing by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.operations.framework import Mode, on_registry
from moorage.registry import pulls
from moorage.registry.auth import Need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from moorage.registry.core import Context


def _asks(action: str) -> Callable[[Context, Mapping[str, Any]], Iterable[Need]]:
    return lambda _ctx, _given: [Need(action, "*")]


@on_registry("ecr:RegisterPullTimeUpdateExclusion", _asks("ecr:RegisterPullTimeUpdateExclusion"), Mode.WRITE)
def register_pull_time_update_exclusion(ctx: Context, *, principal_arn: str) -> dict[str, Any]:
    """Let later pulls of a user or role leave no time (RegisterPullTimeUpdateExclusion)."""
    pulls.exclude(ctx, principal_arn)
    return {"principalArn": principal_arn, "createdAt": ctx.now}


@on_registry("ecr:DeregisterPullTimeUpdateExclusion", _asks("ecr:DeregisterPullTimeUpdateExclusion"), Mode.WRITE)
def deregister_pull_time_update_exclusion(ctx: Context, *, principal_arn: str) -> dict[str, Any]:
    """Let later pulls of a user or role leave their time again (DeregisterPullTimeUpdateExclusion)."""
    pulls.include(ctx, principal_arn)
    return {"principalArn": principal_arn}


@on_registry("ecr:ListPullTimeUpdateExclusions", _asks("ecr:ListPullTimeUpdateExclusions"))
def list_pull_time_update_exclusions(
    ctx: Context, *, next_token: str | None = None, max_results: int | None = None
) -> dict[str, Any]:
    """List the ARNs of those whose pulls leave no time (ListPullTimeUpdateExclusions)."""
    page = pulls.exclusions(ctx, limit=max_results, next_token=next_token)
    return {"pullTimeUpdateExclusions": page.items, "nextToken": page.next_token}
