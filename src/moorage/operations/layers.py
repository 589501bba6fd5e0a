"""Layers: asked for, uploaded in parts, downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.domain.errors import (
    EmptyUpload,
    InvalidLayerPart,
    LayerAlreadyExists,
    LayerPartTooSmall,
    LimitExceeded,
)
from moorage.domain.names import is_loose_digest
from moorage.operations.framework import Mode, on_repository
from moorage.registry import layers, uploads

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@on_repository("ecr:BatchCheckLayerAvailability", is_point=True)
def batch_check_layer_availability(ctx: Context, repository: Repository, *, layer_digests: list[str]) -> dict[str, Any]:
    """Tell of each layer whether the repository has it (BatchCheckLayerAvailability)."""
    found: list[dict[str, Any]] = []
    failures = []
    for digest in layer_digests:
        if failure := _unusable(digest):
            failures.append({"layerDigest": digest, **failure})
            continue
        layer = layers.find(ctx, repository.id, digest)
        if layer is None or not layers.is_available(ctx, repository, digest):
            found.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
        else:
            found.append(
                {
                    "layerDigest": digest,
                    "layerAvailability": "ARCHIVED" if layers.is_archived(ctx, repository, digest) else "AVAILABLE",
                    "layerSize": layer.size,
                    "mediaType": layer.media_type,
                }
            )
    return {"layers": found, "failures": failures}


def _unusable(digest: str) -> dict[str, str] | None:
    if not digest:
        return {
            "failureCode": "MissingLayerDigest",
            "failureReason": "Invalid request parameters: layer digest cannot be empty",
        }
    if not is_loose_digest(digest):
        return {
            "failureCode": "InvalidLayerDigest",
            "failureReason": "Invalid request parameters: layer digest should satisfy the regex"
            " '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        }
    return None


@on_repository("ecr:GetDownloadUrlForLayer")
def get_download_url_for_layer(ctx: Context, repository: Repository, *, layer_digest: str) -> dict[str, Any]:
    """Return a URL of a layer's bytes that is good for an hour (GetDownloadUrlForLayer)."""
    layer = layers.get(ctx, repository, layer_digest)
    layers.require_referenced(ctx, repository, layer.digest)
    return {"downloadUrl": layers.download_url(ctx, repository, layer), "layerDigest": layer.digest}


@on_repository("ecr:InitiateLayerUpload", Mode.WRITE, push=True)
def initiate_layer_upload(ctx: Context, repository: Repository) -> dict[str, Any]:
    """Begin the upload of a layer (InitiateLayerUpload)."""
    return {"uploadId": uploads.begin(ctx, repository).id, "partSize": uploads.PART_SIZE}


@on_repository("ecr:UploadLayerPart", Mode.STEPS)
def upload_layer_part(
    ctx: Context,
    repository: Repository,
    *,
    upload_id: str,
    part_first_byte: int,
    part_last_byte: int,
    layer_part_blob: bytes,
) -> dict[str, Any]:
    """Append one part to an upload (UploadLayerPart)."""
    appender = uploads.Appender.open(ctx, repository, upload_id)
    try:
        appender.require_offset(part_first_byte)
        if not layer_part_blob or len(layer_part_blob) != part_last_byte - part_first_byte + 1:
            raise InvalidLayerPart(
                given=part_first_byte,
                expected=appender.offset,
                upload_id=upload_id,
                name=repository.name,
                registry_id=repository.registry_id,
            )
        if appender.upload.parts >= uploads.MAX_PARTS:
            raise LimitExceeded(reason=f"A layer may have at most {uploads.MAX_PARTS} parts")
        appender.write(layer_part_blob)
        appender.commit()
    finally:
        appender.close()
    return _named(repository, upload_id) | {"lastByteReceived": part_last_byte}


@on_repository("ecr:CompleteLayerUpload", Mode.STEPS)
def complete_layer_upload(
    ctx: Context, repository: Repository, *, upload_id: str, layer_digests: list[str]
) -> dict[str, Any]:
    """Verify an upload's digest and make it a layer of the repository (CompleteLayerUpload)."""
    named = {"name": repository.name, "registry_id": repository.registry_id}
    appender = uploads.Appender.open(ctx, repository, upload_id)
    try:
        if appender.offset == 0:
            raise EmptyUpload(upload_id=upload_id, **named)
        if appender.upload.small_parts:
            raise LayerPartTooSmall
        # Layers of this API are addressed by SHA-256 alone.
        finished = appender.finish([digest for digest in layer_digests if digest.startswith("sha256:")])
    finally:
        appender.close()
    if finished.already_there:
        raise LayerAlreadyExists(digest=finished.digest, **named)
    return _named(repository, upload_id) | {"layerDigest": finished.digest}


def _named(repository: Repository, upload_id: str) -> dict[str, Any]:
    return {"registryId": repository.registry_id, "repositoryName": repository.name, "uploadId": upload_id}
