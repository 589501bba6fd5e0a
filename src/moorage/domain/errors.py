"""
Every failure once: its AWS code, its OCI status and code, its message.

The core raises these; each door writes them in exactly one place. The texts
are the ones that clients of ECR match on.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Failure(Exception):
    """
    A request that cannot be granted, for a reason its sender may know.

    Subclasses declare how each door reports them, as class arguments:

    * ``aws``: the error code of the AWS door (a shape of ECR's service model,
      or one of the codes common to all AWS services);
    * ``oci``: status and error code of the distribution door;
    * ``text``: the message, formatted with the keyword arguments given.
    """

    aws_code: ClassVar[str] = "ServerException"
    aws_status: ClassVar[int] = 400
    oci_status: int = 500
    oci_code: str = "UNKNOWN"
    text: ClassVar[str] = ""

    def __init_subclass__(
        cls,
        aws: str | None = None,
        oci: tuple[int, str] | None = None,
        text: str | None = None,
        aws_status: int | None = None,
    ) -> None:
        super().__init_subclass__()
        if aws is not None:
            cls.aws_code = aws
        if aws_status is not None:
            cls.aws_status = aws_status
        if oci is not None:
            cls.oci_status, cls.oci_code = oci
        if text is not None:
            cls.text = text

    def __init__(self, **values: Any) -> None:
        self.message = self.text.format(**values)
        super().__init__(self.message)

    @property
    def members(self) -> dict[str, Any]:
        """The modelled members beyond the message, by their wire names."""
        return {}


# --- What was asked is malformed ------------------------------------------------

_OCI_CODE_OF_FIELD = {
    "repositoryName": (400, "NAME_INVALID"),
    "imageTag": (400, "TAG_INVALID"),
    "imageDigest": (400, "DIGEST_INVALID"),
    "layerDigest": (400, "DIGEST_INVALID"),
    "uploadId": (404, "BLOB_UPLOAD_UNKNOWN"),
    "ImageManifest": (400, "MANIFEST_INVALID"),
    "maxResults": (400, "UNSUPPORTED"),
    "nextToken": (400, "UNSUPPORTED"),
}


class InvalidParameter(
    Failure,
    aws="InvalidParameterException",
    oci=(400, "UNSUPPORTED"),
    text="Invalid parameter at '{field}' failed to satisfy constraint: '{constraint}'",
):
    """A member breaks its constraint; the message has the form that ECR uses for all of them."""

    def __init__(self, field: str, constraint: str) -> None:
        super().__init__(field=field, constraint=constraint)
        self.field = field
        self.oci_status, self.oci_code = _OCI_CODE_OF_FIELD.get(field, (400, "UNSUPPORTED"))


class InvalidTagParameter(
    Failure, aws="InvalidTagParameterException", oci=(400, "UNSUPPORTED"), text="Tag parameters are invalid"
):
    """A resource tag with an empty, over-long, reserved or repeated key."""


class TooManyTags(
    Failure,
    aws="TooManyTagsException",
    oci=(400, "UNSUPPORTED"),
    text="The number of tags on the resource exceeds the limit of {limit}",
):
    """More resource tags than a repository may carry."""


class Malformed(Failure, aws="SerializationException", oci=(400, "UNSUPPORTED"), text="{reason}"):
    """The body is not what its protocol says: not JSON, or a member of the wrong JSON type."""


class UnknownOperation(Failure, aws="UnknownOperationException", oci=(404, "UNSUPPORTED"), text="{reason}"):
    """The request names no operation, or one that this version does not have."""


class NotSupported(Failure, aws="ValidationException", oci=(405, "UNSUPPORTED"), text="{reason}"):
    """Well formed, known to ECR, and not offered here: refused rather than stored without effect."""


class BodyTooLarge(
    Failure, aws="RequestEntityTooLargeException", oci=(413, "SIZE_INVALID"), text="{reason}", aws_status=413
):
    """The body is longer than any valid request for this route."""


class SenderStalled(
    Failure,
    aws="RequestTimeoutException",
    oci=(408, "UNSUPPORTED"),
    aws_status=408,
    text="No byte of the request's body arrived for {seconds} seconds",
):
    """The sender of a body went silent."""


class ManifestTooLarge(Failure, aws="InvalidParameterException", oci=(413, "MANIFEST_INVALID"), text="{reason}"):
    """A manifest longer than 4 MiB."""


# --- Who is asking, and may they -------------------------------------------------


class Unauthenticated(
    Failure, aws="MissingAuthenticationTokenException", oci=(401, "UNAUTHORIZED"), text="Missing Authentication Token"
):
    """No credential was given."""


class InvalidCredential(
    Failure,
    aws="UnrecognizedClientException",
    oci=(401, "UNAUTHORIZED"),
    text="The security token included in the request is invalid.",
):
    """The access key, session token or password is not one of ours (or no longer is)."""


class InvalidSignature(Failure, aws="InvalidSignatureException", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """The request signature does not match, is too old, or covers too little."""


class IncompleteSignature(Failure, aws="IncompleteSignatureException", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """The Authorization header or the presigned query lacks a part, or a part is malformed."""


class ExpiredCredential(
    Failure,
    aws="ExpiredTokenException",
    oci=(403, "DENIED"),
    text="Your authorization token has expired. Reauthenticate and try again.",
):
    """A token that was ours and is past its time."""


class ExpiredSession(
    Failure,
    aws="ExpiredTokenException",
    oci=(403, "DENIED"),
    text="The security token included in the request is expired",
):
    """Temporary credentials past their time."""


class InvalidIdentityToken(Failure, aws="InvalidIdentityToken", oci=(401, "UNAUTHORIZED"), text="{reason}"):
    """A web identity token that its issuer did not sign, for us, now (STS)."""


class AccessDenied(
    Failure,
    aws="AccessDeniedException",
    oci=(403, "DENIED"),
    text="User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}",
):
    """Known, and not allowed. ``reason`` ends the sentence as AWS ends it."""


# --- Users, groups, policies, keys ------------------------------------------------


class NoSuchEntity(Failure, aws="NoSuchEntityException", oci=(404, "UNSUPPORTED"), text="There is no {kind} {name}"):
    """A user, group, policy, role or key that is not there (IAM's ``NoSuchEntity``)."""


class EntityAlreadyExists(
    Failure, aws="EntityAlreadyExistsException", oci=(409, "DENIED"), text="There is a {kind} {name} already"
):
    """A name that is taken (IAM's ``EntityAlreadyExists``)."""


class MalformedPolicy(
    Failure,
    aws="MalformedPolicyDocumentException",
    oci=(400, "UNSUPPORTED"),
    text="The policy cannot be used: {reason}",
):
    """An identity policy that says what would not be enforced, or says it wrongly."""


# --- What was asked for is not there, or is in the way ---------------------------


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
