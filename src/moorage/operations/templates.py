"""Creation templates: made, changed, described, removed. Their effect is in ``moorage.registry.entrance``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter, InvalidTagParameter, NotSupported, TooManyTags
from moorage.operations.framework import Mode, on_registry
from moorage.operations.repositories import wildcards
from moorage.registry import encryption, known, lifecycle, repositories, templates
from moorage.registry.auth import Need
from moorage.registry.paging import MAX_PAGE
from moorage.registry.resource_tags import check as check_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from moorage.registry.core import Context
    from moorage.registry.templates import Template


def _asks(action: str) -> Callable[[Context, Mapping[str, Any]], Iterable[Need]]:
    return lambda _ctx, _given: [Need(action, "*")]


@on_registry("ecr:CreateRepositoryCreationTemplate", _asks("ecr:CreateRepositoryCreationTemplate"), Mode.WRITE)
def create_repository_creation_template(
    ctx: Context,
    *,
    prefix: str,
    applied_for: list[str],
    description: str | None = None,
    encryption_configuration: dict[str, str] | None = None,
    resource_tags: list[dict[str, str]] | None = None,
    image_tag_mutability: str | None = None,
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
    repository_policy: str | None = None,
    lifecycle_policy: str | None = None,
    custom_role_arn: str | None = None,
) -> dict[str, Any]:
    """Add the template of a prefix, or of ROOT (CreateRepositoryCreationTemplate)."""
    empty = templates.Template(prefix=prefix, created_at=ctx.now, updated_at=ctx.now)
    template = _changed(
        ctx,
        empty,
        applied_for=applied_for,
        description=description,
        encryption_configuration=encryption_configuration,
        tags=resource_tags,
        mutability=image_tag_mutability,
        filters=image_tag_mutability_exclusion_filters,
        repository_policy=repository_policy,
        lifecycle_policy=lifecycle_policy,
        custom_role_arn=custom_role_arn,
    )
    templates.add(ctx, template)
    return _answer(ctx, template)


@on_registry("ecr:UpdateRepositoryCreationTemplate", _asks("ecr:UpdateRepositoryCreationTemplate"), Mode.WRITE)
def update_repository_creation_template(
    ctx: Context,
    *,
    prefix: str,
    applied_for: list[str] | None = None,
    description: str | None = None,
    encryption_configuration: dict[str, str] | None = None,
    resource_tags: list[dict[str, str]] | None = None,
    image_tag_mutability: str | None = None,
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
    repository_policy: str | None = None,
    lifecycle_policy: str | None = None,
    custom_role_arn: str | None = None,
) -> dict[str, Any]:
    """Change what is given of a template; repositories that are there stay as they are."""
    template = _changed(
        ctx,
        templates.get(ctx, prefix),
        applied_for=applied_for,
        description=description,
        encryption_configuration=encryption_configuration,
        tags=resource_tags,
        mutability=image_tag_mutability,
        filters=image_tag_mutability_exclusion_filters,
        repository_policy=repository_policy,
        lifecycle_policy=lifecycle_policy,
        custom_role_arn=custom_role_arn,
    )
    changed = dataclasses.replace(template, updated_at=ctx.now)
    templates.replace(ctx, changed)
    return _answer(ctx, changed)


@on_registry("ecr:DeleteRepositoryCreationTemplate", _asks("ecr:DeleteRepositoryCreationTemplate"), Mode.WRITE)
def delete_repository_creation_template(ctx: Context, *, prefix: str) -> dict[str, Any]:
    """Remove a template and return it (DeleteRepositoryCreationTemplate)."""
    return _answer(ctx, templates.remove(ctx, prefix))


@on_registry("ecr:DescribeRepositoryCreationTemplates", _asks("ecr:DescribeRepositoryCreationTemplates"))
def describe_repository_creation_templates(
    ctx: Context,
    *,
    prefixes: list[str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> dict[str, Any]:
    """List templates by prefix, or those named as far as they are there (DescribeRepositoryCreationTemplates)."""
    if prefixes:
        if len(prefixes) > MAX_PAGE:
            raise InvalidParameter("prefixes", f"Member must have length less than or equal to {MAX_PAGE}")
        found = [_shape(template) for template in templates.named(ctx, prefixes)]
        return {"registryId": ctx.registry_id, "repositoryCreationTemplates": found}
    page = templates.page(ctx, limit=max_results, next_token=next_token)
    return {
        "registryId": ctx.registry_id,
        "repositoryCreationTemplates": [_shape(template) for template in page.items],
        "nextToken": page.next_token,
    }


def _changed(
    ctx: Context,
    template: Template,
    *,
    applied_for: list[str] | None,
    description: str | None,
    encryption_configuration: dict[str, str] | None,
    tags: list[dict[str, str]] | None,
    mutability: str | None,
    filters: list[dict[str, str]] | None,
    repository_policy: str | None,
    lifecycle_policy: str | None,
    custom_role_arn: str | None,
) -> Template:
    """Return a template with what is given in place of what it has; an empty text takes away."""
    encryption.check(encryption_configuration or {}, NotSupported)
    if repository_policy:
        known.policy(ctx, repository_policy, policies.Kind.REPOSITORY, "repositoryPolicy")
    given: dict[str, Any] = {
        "applied_for": None if applied_for is None else list(dict.fromkeys(applied_for)),
        "description": description,
        "resource_tags": None if tags is None else _tags(tags),
        "repository_policy": repository_policy,
        "lifecycle_policy": lifecycle_policy and lifecycle.checked(lifecycle_policy),
        "custom_role_arn": custom_role_arn,
        "tag_mutability": mutability,
        # A mode comes with its filters: those of another one go.
        "mutability_filters": None
        if mutability is None and filters is None
        else [item["filter"] for item in filters or []],
    }
    values: dict[str, Any] = {
        name: None if value == "" else value for name, value in given.items() if value is not None
    }
    changed = dataclasses.replace(template, **values)
    repositories.check_mutability(changed.tag_mutability, changed.mutability_filters)
    return changed


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    try:
        return check_tags(tags)
    except (InvalidTagParameter, TooManyTags) as failure:
        # The model gives these operations no failures of their own for tags.
        raise InvalidParameter("resourceTags", failure.message) from None


def _answer(ctx: Context, template: Template) -> dict[str, Any]:
    return {"registryId": ctx.registry_id, "repositoryCreationTemplate": _shape(template)}


def _shape(template: Template) -> dict[str, Any]:
    tags = [{"Key": key, "Value": value} for key, value in sorted(template.resource_tags.items())]
    return {
        "prefix": template.prefix,
        "description": template.description,
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "resourceTags": tags or None,
        "imageTagMutability": template.tag_mutability,
        "imageTagMutabilityExclusionFilters": wildcards(template.mutability_filters) or None,
        "repositoryPolicy": template.repository_policy,
        "lifecyclePolicy": template.lifecycle_policy,
        "appliedFor": list(template.applied_for),
        "customRoleArn": template.custom_role_arn,
        "createdAt": template.created_at,
        "updatedAt": template.updated_at,
    }
