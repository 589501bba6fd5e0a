"""Resource tags of a repository, by its ARN. Policies see them as ``aws:ResourceTag`` and ``aws:RequestTag``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.operations.framework import Mode, on_resource
from moorage.registry import repositories

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@on_resource("ecr:TagResource", Mode.WRITE)
def tag_resource(ctx: Context, repository: Repository, *, tags: list[dict[str, str]]) -> dict[str, Any]:
    """Add tags, or give those that are there other values (TagResource)."""
    repositories.set_tags(ctx, repository, tags)
    return {}


@on_resource("ecr:UntagResource", Mode.WRITE)
def untag_resource(ctx: Context, repository: Repository, *, tag_keys: list[str]) -> dict[str, Any]:
    """Remove tags by key; one that is not there is no failure (UntagResource)."""
    repositories.remove_tags(ctx, repository, tag_keys)
    return {}


@on_resource("ecr:ListTagsForResource")
def list_tags_for_resource(_ctx: Context, repository: Repository) -> dict[str, Any]:
    """Return the tags, by key (ListTagsForResource)."""
    return {"tags": [{"Key": key, "Value": value} for key, value in sorted(repository.tags.items())]}
