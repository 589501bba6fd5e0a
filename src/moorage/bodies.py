"""Request bodies: received with a bound on their length and on the patience of the receiver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from moorage.domain.errors import SenderStalled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Message

    from moorage.domain.errors import Failure

_SHORT: Final = 64 * 1024
"""Bytes under which a piece is copied at once."""
STALLED: Final = 120
"""Seconds without a byte after which a sender is given up."""


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; raise `SenderStalled`, or Starlette's ``ClientDisconnect``."""
    more = True
    while more:
        message = await _message(request)
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


async def whole(request: Request, limit: int, too_long: Callable[[], Failure]) -> bytes:
    """
    Return a body of at most ``limit`` bytes; raise what ``too_long`` makes as soon as it is longer.

    Raises as `chunks` does. A failure made beforehand would be held by its own traceback, and with it the body.
    """
    # One long piece is given on as it is. Short ones are gathered: of as many objects as bytes each would take sixty.
    pieces, size, more = list[bytes | bytearray](), 0, True
    while more:
        message = await _message(request)
        more, piece = message.get("more_body", False), message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise too_long()
        if pieces and len(piece) < _SHORT and isinstance(pieces[-1], bytearray):
            pieces[-1] += piece
        elif piece:
            pieces.append(bytearray(piece) if len(piece) < _SHORT else piece)
    return b"".join(pieces)


async def _message(request: Request) -> Message:
    try:
        async with asyncio.timeout(STALLED):
            message = await request.receive()
    except TimeoutError:
        raise SenderStalled(seconds=STALLED) from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


def may_come(request: Request) -> bool:
    """Whether the request has a body, or says too little to rule it out (HTTP/2 needs no length)."""
    length = request.headers.get("content-length")
    if length is not None:
        return bool(length.strip("0"))
    return "transfer-encoding" in request.headers or not request.scope["http_version"].startswith("1")
