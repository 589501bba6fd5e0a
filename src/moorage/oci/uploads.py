"""Uploads: ``/v2/{name}/blobs/uploads/`` — streamed, monolithic, in chunks, or mounted from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from moorage import bodies
from moorage.domain.errors import InvalidParameter
from moorage.domain.names import Digest, RepositoryName
from moorage.registry import layers, registries, uploads
from moorage.registry.again import again
from moorage.registry.entrance import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.oci.door import Call, Stream
    from moorage.registry.repositories import Repository
    from moorage.registry.uploads import Appender

_GATHERED: Final = 1024 * 1024
"""Bytes gathered before they are hashed and written: fewer hops to a thread, larger writes."""
_FEW: Final = 4
"""Pieces that are written one by one."""
_PART: Final = "ecr:UploadLayerPart"
_COMPLETE: Final = "ecr:CompleteLayerUpload"
"""What a request needs that sends a layer's bytes, or makes a layer of them, besides what its row says."""
_MOUNT_SOURCES: Final = 50
"""Repositories that are tried as the source of a mount that names none."""
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:/(?:\d{1,15}|\*))?")


def _at(repository: Repository, upload_id: str, offset: int, status: int) -> Response:
    """Return where an upload stands. Its address has everything in the path: clients drop queries."""
    headers = {
        "Location": f"/v2/{repository.name}/blobs/uploads/{upload_id}",
        "Range": f"0-{max(offset - 1, 0)}",
        "Docker-Upload-UUID": upload_id,
        "Content-Length": "0",
    }
    return Response(status_code=status, headers=headers)


def _created(repository: Repository, digest: Digest) -> Response:
    headers = {"Location": f"/v2/{repository.name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status_code=201, headers=headers)


async def begin(stream: Stream) -> Response:
    """Open an upload; with ``digest`` take the whole blob at once, with ``mount`` take it from another repository."""
    query = stream.request.query_params
    digest = Digest.parse(query["digest"], field="layerDigest") if "digest" in query else None
    call, opened = await stream.registry.perform(partial(again, partial(_open, stream)))
    if isinstance(opened, Digest):
        return _created(call.repository, opened)
    if digest is None:
        return _at(call.repository, opened.id, 0, 202)
    return await _complete(stream, call, opened.id, digest)


def _open(stream: Stream) -> tuple[Call, uploads.Upload | Digest]:
    """Mount what can be mounted, else begin an upload."""
    query = stream.request.query_params
    also = [_PART, _COMPLETE] if "digest" in query else []
    # A mount is a layer; that an upload has begun may be lost with the power.
    with stream.entered(also=also, push=True, lasting="mount" in query) as call:
        if "mount" in query and (mounted := _mount(call, query["mount"], query.get("from"))):
            return call, mounted
        return call, uploads.begin(call.ctx, call.repository)


def _mount(call: Call, digest: str, source: str | None) -> Digest | None:
    """Link a blob that the caller may read elsewhere in the registry; None where that cannot be."""
    if not registries.blob_mounting(call.ctx):
        return None
    names = [source] if source else layers.holders(call.ctx, digest, limit=_MOUNT_SOURCES)
    for name in names:
        try:
            found = readable(call.ctx, "ecr:GetDownloadUrlForLayer", RepositoryName.parse(name))
        except InvalidParameter:
            continue
        if found is not None and (layer := layers.find(call.ctx, found.id, digest)):
            uploads.mount(call.ctx, call.repository, layer)
            return layer.digest
    return None


async def append(stream: Stream) -> Response:
    """Append the body to an upload."""
    call = await stream.registry.perform(stream.enter, point_read=True)
    appender = await _appender(stream, call, call.params["upload"])
    try:
        expected = _require_order(stream, appender)
        tail = await _receive(stream, appender)
        _require_length(appender, expected, len(tail))
        upload = await stream.registry.perform(partial(_commit, appender, tail), moves_bytes=True)
    finally:
        await _close(stream, appender)
    return _at(call.repository, upload.id, upload.offset, 202)


async def complete(stream: Stream) -> Response:
    """Append the body, if there is one, and make the upload a blob."""
    digest = Digest.parse(stream.request.query_params.get("digest", ""), field="layerDigest")
    also = [_PART] if bodies.may_come(stream.request) else []
    call = await stream.registry.perform(partial(stream.enter, also), point_read=True)
    return await _complete(stream, call, call.params["upload"], digest)


async def _complete(stream: Stream, call: Call, upload_id: str, digest: Digest) -> Response:
    if _is_short(stream):
        too_long = partial(InvalidParameter, "layerPartBlob", "is longer than it says")
        body = await bodies.whole(stream.request, _GATHERED, too_long)
        await stream.registry.perform(partial(_at_once, call, upload_id, body, digest), moves_bytes=True)
        return _created(call.repository, digest)
    appender = await _appender(stream, call, upload_id)
    try:
        expected = _require_order(stream, appender)
        tail = await _receive(stream, appender)
        _require_length(appender, expected, len(tail))
        await stream.registry.perform(partial(_finish, appender, tail, digest), moves_bytes=True)
    finally:
        await _close(stream, appender)
    return _created(call.repository, digest)


def _is_short(stream: Stream) -> bool:
    """Tell whether the body says that it is a piece at most, and not where in the layer it belongs."""
    headers = stream.request.headers
    length = headers.get("content-length", "")
    return length.isdecimal() and int(length) <= _GATHERED and "content-range" not in headers


def _at_once(call: Call, upload_id: str, body: bytes, digest: Digest) -> None:
    """Do all that a short upload needs: one hop to a thread instead of three."""
    _finish(uploads.Appender.open(call.ctx, call.repository, upload_id), body, digest)


async def _appender(stream: Stream, call: Call, upload_id: str) -> Appender:
    return await stream.registry.perform(partial(uploads.Appender.open, call.ctx, call.repository, upload_id))


async def _close(stream: Stream, appender: Appender) -> None:
    # To let go of an object that is half written takes requests to its store.
    if not appender.is_closed:
        await stream.registry.perform(appender.close, moves_bytes=True)


def _commit(appender: Appender, tail: bytes) -> uploads.Upload:
    with contextlib.closing(appender):
        appender.write(tail)
        return appender.commit()


def _finish(appender: Appender, tail: bytes, digest: Digest) -> None:
    with contextlib.closing(appender):
        appender.write(tail)
        appender.finish([digest])


def _require_order(stream: Stream, appender: Appender) -> int | None:
    """Check a Content-Range against where the upload stands; return the length it announces."""
    text = stream.request.headers.get("content-range")
    if text is None:
        return None
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise InvalidParameter("contentRange", "must be <first>-<last>")
    appender.require_offset(int(match[1]))
    return int(match[2]) - int(match[1]) + 1


def _require_length(appender: Appender, expected: int | None, tail: int) -> None:
    received = appender.offset + tail - appender.upload.offset
    if expected is not None and received != expected:
        raise InvalidParameter("contentRange", f"announces {expected} bytes, and {received} arrived")


async def _receive(stream: Stream, appender: Appender) -> bytes:
    """Write the body as it arrives, one piece in a thread while the next is received; return what is left over."""
    gathered, size = list[bytes](), 0
    writing: asyncio.Future[None] | None = None
    try:
        async for chunk in bodies.chunks(stream.request):
            gathered.append(chunk)
            size += len(chunk)
            if size >= _GATHERED:
                if writing is not None:
                    await writing
                write = stream.registry.perform(partial(_write, appender, gathered), moves_bytes=True)
                writing = asyncio.ensure_future(write)
                gathered, size = [], 0
    finally:
        # The file must not be closed under a thread that writes to it.
        if writing is not None:
            await asyncio.wait([writing])
    if writing is not None:
        writing.result()
    return b"".join(gathered)


def _write(appender: Appender, pieces: Sequence[bytes]) -> None:
    # To join a few long ones would cost more than to write each.
    for data in pieces if len(pieces) <= _FEW else [b"".join(pieces)]:
        appender.write(data)


def status(call: Call) -> Response:
    """Tell how far an upload has come."""
    upload = uploads.find(call.ctx, call.repository, call.params["upload"])
    return _at(call.repository, upload.id, upload.offset, 204)


def cancel(call: Call) -> Response:
    """Give an upload up."""
    uploads.cancel(call.ctx, call.repository, call.params["upload"])
    return Response(status_code=204)
