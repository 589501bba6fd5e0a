"""Ranges of a blob: which of those asked for there are, and how they are sent."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_RANGE: Final = rb"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGES_RE: Final = re.compile(rb"(?i:bytes)=(%b(?:[ \t]*,[ \t]*%b){0,99})" % (_RANGE, _RANGE))


class RangedResponse(FileResponse):
    """A blob's bytes: a file whole by the server itself, ranges in pieces large enough to be fast."""

    chunk_size = 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file or those ranges that it has; a Range that cannot be read is ignored (RFC 9110, 14.2)."""
        headers = [pair for pair in scope["headers"] if pair[0] != b"range"]
        if asked := self._asked(scope):
            # For who may answer the next one out of the same file (`moorage.oci.remembering`).
            scope.setdefault("state", {})["ranged"] = self
            size = self.length
            there = [item for item in asked if _is_satisfiable(item, size)]
            if not there:
                await self._refuse(size)(scope, receive, send)
                return
            if len(there) == 1 and await self._send_short(*_span(there[0], size), size, send):
                return
            headers.append((b"range", b"bytes=" + b",".join(there)))
        await super().__call__({**scope, "headers": headers}, receive, send)

    @property
    def length(self) -> int:
        """Bytes of the whole file."""
        return int(self.headers["content-length"])

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

    async def _send_short(self, start: int, stop: int, size: int, send: Send) -> bool:
        """Send a range that is one piece; tell whether that could be done here."""
        if stop - start > self.chunk_size or (piece := await self._piece(start, stop)) is None:
            return False
        headers = MutableHeaders(raw=list(self.raw_headers))
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["content-length"] = str(stop - start)
        await send({"type": "http.response.start", "status": 206, "headers": headers.raw})
        await send({"type": "http.response.body", "body": piece})
        return True

    async def _piece(self, start: int, stop: int) -> bytes | None:
        """Return the bytes, None if they are to be sent in the long way."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            piece = _in_memory(descriptor, start, stop - start)
            if piece is None:
                piece = await run_in_threadpool(os.pread, descriptor, stop - start, start)
        finally:
            os.close(descriptor)
        return piece if len(piece) == stop - start else None

    def _refuse(self, size: int) -> Response:
        kept = {name: value for name, value in self.headers.items() if name.startswith("docker-distribution-")}
        return Response(status_code=416, headers={**kept, "Content-Range": f"bytes */{size}"})


def _in_memory(descriptor: int, start: int, length: int) -> bytes | None:
    """Return bytes of a file that the system need not wait for, None where it would have to, or cannot tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    piece = bytearray(length)
    try:
        count = os.preadv(descriptor, [piece], start, os.RWF_NOWAIT)
    except OSError:
        return None
    return bytes(piece) if count == length else None


def _span(item: bytes, size: int) -> tuple[int, int]:
    """Return where a range that can be satisfied starts and stops."""
    first, _, last = item.partition(b"-")
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _is_satisfiable(item: bytes, size: int) -> bool:
    first, _, last = item.partition(b"-")
    if not first:
        return size > 0 and int(last) > 0
    return int(first) < size and (not last or int(first) <= int(last))
