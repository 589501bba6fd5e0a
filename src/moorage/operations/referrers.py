"""What refers to an image: signatures, SBOMs, attestations. The distribution door has the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from moorage.domain.names import Digest
from moorage.operations.framework import on_repository
from moorage.registry import archive, referrers

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

_PAGE: Final = 20


class SubjectIdentifier(TypedDict):
    """The image that is referred to."""

    imageDigest: str


class ReferrersFilter(TypedDict, total=False):
    """Which referrers are wanted."""

    artifactTypes: list[str]
    artifactStatus: str


@on_repository("ecr:BatchGetImage")
def list_image_referrers(
    ctx: Context,
    repository: Repository,
    *,
    subject_id: SubjectIdentifier,
    filter: ReferrersFilter | None = None,  # noqa: A002 (ECR's name)
    next_token: str | None = None,
    max_results: int | None = None,
) -> dict[str, Any]:
    """List what refers to an image, there or not; ECR has no action of its own for it (ListImageReferrers)."""
    chosen = filter or {}
    status = chosen.get("artifactStatus", archive.ACTIVE)
    page = referrers.page(
        ctx,
        repository,
        Digest.parse(subject_id["imageDigest"], field="subjectId.imageDigest"),
        referrers.Wanted(chosen.get("artifactTypes", ()), None if status == "ANY" else status),
        limit=max_results or _PAGE,
        next_token=next_token,
    )
    return {"referrers": page.items, "nextToken": page.next_token}
