"""Manifests: ``/v2/{name}/manifests/{reference}`` (distribution-spec: pull, push, content management)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from moorage.domain import manifests
from moorage.domain.names import Digest, parse_reference
from moorage.oci.conditional import entity_tag, not_modified
from moorage.registry import images

if TYPE_CHECKING:
    from moorage.oci.door import Call


def get(call: Call) -> Response:
    """Serve a manifest's bytes, as they came."""
    image = images.get(call.ctx, call.repository, parse_reference(call.params["reference"]))
    headers = {"Docker-Content-Digest": image.digest, "ETag": entity_tag(image.digest)}
    if not_modified(call.headers, image.digest):
        return Response(status_code=304, headers=headers)
    return Response(image.body, media_type=image.media_type, headers=headers)


def put(call: Call) -> Response:
    """Store a manifest under a tag or a digest."""
    reference = parse_reference(call.params["reference"])
    is_digest = isinstance(reference, Digest)
    manifest = manifests.parse(call.body, call.headers.get("content-type"))
    done = images.put(
        call.ctx,
        call.repository,
        manifest,
        tag=None if is_digest else reference,
        digest=reference if is_digest else None,
    )
    headers = {
        "Location": f"/v2/{call.repository.name}/manifests/{done.digest}",
        "Docker-Content-Digest": done.digest,
    }
    if manifest.subject:
        headers["OCI-Subject"] = manifest.subject.digest
    return Response(status_code=201, headers=headers)


def delete(call: Call) -> Response:
    """Remove a tag, or an image with all its tags."""
    reference = parse_reference(call.params["reference"])
    if isinstance(reference, Digest):
        images.delete(call.ctx, call.repository, reference)
    else:
        images.untag(call.ctx, call.repository, reference)
    return Response(status_code=202)
