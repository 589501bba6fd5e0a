"""Repositories, images and layers that are not there, or are in the way."""

from __future__ import annotations

from typing import Any

from moorage.domain.errors.failure import Failure


class RepositoryNotFound(
    Failure,
    aws="RepositoryNotFoundException",
    oci=(404, "NAME_UNKNOWN"),
    text="The repository with name '{name}' does not exist in the registry with id '{registry_id}'",
):
    """The addressed registry has no such repository."""


class RepositoryAlreadyExists(
    Failure,
    aws="RepositoryAlreadyExistsException",
    oci=(409, "DENIED"),
    text="The repository with name '{name}' already exists in the registry with id '{registry_id}'",
):
    """CreateRepository with a name that is taken."""


class RepositoryNotEmpty(
    Failure,
    aws="RepositoryNotEmptyException",
    oci=(409, "DENIED"),
    text=(
        "The repository with name '{name}' in registry with id '{registry_id}'"
        " cannot be deleted because it still contains images"
    ),
):
    """DeleteRepository without ``force`` while images are there."""


class RepositoryPolicyNotFound(
    Failure,
    aws="RepositoryPolicyNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text=(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{registry_id}'"
    ),
):
    """No policy is set on the repository."""


class LifecyclePolicyNotFound(
    Failure,
    aws="LifecyclePolicyNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text=(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{registry_id}'"
    ),
):
    """No lifecycle policy is set on the repository."""


class LifecyclePolicyPreviewNotFound(
    Failure,
    aws="LifecyclePolicyPreviewNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text=(
        "There is no lifecycle policy preview for the repository with name '{name}' "
        "in the registry with id '{registry_id}'"
    ),
):
    """No preview was started for the repository."""


class LifecyclePolicyPreviewInProgress(
    Failure,
    aws="LifecyclePolicyPreviewInProgressException",
    oci=(400, "UNSUPPORTED"),
    text="The previous lifecycle policy preview request has not completed. Please try again later.",
):
    """A preview is being computed."""


class RegistryPolicyNotFound(
    Failure,
    aws="RegistryPolicyNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text="Registry policy does not exist in the registry with id '{registry_id}'",
):
    """No policy is set for the registry."""


class TemplateNotFound(
    Failure,
    aws="TemplateNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text=(
        "The repository creation template with prefix '{prefix}' does not exist in the registry with id '{registry_id}'"
    ),
):
    """No creation template has that prefix."""


class TemplateAlreadyExists(
    Failure,
    aws="TemplateAlreadyExistsException",
    oci=(409, "DENIED"),
    text=(
        "The repository creation template with prefix '{prefix}' already exists in the registry with id '{registry_id}'"
    ),
):
    """A prefix has one creation template."""


class ImageNotFound(
    Failure,
    aws="ImageNotFoundException",
    oci=(404, "MANIFEST_UNKNOWN"),
    text=(
        "The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository"
        " with name '{name}' in the registry with id '{registry_id}'"
    ),
):
    """No image has that tag or digest. A half that was not given prints as ``null``, as ECR prints it."""

    def __init__(self, *, digest: str | None, tag: str | None, name: str, registry_id: str) -> None:
        super().__init__(digest=digest or "null", tag=tag or "null", name=name, registry_id=registry_id)


class ImageStorageClassUpdateNotSupported(
    Failure,
    aws="ImageStorageClassUpdateNotSupportedException",
    oci=(405, "UNSUPPORTED"),
    text="The storage class of the image with digest '{digest}' cannot be updated: {reason}",
):
    """The image has that storage class already, or goes with another image."""


class DeletedImageNotFound(
    Failure,
    aws="ImageNotFoundException",
    oci=(404, "MANIFEST_UNKNOWN"),
    text=(
        "There is no deleted image {digest} to restore in the repository with name '{name}' "
        "in the registry with id '{registry_id}'"
    ),
):
    """An image was never deleted, or too long ago."""


class ImageAlreadyExists(
    Failure,
    aws="ImageAlreadyExistsException",
    oci=(409, "MANIFEST_INVALID"),
    text=(
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository"
        " with name '{name}' in registry with id '{registry_id}'"
    ),
):
    """PutImage of what is already there, tag and all."""


class ImageTagAlreadyExists(
    Failure,
    aws="ImageTagAlreadyExistsException",
    oci=(400, "TAG_INVALID"),
    text=(
        "The image tag '{tag}' already exists in the '{name}' repository"
        " and cannot be overwritten because the tag is immutable."
    ),
):
    """The tag stands on another image and must not move."""


class ImageDigestDoesNotMatch(
    Failure,
    aws="ImageDigestDoesNotMatchException",
    oci=(400, "DIGEST_INVALID"),
    text=(
        "The image with digest '{digest}' in repository '{name}' and registry ID '{registry_id}'"
        " does not match the image digest that Amazon ECR has calculated."
    ),
):
    """The manifest's bytes have another digest than the one given."""


class ImageReferencedByManifestList(
    Failure,
    aws="InvalidParameterException",
    oci=(405, "UNSUPPORTED"),
    text="Requested image referenced by manifest list: [{parents}]",
):
    """An index in the repository still names the image. (At the AWS door this is a failure code of a batch.)"""


class ReferencedImagesNotFound(
    Failure,
    aws="ReferencedImagesNotFoundException",
    oci=(404, "MANIFEST_BLOB_UNKNOWN"),
    text=(
        "Images with digests '[{digests}]' required for pushing image into repository"
        " with name '{name}' in the registry with id '{registry_id}' do not exist"
    ),
):
    """An index names manifests that the repository does not have."""


class RequiredLayersNotFound(
    Failure,
    aws="LayersNotFoundException",
    oci=(404, "MANIFEST_BLOB_UNKNOWN"),
    text=(
        "Layers with digests '[{digests}]' required for pushing image into repository"
        " with name '{name}' in the registry with id '{registry_id}' do not exist"
    ),
):
    """A manifest names layers that the repository does not have."""


class LayerNotFound(
    Failure,
    aws="LayersNotFoundException",
    oci=(404, "BLOB_UNKNOWN"),
    text=(
        "The layer with digest '{digest}' does not exist within the repository"
        " with name '{name}' in the registry with id '{registry_id}'"
    ),
):
    """The repository does not have that layer."""


class LayerDamaged(
    LayerNotFound,
    text="The stored bytes of the layer with digest '{digest}' are damaged or missing: push the layer again to heal it",
):
    """The stored bytes are no longer those of the digest. For all that pushes, it is a layer that is not there."""


class LayerInaccessible(
    Failure,
    aws="LayerInaccessibleException",
    oci=(404, "BLOB_UNKNOWN"),
    text=(
        "The layer with digest '{digest}' in the repository with name '{name}'"
        " in the registry with id '{registry_id}' is not accessible"
    ),
):
    """The layer is stored, and no image of the repository refers to it yet."""


class LayerReferenced(
    Failure,
    aws="InvalidParameterException",
    oci=(405, "UNSUPPORTED"),
    text="The layer with digest '{digest}' is needed by an image of the repository",
):
    """A blob cannot be deleted while an image refers to it."""


class LayerAlreadyExists(
    Failure,
    aws="LayerAlreadyExistsException",
    oci=(409, "BLOB_UPLOAD_INVALID"),
    text=(
        "The layer with digest '{digest}' already exists in the repository"
        " with name '{name}' in registry with id '{registry_id}'"
    ),
):
    """CompleteLayerUpload of a layer that the repository has. The distribution door answers 201 instead."""


class UploadNotFound(
    Failure,
    aws="UploadNotFoundException",
    oci=(404, "BLOB_UPLOAD_UNKNOWN"),
    text=(
        "The upload with id '{upload_id}' does not exist in the repository"
        " with name '{name}' in registry with id '{registry_id}'"
    ),
):
    """Never begun, finished, cancelled, expired, or of another repository."""


class UploadBusy(
    Failure,
    aws="InvalidLayerPartException",
    oci=(409, "BLOB_UPLOAD_INVALID"),
    text="The upload with id '{upload_id}' is being written by another request",
):
    """Two writers on one upload: the second is turned away, and the first is not disturbed."""


class EmptyUpload(
    Failure,
    aws="EmptyUploadException",
    oci=(400, "BLOB_UPLOAD_INVALID"),
    text=(
        "The upload with id '{upload_id}' in the repository with name '{name}' in registry with id '{registry_id}'"
        " cannot be completed because it does not have any parts"
    ),
):
    """CompleteLayerUpload before any part."""


class InvalidLayer(
    Failure,
    aws="InvalidLayerException",
    oci=(400, "DIGEST_INVALID"),
    text="None of the provided layer digests match the calculated layer digest",
):
    """The bytes that arrived are not the bytes that were announced."""


class LayerPartTooSmall(
    Failure,
    aws="LayerPartTooSmallException",
    oci=(400, "BLOB_UPLOAD_INVALID"),
    text="All layer parts except the last part should be at least 5MB",
):
    """A part other than the last is under 5 MiB; only known at completion."""


class InvalidLayerPart(
    Failure,
    aws="InvalidLayerPartException",
    oci=(416, "BLOB_UPLOAD_INVALID"),
    text="First byte of the layer part is {given} instead of {expected}",
):
    """The part does not begin where the last one ended, or its length is not what its bounds say."""

    def __init__(self, *, given: int, expected: int, upload_id: str, name: str, registry_id: str) -> None:
        super().__init__(given=given, expected=expected)
        self.expected = expected
        self.upload_id = upload_id
        self._members = {
            "registryId": registry_id,
            "repositoryName": name,
            "uploadId": upload_id,
            "lastValidByteReceived": max(expected - 1, 0),
        }

    @property
    def members(self) -> dict[str, Any]:
        """Where the upload stands, so that a client can go on from there."""
        return self._members


class LimitExceeded(Failure, aws="LimitExceededException", oci=(403, "DENIED"), text="{reason}"):
    """A quota is used up."""


class KmsFailure(Failure, aws="KmsException", oci=(400, "UNSUPPORTED"), text="{reason}"):
    """Encryption was asked for with a key that cannot be used."""

    @property
    def members(self) -> dict[str, Any]:
        """The code that KMS would have given."""
        return {"kmsError": "KMSUnsupportedOperationException"}


class ExclusionNotFound(
    Failure,
    aws="ExclusionNotFoundException",
    oci=(404, "UNSUPPORTED"),
    text="There is no pull time update exclusion of {principal} in the registry with id '{registry_id}'",
):
    """The principal's pulls leave their time already."""


class ExclusionAlreadyExists(
    Failure,
    aws="ExclusionAlreadyExistsException",
    oci=(409, "DENIED"),
    text="There is a pull time update exclusion of {principal} already in the registry with id '{registry_id}'",
):
    """A principal is excluded once."""
