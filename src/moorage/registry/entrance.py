"""The way into a repository: may the caller, is it there, and does a push make it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from moorage.domain.errors import RepositoryAlreadyExists
from moorage.domain.names import repository_arn
from moorage.registry import lifecycle, repositories, templates
from moorage.registry.auth import Need, allows, authorize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.domain.names import RepositoryName
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository
    from moorage.registry.templates import Template


def enter(
    ctx: Context,
    action: str,
    name: RepositoryName,
    *,
    also: Sequence[str] = (),
    push: bool = False,
    request_tags: Mapping[str, str | None] | None = None,
) -> Repository:
    """
    Return the repository, if the caller may do ``action`` on it, and what is ``also`` done.

    Access is decided before existence, so that who may not do it does not
    learn whether it is there. With ``push``, a missing repository is created
    where a creation template says so and the caller may create it.
    """
    needed, found = repositories.need(ctx, action, name, request_tags)
    authorize(ctx, needed, *(needed._replace(action=more) for more in also))
    if found is None and push and (template := templates.for_push(ctx, name)) is not None:
        _create(ctx, name, template)
        # Once more: the template may have given it a policy of its own.
        return enter(ctx, action, name, also=also)
    return found or repositories.get(ctx, name)


def _create(ctx: Context, name: RepositoryName, template: Template) -> None:
    arn = repository_arn(ctx.region, ctx.registry_id, name)
    authorize(ctx, Need("ecr:CreateRepository", arn, request_tags=template.resource_tags))
    # Somebody else may be pushing to it for the first time as well.
    with contextlib.suppress(RepositoryAlreadyExists):
        made = repositories.create(
            ctx,
            name,
            tag_mutability=template.tag_mutability,
            mutability_filters=template.mutability_filters,
            tags=[{"Key": key, "Value": value} for key, value in template.resource_tags.items()],
            policy_text=template.repository_policy,
        )
        if template.lifecycle_policy is not None:
            lifecycle.put(ctx, made, template.lifecycle_policy)
        if ctx.entry is not None:
            ctx.after_commit.append(partial(ctx.entry.also, "CreateRepository", {"repositoryName": name}))


def readable(ctx: Context, action: str, name: RepositoryName) -> Repository | None:
    """Return the repository, None if it is not there or the caller may not do ``action`` on it."""
    needed, found = repositories.need(ctx, action, name)
    return found if found is not None and allows(ctx, needed) else None
