"""Images: put, got, listed, described, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from moorage.domain import manifests
from moorage.domain.errors import (
    ImageAlreadyExists,
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageReferencedByManifestList,
    InvalidParameter,
)
from moorage.domain.names import Digest, Tag, is_loose_digest, is_tag
from moorage.operations.framework import Mode, on_repository
from moorage.registry import archive, images, listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


class ImageIdentifier(TypedDict, total=False):
    """An image by tag, by digest, or by both."""

    imageDigest: str
    imageTag: str


class Unresolved(Exception):
    """One identifier of a batch leads nowhere: the code and reason of its failure."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_NOT_FOUND: Final = ("ImageNotFound", "Requested image not found")


def _check_form(identifier: ImageIdentifier) -> None:
    digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
    if digest is None and tag is None:
        raise Unresolved("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    problem = "Invalid request parameters: image {} should satisfy the regex '{}'"
    if digest is not None and not is_loose_digest(digest):
        raise Unresolved("InvalidImageDigest", problem.format("digest", "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"))
    if tag is not None and not is_tag(tag):
        raise Unresolved("InvalidImageTag", problem.format("tag", "[a-zA-Z0-9-_.]+"))


def resolve(ctx: Context, repository: Repository, identifier: ImageIdentifier) -> Digest:
    """Return the digest of the one image that an identifier means; raise `Unresolved`."""
    _check_form(identifier)
    digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
    of_tag = images.digest_of_tag(ctx, repository, tag) if tag is not None else None
    if digest is None:
        if of_tag is None:
            raise Unresolved(*_NOT_FOUND)
        return of_tag
    stored = images.exists(ctx, repository, digest)
    if tag is not None and (of_tag is not None or stored) and of_tag != digest:
        raise Unresolved("ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest")
    if not stored:
        raise Unresolved(*_NOT_FOUND)
    return Digest(digest)


def _batch(
    identifiers: list[ImageIdentifier], action: Callable[[ImageIdentifier], list[Any]]
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Do one thing to each image in turn; return the results and the failures."""
    results: list[Any] = []
    failures = []
    for identifier in identifiers:
        try:
            results += action(identifier)
        except Unresolved as failure:
            named = {key: identifier[key] for key in ("imageDigest", "imageTag") if key in identifier}
            failures.append({"imageId": named, "failureCode": failure.code, "failureReason": failure.reason})
    return results, failures


@on_repository("ecr:BatchGetImage", is_point=True)
def batch_get_image(
    ctx: Context,
    repository: Repository,
    *,
    image_ids: list[ImageIdentifier],
    accepted_media_types: list[str] | None = None,  # noqa: ARG001 (manifests are served as stored, never converted)
) -> dict[str, Any]:
    """Return manifests, as stored; what cannot be returned is a failure of its own (BatchGetImage)."""

    def one(identifier: ImageIdentifier) -> list[Any]:
        if "imageDigest" in identifier:
            image = images.find(ctx, repository, resolve(ctx, repository, identifier))
        else:
            _check_form(identifier)
            image = images.find(ctx, repository, Tag(identifier["imageTag"]))
        if image is None:  # archived: it is there, and cannot be pulled
            raise Unresolved(*_NOT_FOUND)
        ctx.registry.pulls.note(ctx, repository, image.digest)
        named: dict[str, str] = {"imageDigest": image.digest}
        if "imageTag" in identifier:
            named["imageTag"] = identifier["imageTag"]
        return [_shape(repository, named, image.body, image.media_type)]

    found, failures = _batch(image_ids, one)
    return {"images": found, "failures": failures}


def _shape(repository: Repository, image_id: dict[str, str], body: bytes, media_type: str) -> dict[str, Any]:
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": image_id,
        "imageManifest": body.decode(),
        "imageManifestMediaType": media_type,
    }


@on_repository("ecr:BatchDeleteImage", Mode.WRITE)
def batch_delete_image(ctx: Context, repository: Repository, *, image_ids: list[ImageIdentifier]) -> dict[str, Any]:
    """Remove tags, or images with all their tags, one after the other (BatchDeleteImage)."""

    def one(identifier: ImageIdentifier) -> list[Any]:
        digest = resolve(ctx, repository, identifier)
        try:
            if "imageDigest" not in identifier:
                images.untag(ctx, repository, Tag(identifier["imageTag"]))
                return [{"imageDigest": digest, "imageTag": identifier["imageTag"]}]
            names = images.delete(ctx, repository, digest)
        except ImageReferencedByManifestList as failure:
            raise Unresolved("ImageReferencedByManifestList", failure.message) from None
        return [{"imageDigest": digest, "imageTag": name} for name in names] or [{"imageDigest": digest}]

    deleted, failures = _batch(image_ids, one)
    return {"imageIds": deleted, "failures": failures}


@on_repository("ecr:PutImage", Mode.WRITE, push=True)
def put_image(
    ctx: Context,
    repository: Repository,
    *,
    image_manifest: str,
    image_manifest_media_type: str | None = None,
    image_tag: str | None = None,
    image_digest: str | None = None,
) -> dict[str, Any]:
    """Store a manifest and point a tag at it (PutImage)."""
    tag = Tag.parse(image_tag) if image_tag is not None else None
    manifest = manifests.parse(image_manifest.encode(), image_manifest_media_type)
    if manifest.media_type in manifests.IMAGE_TYPES and not manifest.layers:
        # ECR's rule; the distribution specification allows it, and so does that door.
        raise InvalidParameter("ImageManifest", "Image has to have at least 1 layer")
    computed = Digest.of(manifest.body)
    if image_digest is not None and image_digest != computed:
        raise ImageDigestDoesNotMatch(digest=image_digest, name=repository.name, registry_id=repository.registry_id)
    done = images.put(ctx, repository, manifest, tags=[tag] if tag else [], digest=computed)
    if done.unchanged:
        raise ImageAlreadyExists(
            digest=done.digest, tag=tag or "null", name=repository.name, registry_id=repository.registry_id
        )
    image_id: dict[str, str] = {"imageDigest": done.digest} | ({"imageTag": tag} if tag else {})
    return {"image": _shape(repository, image_id, manifest.body, manifest.media_type)}


class ImageFilter(TypedDict, total=False):
    """Which images a list is about."""

    tagStatus: str
    imageStatus: str


_TAGGED: Final = {"TAGGED": True, "UNTAGGED": False}


def _selection(chosen: ImageFilter | None) -> listing.Selection:
    chosen = chosen or {}
    status = chosen.get("imageStatus", archive.ACTIVE)
    return listing.Selection(_TAGGED.get(chosen.get("tagStatus", "ANY")), None if status == "ANY" else status)


@on_repository("ecr:ListImages")
def list_images(
    ctx: Context,
    repository: Repository,
    *,
    next_token: str | None = None,
    max_results: int | None = None,
    filter: ImageFilter | None = None,  # noqa: A002 (ECR's name)
) -> dict[str, Any]:
    """List image identifiers, one for each tag and one for each untagged image (ListImages)."""
    page = listing.image_ids(ctx, repository, _selection(filter), limit=max_results, next_token=next_token)
    identifiers = [
        {"imageDigest": item.digest} | ({} if item.tag is None else {"imageTag": item.tag}) for item in page.items
    ]
    return {"imageIds": identifiers, "nextToken": page.next_token}


@on_repository("ecr:DescribeImages")
def describe_images(
    ctx: Context,
    repository: Repository,
    *,
    image_ids: list[ImageIdentifier] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
    filter: ImageFilter | None = None,  # noqa: A002 (ECR's name)
) -> dict[str, Any]:
    """Describe images; an identifier that leads nowhere fails the call (DescribeImages)."""
    selection = _selection(filter)
    if image_ids is not None:
        digests = [_require(ctx, repository, identifier) for identifier in image_ids]
        # Who names images sees archived ones too, unless a status is asked for.
        status = selection.status if "imageStatus" in (filter or {}) else None
        found = [d for d in listing.details_of(ctx, repository, digests) if status in {None, d.status}]
        return {"imageDetails": [_detail(repository, d) for d in found if selection.tagged in {None, bool(d.tags)}]}
    page = listing.details(ctx, repository, selection, limit=max_results, next_token=next_token)
    return {"imageDetails": [_detail(repository, item) for item in page.items], "nextToken": page.next_token}


def _require(ctx: Context, repository: Repository, identifier: ImageIdentifier, member: str = "imageIds") -> Digest:
    try:
        return resolve(ctx, repository, identifier)
    except Unresolved as failure:
        if failure.code not in {"ImageNotFound", "ImageTagDoesNotMatchDigest"}:
            raise InvalidParameter(member, failure.reason) from None
        raise ImageNotFound(
            digest=identifier.get("imageDigest"),
            tag=identifier.get("imageTag"),
            name=repository.name,
            registry_id=repository.registry_id,
        ) from None


def _detail(repository: Repository, details: listing.Details) -> dict[str, Any]:
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageDigest": details.digest,
        "imageTags": list(details.tags) or None,
        "imageSizeInBytes": details.image_size,
        "imagePushedAt": details.pushed_at,
        "imageManifestMediaType": details.media_type,
        "artifactMediaType": details.artifact_type,
        "subjectManifestDigest": details.subject,
        "lastRecordedPullTime": details.pulled_at,
        "imageStatus": details.status,
        "lastArchivedAt": details.archived_at,
        "lastActivatedAt": details.activated_at,
    }


@on_repository("ecr:UpdateImageStorageClass", Mode.WRITE)
def update_image_storage_class(
    ctx: Context, repository: Repository, *, image_id: ImageIdentifier, target_storage_class: str
) -> dict[str, Any]:
    """Archive an image, or take it back into use (UpdateImageStorageClass)."""
    digest = _require(ctx, repository, image_id, member="imageId")
    change = archive.archive if target_storage_class == "ARCHIVE" else archive.restore
    change(ctx, repository, digest)
    named = {"imageDigest": digest} | {key: image_id[key] for key in ("imageTag",) if key in image_id}
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": named,
        "imageStatus": archive.status(ctx, repository, digest),
    }
