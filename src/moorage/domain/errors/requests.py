"""Requests that are malformed, unknown, or too large."""

from __future__ import annotations

from moorage.domain.errors.failure import Failure

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


class InvalidScanningConfiguration(Failure, aws="InvalidParameterException", oci=(400, "UNSUPPORTED"), text="{reason}"):
    """Rules of scanning that contradict each other or their type; ECR names no member."""


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


class Throttled(Failure, aws="ThrottlingException", oci=(429, "TOOMANYREQUESTS"), text="Rate exceeded"):
    """More requests than the caller may make."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__()
        self._retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """After how many seconds to come again."""
        return {"Retry-After": str(self._retry_after)}
