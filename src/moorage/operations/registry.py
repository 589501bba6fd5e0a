"""The registry as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.operations.framework import on_registry
from moorage.registry.auth import Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from moorage.registry.core import Context


def _describing(_ctx: Context, _given: Mapping[str, Any]) -> Iterable[Need]:
    return [Need("ecr:DescribeRegistry", "*")]


@on_registry("ecr:DescribeRegistry", _describing)
def describe_registry(ctx: Context) -> dict[str, Any]:
    """Return the registry's id and where it is replicated to: nowhere, yet (DescribeRegistry)."""
    return {"registryId": ctx.registry_id, "replicationConfiguration": {"rules": []}}
