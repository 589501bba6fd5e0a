"""Repository policies: set, read, removed. Their effect is in ``moorage.registry.auth.authorize``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.domain import policies
from moorage.domain.errors import AccessDenied, InvalidParameter, RepositoryPolicyNotFound
from moorage.operations.framework import Mode, on_repository
from moorage.registry import repositories
from moorage.registry.auth import Need, authorize

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@on_repository("ecr:SetRepositoryPolicy", Mode.WRITE)
def set_repository_policy(
    ctx: Context, repository: Repository, *, policy_text: str, force: bool = False
) -> dict[str, Any]:
    """Set the policy of a repository; it takes effect at once (SetRepositoryPolicy)."""
    try:
        policy = policies.parse(policy_text, policies.Kind.REPOSITORY)
    except policies.PolicyError:
        raise InvalidParameter("PolicyText", "Invalid repository policy provided") from None
    if not force:
        _refuse_lock_out(ctx, repository, policy)
    repositories.set_policy(ctx, repository, policy_text)
    return _shape(repository, policy_text)


def _refuse_lock_out(ctx: Context, repository: Repository, policy: policies.Policy) -> None:
    """Refuse a policy under which the caller could not set another one."""
    try:
        authorize(ctx, Need("ecr:SetRepositoryPolicy", repository.arn, policy, repository.tags))
    except AccessDenied:
        raise InvalidParameter(
            "PolicyText",
            "The policy would prevent you from setting another policy in the future. Use force to set it.",
        ) from None


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
