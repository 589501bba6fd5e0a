"""Ranges of a blob: which of those asked for there are, and how they are sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
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
