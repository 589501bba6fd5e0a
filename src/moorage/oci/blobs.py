"""Blobs: ``/v2/{name}/blobs/{digest}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from moorage.domain.names import Digest
from moorage.oci.conditional import entity_tag, not_modified
from moorage.registry import layers
from moorage.registry.storage import Elsewhere, OnDisk

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from moorage.oci.door import Call
    from moorage.registry.layers import Layer
    from moorage.registry.storage import BlobStore


_RANGE: Final = rb"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGES_RE: Final = re.compile(rb"(?i:bytes)=(%b(?:[ \t]*,[ \t]*%b){0,99})" % (_RANGE, _RANGE))


class BlobResponse(FileResponse):
    """A file's bytes: whole by the server itself, ranges in pieces large enough to be fast."""

    chunk_size = 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file or those ranges that it has; a Range that cannot be read is ignored (RFC 9110, 14.2)."""
        headers = [pair for pair in scope["headers"] if pair[0] != b"range"]
        if asked := self._asked(scope):
            size = int(self.headers["content-length"])
            there = [item for item in asked if _is_satisfiable(item, size)]
            if not there:
                await self._refuse(size)(scope, receive, send)
                return
            headers.append((b"range", b"bytes=" + b",".join(there)))
        await super().__call__({**scope, "headers": headers}, receive, send)

    def _asked(self, scope: Scope) -> list[bytes]:
        """Return the ranges that a GET asks for, if it does so readably and of this very content."""
        given = [value for name, value in scope["headers"] if name == b"range"]
        if scope["method"] != "GET" or len(given) != 1:
            return []
        condition = Headers(scope=scope).get("if-range")
        readable = _RANGES_RE.fullmatch(given[0].strip())
        if readable is None or (condition is not None and not self._should_use_range(condition)):
            return []
        return [item.strip() for item in readable[1].split(b",")]

    def _refuse(self, size: int) -> Response:
        kept = {name: value for name, value in self.headers.items() if name.startswith("docker-distribution-")}
        return Response(status_code=416, headers={**kept, "Content-Range": f"bytes */{size}"})


def _is_satisfiable(item: bytes, size: int) -> bool:
    first, _, last = item.partition(b"-")
    if not first:
        return size > 0 and int(last) > 0
    return int(first) < size and (not last or int(first) <= int(last))


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
    if not_modified(call.headers, layer.digest):
        return _unchanged(layer)
    store = call.ctx.registry.blobs
    if isinstance(store.locate(layer.location), OnDisk):
        return serve(store, layer)
    headers = {**_headers(layer), "Accept-Ranges": "bytes"}
    return Response(headers=headers, media_type="application/octet-stream")


def get(call: Call) -> Response:
    """Serve a blob's bytes, whole or in ranges."""
    layer = _wanted(call)
    if not_modified(call.headers, layer.digest):
        return _unchanged(layer)
    return serve(call.ctx.registry.blobs, layer)


def _unchanged(layer: Layer) -> Response:
    return Response(status_code=304, headers={"ETag": entity_tag(layer.digest)})


def serve(store: BlobStore, layer: Layer) -> Response:
    """Return the bytes in the way that the store has them: a file, another address, or a stream."""
    match store.locate(layer.location):
        case OnDisk(path):
            headers = _headers(layer)
            return BlobResponse(path, headers=headers, media_type="application/octet-stream", stat_result=path.stat())
        case Elsewhere(url):
            return RedirectResponse(url, 307, headers={"Docker-Content-Digest": layer.digest})
        case _:
            pieces = store.read(layer.location, 0, layer.size)
            return StreamingResponse(pieces, headers=_headers(layer), media_type="application/octet-stream")


def delete(call: Call) -> Response:
    """Take a blob away from the repository, unless one of its images needs it."""
    layer = _wanted(call)
    layers.unlink(call.ctx, call.repository, layer)
    return Response(status_code=202)
