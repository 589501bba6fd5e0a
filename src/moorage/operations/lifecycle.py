"""Lifecycle policies: put, got, deleted, previewed. A job carries them out (``moorage.jobs``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from moorage.domain.errors import InvalidParameter
from moorage.operations.framework import Mode, on_repository
from moorage.operations.images import ImageIdentifier, Unresolved, resolve
from moorage.registry import lifecycle, paging, previews
from moorage.registry.tables import EPOCH

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.lifecycle import Stored
    from moorage.registry.previews import Preview, Result
    from moorage.registry.repositories import Repository

_TAGGED: Final = {"TAGGED": True, "UNTAGGED": False, "ANY": None}


class PreviewFilter(TypedDict, total=False):
    """Which results of a preview are wanted."""

    tagStatus: str


@on_repository("ecr:PutLifecyclePolicy", Mode.WRITE)
def put_lifecycle_policy(ctx: Context, repository: Repository, *, lifecycle_policy_text: str) -> dict[str, Any]:
    """Set the policy by which images expire, those that are there included (PutLifecyclePolicy)."""
    return _shape(repository, lifecycle.put(ctx, repository, lifecycle_policy_text))


@on_repository("ecr:GetLifecyclePolicy")
def get_lifecycle_policy(ctx: Context, repository: Repository) -> dict[str, Any]:
    """Return the lifecycle policy, and when it was last carried out (GetLifecyclePolicy)."""
    return _evaluated(repository, lifecycle.get(ctx, repository))


@on_repository("ecr:DeleteLifecyclePolicy", Mode.WRITE)
def delete_lifecycle_policy(ctx: Context, repository: Repository) -> dict[str, Any]:
    """Remove the lifecycle policy and return it; what has expired stays gone (DeleteLifecyclePolicy)."""
    return _evaluated(repository, lifecycle.delete(ctx, repository))


@on_repository("ecr:StartLifecyclePolicyPreview", Mode.STEPS)
def start_lifecycle_policy_preview(
    ctx: Context, repository: Repository, *, lifecycle_policy_text: str | None = None
) -> dict[str, Any]:
    """Find out what a policy, or the one that is set, would do now (StartLifecyclePolicyPreview)."""
    with ctx.write() as writing:
        if lifecycle_policy_text is None:
            text = lifecycle.get(writing, repository).text
        else:
            text = lifecycle.checked(lifecycle_policy_text)
        preview_id = previews.begin(writing, repository, text)
    previews.compute(ctx, repository, preview_id, text)
    # That is how it begins, however soon it is complete.
    return {**_shape(repository, text), "status": previews.IN_PROGRESS}


@on_repository("ecr:GetLifecyclePolicyPreview")
def get_lifecycle_policy_preview(
    ctx: Context,
    repository: Repository,
    *,
    image_ids: list[ImageIdentifier] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
    filter: PreviewFilter | None = None,  # noqa: A002 (the member's name)
) -> dict[str, Any]:
    """Return what the last preview found (GetLifecyclePolicyPreview)."""
    if image_ids is not None and (next_token is not None or max_results is not None):
        raise InvalidParameter("imageIds", "imageIds cannot be used with nextToken or maxResults")
    preview = previews.get(ctx, repository)
    told = {**_shape(repository, preview.text), "status": preview.status}
    if preview.status != previews.COMPLETE:
        return told
    tagged = _TAGGED[(filter or {}).get("tagStatus", "ANY")]
    if image_ids is not None:
        found = previews.among(ctx, repository, preview, _digests(ctx, repository, image_ids))
        wanted = [result for result in found if tagged is None or bool(result.tags) == tagged]
        page = paging.Page(wanted, None)
    else:
        limit = max_results or paging.DEFAULT_PAGE
        page = previews.page(ctx, repository, preview, tagged=tagged, limit=limit, next_token=next_token)
    more = {"nextToken": page.next_token} if page.next_token else {}
    return {**told, "previewResults": list(map(_result, page.items)), "summary": _summary(preview), **more}


def _digests(ctx: Context, repository: Repository, identifiers: list[ImageIdentifier]) -> list[str]:
    """Return the digests of the images that are there; the others are in no preview."""
    digests: list[str] = []
    for identifier in identifiers:
        try:
            digests.append(resolve(ctx, repository, identifier))
        except Unresolved:
            continue
    return digests


def _shape(repository: Repository, text: str) -> dict[str, Any]:
    return {"registryId": repository.registry_id, "repositoryName": repository.name, "lifecyclePolicyText": text}


def _evaluated(repository: Repository, stored: Stored) -> dict[str, Any]:
    return {**_shape(repository, stored.text), "lastEvaluatedAt": stored.evaluated_at or EPOCH}


def _summary(preview: Preview) -> dict[str, Any]:
    summary: dict[str, Any] = {"expiringImageTotalCount": preview.expiring}
    if preview.transitioning:
        moved = {"targetStorageClass": "ARCHIVE", "imageTotalCount": preview.transitioning}
        summary["transitioningImageTotalCounts"] = [moved]
    return summary


def _result(result: Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "imageDigest": result.digest,
        "imagePushedAt": result.pushed_at,
        "action": {"type": result.action},
        "appliedRulePriority": result.priority,
        "storageClass": result.storage_class,
    }
    if result.action == "TRANSITION":
        shown["action"]["targetStorageClass"] = "ARCHIVE"
    if result.tags:
        shown["imageTags"] = list(result.tags)
    return shown
