"""Policies of repositories and of the registry: set, read, removed. Their effect is in `authorize`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter, RegistryPolicyNotFound, RepositoryPolicyNotFound
from moorage.operations.framework import Mode, on_registry, on_repository, registry_wide
from moorage.registry import known, registries, repositories
from moorage.registry.auth import Need, allows

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@on_repository("ecr:SetRepositoryPolicy", Mode.WRITE)
def set_repository_policy(
    ctx: Context, repository: Repository, *, policy_text: str, force: bool = False
) -> dict[str, Any]:
    """Set the policy of a repository; it takes effect at once (SetRepositoryPolicy)."""
    policy = known.policy(ctx, policy_text, policies.Kind.REPOSITORY, "PolicyText")
    if not force:
        _refuse_lock_out(ctx, repository, policy)
    repositories.set_policy(ctx, repository, policy_text)
    return _shape(repository, policy_text)


def _refuse_lock_out(ctx: Context, repository: Repository, policy: policies.Policy) -> None:
    """Refuse a policy under which the caller could not set another one."""
    if not allows(
        ctx, Need("ecr:SetRepositoryPolicy", repository.arn, policy, repository.tags, rules=repository.rules)
    ):
        raise InvalidParameter(
            "PolicyText",
            "The policy would prevent you from setting another policy in the future. Use force to set it.",
        )


@on_repository("ecr:GetRepositoryPolicy")
def get_repository_policy(_ctx: Context, repository: Repository) -> dict[str, Any]:
    """Return the text of a repository's policy, as it was set (GetRepositoryPolicy)."""
    return _shape(repository, _text(repository))


@on_repository("ecr:DeleteRepositoryPolicy", Mode.WRITE)
def delete_repository_policy(ctx: Context, repository: Repository) -> dict[str, Any]:
    """Remove the policy of a repository and return its text (DeleteRepositoryPolicy)."""
    text = _text(repository)
    repositories.set_policy(ctx, repository, None)
    return _shape(repository, text)


def _text(repository: Repository) -> str:
    if repository.policy_text is None:
        raise RepositoryPolicyNotFound(name=repository.name, registry_id=repository.registry_id)
    return repository.policy_text


def _shape(repository: Repository, text: str) -> dict[str, Any]:
    return {"registryId": repository.registry_id, "repositoryName": repository.name, "policyText": text}


@on_registry("ecr:PutRegistryPolicy", registry_wide("ecr:PutRegistryPolicy"), Mode.WRITE)
def put_registry_policy(ctx: Context, *, policy_text: str) -> dict[str, Any]:
    """Set the policy of the registry, for all its repositories, those to come too (PutRegistryPolicy)."""
    policy = known.policy(ctx, policy_text, policies.Kind.REGISTRY, "PolicyText")
    narrow = registries.rules(ctx).scope == registries.NARROW
    if narrow and not policies.only_about(policy, registries.NARROW_ACTIONS):
        raise InvalidParameter("PolicyText", "Invalid registry policy provided")
    registries.put(ctx, policy=policy_text)
    return {"registryId": ctx.registry_id, "policyText": policy_text}


@on_registry("ecr:GetRegistryPolicy", registry_wide("ecr:GetRegistryPolicy"))
def get_registry_policy(ctx: Context) -> dict[str, Any]:
    """Return the text of the registry's policy, as it was set (GetRegistryPolicy)."""
    text = registries.rules(ctx).text
    if text is None:
        raise RegistryPolicyNotFound(registry_id=ctx.registry_id)
    return {"registryId": ctx.registry_id, "policyText": text}


@on_registry("ecr:DeleteRegistryPolicy", registry_wide("ecr:DeleteRegistryPolicy"), Mode.WRITE)
def delete_registry_policy(ctx: Context) -> dict[str, Any]:
    """Remove the policy of the registry and return its text (DeleteRegistryPolicy)."""
    removed = get_registry_policy.function(ctx)
    registries.put(ctx, policy=None)
    return removed
