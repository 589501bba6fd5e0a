"""Manifests: ``/v2/{name}/manifests/{reference}`` (distribution-spec: pull, push, content management)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from moorage.domain import manifests
from moorage.domain.errors import InvalidParameter
from moorage.domain.names import Digest, Tag, parse_reference
from moorage.oci.conditional import entity_tag, not_modified
from moorage.registry import images

if TYPE_CHECKING:
    from moorage.oci.door import Call
    from moorage.registry.images import Image

_MAX_TAGS: Final = 100
"""Tags that one push may set; the whole push is refused beyond that."""


def head(call: Call) -> Response:
    """Tell all that `get` would say of a manifest; that is no pull."""
    return _serve(call, images.get(call.ctx, call.repository, parse_reference(call.params["reference"])))


def get(call: Call) -> Response:
    """Serve a manifest's bytes, as they came."""
    image = images.get(call.ctx, call.repository, parse_reference(call.params["reference"]))
    call.ctx.registry.pulls.note(call.ctx, call.repository, image.digest)
    return _serve(call, image)


def _serve(call: Call, image: Image) -> Response:
    headers = {"Docker-Content-Digest": image.digest, "ETag": entity_tag(image.digest)}
    if not_modified(call.headers, image.digest):
        return Response(status_code=304, headers=headers)
    return Response(image.body, media_type=image.media_type, headers=headers)


def put(call: Call) -> Response:
    """Store a manifest under a tag or a digest."""
    reference = parse_reference(call.params["reference"])
    digest = reference if isinstance(reference, Digest) else None
    tags = _tags(call, reference)
    manifest = manifests.parse(call.body, call.headers.get("content-type"))
    done = images.put(call.ctx, call.repository, manifest, tags=tags, digest=digest)
    headers = {
        "Location": f"/v2/{call.repository.name}/manifests/{done.digest}",
        "Docker-Content-Digest": done.digest,
    }
    if manifest.subject:
        headers["OCI-Subject"] = manifest.subject.digest
    response = Response(status_code=201, headers=headers)
    for tag in tags if digest else ():
        response.headers.append("OCI-Tag", tag)
    return response


def _tags(call: Call, reference: Tag | Digest) -> list[Tag]:
    """Return the tags to set: the one in the path, or those that a push by digest names as ``tag`` parameters."""
    if isinstance(reference, Tag):
        return [reference]
    given = list(dict.fromkeys(call.query.getlist("tag")))
    if len(given) > _MAX_TAGS:
        raise InvalidParameter("imageTag", f"Member must have length less than or equal to {_MAX_TAGS}")
    return [Tag.parse(text) for text in given]


def delete(call: Call) -> Response:
    """Remove a tag, or an image with all its tags."""
    reference = parse_reference(call.params["reference"])
    if isinstance(reference, Digest):
        images.delete(call.ctx, call.repository, reference)
    else:
        images.untag(call.ctx, call.repository, reference, keep_children=True)
    return Response(status_code=202)
