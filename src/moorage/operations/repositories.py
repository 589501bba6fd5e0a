"""Repositories, and the token that logs docker in to them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from moorage.domain.errors import KmsFailure
from moorage.domain.names import RepositoryName, repository_arn
from moorage.operations.framework import Mode, on_registry, on_repository
from moorage.registry import catalog, encryption, repositories
from moorage.registry.auth import USERNAME, Need, issue_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from moorage.registry.catalog import Listed
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


def shape(ctx: Context, repository: Repository) -> dict[str, Any]:
    """Return ECR's ``Repository`` structure."""
    return _shape(repository, ctx.settings.registry_host(repository.registry_id, repository.region))


def _shape(repository: Repository | Listed, host: str) -> dict[str, Any]:
    return {
        "repositoryArn": repository.arn,
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "repositoryUri": f"{host}/{repository.name}",
        "createdAt": repository.created_at,
        **mutability(repository),
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


def _creation(ctx: Context, given: Mapping[str, Any]) -> Iterable[Need]:
    arn = repository_arn(ctx.region, ctx.registry_id, given["repository_name"])
    tags = {tag["Key"]: tag["Value"] for tag in given.get("tags") or []}
    return [Need("ecr:CreateRepository", arn, request_tags=tags)]


@on_registry("ecr:CreateRepository", _creation, Mode.WRITE)
def create_repository(
    ctx: Context,
    *,
    repository_name: str,
    tags: list[dict[str, str]] | None = None,
    image_tag_mutability: str = repositories.MUTABLE,
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
    image_scanning_configuration: dict[str, bool] | None = None,
    encryption_configuration: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Create an empty repository (CreateRepository)."""
    encryption.check(encryption_configuration or {}, KmsFailure)
    created = repositories.create(
        ctx,
        RepositoryName.parse(repository_name),
        tag_mutability=image_tag_mutability,
        mutability_filters=[item["filter"] for item in image_tag_mutability_exclusion_filters or []],
        tags=tags or [],
        scan_on_push=(image_scanning_configuration or {}).get("scanOnPush", False),
    )
    return {"repository": shape(ctx, created)}


@on_repository("ecr:PutImageTagMutability", Mode.WRITE)
def put_image_tag_mutability(
    ctx: Context,
    repository: Repository,
    *,
    image_tag_mutability: str,
    image_tag_mutability_exclusion_filters: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Say which tags may move from now on; those that stand are left as they are (PutImageTagMutability)."""
    filters = [item["filter"] for item in image_tag_mutability_exclusion_filters or []]
    changed = repositories.set_mutability(ctx, repository, image_tag_mutability, filters)
    return named(changed) | mutability(changed)


def named(repository: Repository) -> dict[str, Any]:
    """Return the members that say which repository an answer is about."""
    return {"registryId": repository.registry_id, "repositoryName": repository.name}


def mutability(repository: Repository | Listed) -> dict[str, Any]:
    """Return the members that tell which tags may move; the filters only where there are any."""
    answer: dict[str, Any] = {"imageTagMutability": repository.tag_mutability}
    if repository.mutability_filters:
        answer["imageTagMutabilityExclusionFilters"] = wildcards(repository.mutability_filters)
    return answer


def wildcards(patterns: Sequence[str]) -> list[dict[str, str]]:
    """Return ECR's filter structures."""
    return [{"filterType": "WILDCARD", "filter": pattern} for pattern in patterns]


@on_repository("ecr:DeleteRepository", Mode.WRITE)
def delete_repository(ctx: Context, repository: Repository, *, force: bool = False) -> dict[str, Any]:
    """Delete a repository, with ``force`` also its images (DeleteRepository)."""
    repositories.delete(ctx, repository, force=force)
    return {"repository": shape(ctx, repository)}


def _description(ctx: Context, given: Mapping[str, Any]) -> Iterable[Need]:
    names = given.get("repository_names")
    if names is None:
        return [Need("ecr:DescribeRepositories", repository_arn(ctx.region, ctx.registry_id, "*"))]
    return [repositories.need(ctx, "ecr:DescribeRepositories", RepositoryName.parse(name))[0] for name in names]


@on_registry("ecr:DescribeRepositories", _description)
def describe_repositories(
    ctx: Context,
    *,
    repository_names: list[str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> dict[str, Any]:
    """List repositories, or describe those named; one that is missing fails the call (DescribeRepositories)."""
    if repository_names is not None:
        names = [RepositoryName.parse(name) for name in dict.fromkeys(repository_names)]
        return {"repositories": [shape(ctx, repositories.get(ctx, name)) for name in names]}
    page = catalog.page(ctx, limit=max_results, next_token=next_token)
    host = ctx.settings.registry_host(ctx.registry_id, ctx.region)
    return {"repositories": [_shape(item, host) for item in page.items], "nextToken": page.next_token}


def _token(_ctx: Context, _given: Mapping[str, Any]) -> Iterable[Need]:
    return [Need("ecr:GetAuthorizationToken", "*")]


@on_registry("ecr:GetAuthorizationToken", _token, is_point=True)
def get_authorization_token(ctx: Context, *, registry_ids: list[str] | None = None) -> dict[str, Any]:
    """Return a docker password for the caller, good for 12 hours (GetAuthorizationToken)."""
    data = []
    for registry_id in registry_ids or [ctx.registry_id]:
        token = issue_token(ctx, registry_id)
        encoded = base64.b64encode(f"{USERNAME}:{token.password}".encode()).decode()
        data.append(
            {
                "authorizationToken": encoded,
                "expiresAt": token.expires_at,
                "proxyEndpoint": ctx.settings.registry_url(registry_id, ctx.region),
            }
        )
    return {"authorizationData": data}
