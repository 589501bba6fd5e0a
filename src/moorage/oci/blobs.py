"""Blobs: ``/v2/{name}/blobs/{digest}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from moorage.domain.errors import LayerDamaged, LayerNotFound
from moorage.domain.names import Digest
from moorage.oci.conditional import entity_tag, not_modified
from moorage.oci.ranges import RangedResponse
from moorage.oci.stored import PassedThrough, Redirected
from moorage.registry import layers
from moorage.registry.storage import Elsewhere, OnDisk

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.oci.door import Call
    from moorage.registry.core import Registry
    from moorage.registry.layers import Layer


def _headers(layer: Layer) -> dict[str, str]:
    return {
        "Docker-Content-Digest": layer.digest,
        "ETag": entity_tag(layer.digest),
        "Content-Length": str(layer.size),
    }


def _wanted(call: Call) -> Layer:
    return layers.get(call.ctx, call.repository, Digest.parse(call.params["digest"], field="layerDigest"))


def head(call: Call) -> Response:
    """Tell whether the repository has a blob, and all that `get` would say of it."""
    layer = _wanted(call)
    if not layers.is_available(call.ctx, call.repository, layer.digest):
        raise LayerNotFound(digest=layer.digest, name=call.repository.name, registry_id=call.repository.registry_id)
    if not_modified(call.headers, layer.digest):
        return _unchanged(layer)
    registry = call.ctx.registry
    if isinstance(registry.blobs.locate(layer.location), OnDisk):
        return serve(registry, layer)
    headers = {**_headers(layer), "Accept-Ranges": "bytes"}
    return Response(headers=headers, media_type="application/octet-stream")


def get(call: Call) -> Response:
    """Serve a blob's bytes, whole or in ranges; not those that only archived images need."""
    layer = _wanted(call)
    layers.require_active(call.ctx, call.repository, layer.digest)
    if not_modified(call.headers, layer.digest):
        return _unchanged(layer)
    return serve(call.ctx.registry, layer)


def _unchanged(layer: Layer) -> Response:
    return Response(status_code=304, headers={"ETag": entity_tag(layer.digest)})


def serve(registry: Registry, layer: Layer) -> Response:
    """Return the bytes in the way that the store has them: a file, another address, or a stream."""
    match registry.blobs.locate(layer.location):
        case OnDisk(path):
            return _file(registry, layer, path)
        case Elsewhere() as place:
            return Redirected(registry, layer, place)
        case _:
            return PassedThrough(registry, layer, _headers(layer))


def _file(registry: Registry, layer: Layer, path: Path) -> Response:
    found = path.stat() if path.is_file() else None
    if found is None or found.st_size != layer.size:
        registry.miss(layer.digest)
        raise LayerDamaged(digest=layer.digest)
    headers = _headers(layer)
    return RangedResponse(path, headers=headers, media_type="application/octet-stream", stat_result=found)


def delete(call: Call) -> Response:
    """Take a blob away from the repository, unless one of its images needs it."""
    layer = _wanted(call)
    layers.unlink(call.ctx, call.repository, layer)
    return Response(status_code=202)
