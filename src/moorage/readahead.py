"""
Bodies read ahead: their next messages are asked for before they are needed, and given on together.

A message of a body comes through three threads, tokio's, Granian's and the loop's, and of a body in chunks each chunk
is one: 32 KiB, of Go's clients. Asked for one by one, each makes its way before the next one starts; of many that are
under way at once, all that have arrived cost one turn of the loop.

For Granian alone, in its mode of one runtime in one thread (`moorage.workers`): there ``receive`` starts when it is
called, not when it is awaited, and its calls are answered in their order. ASGI promises neither.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WITHOUT: Final = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose requests have no body that is worth it."""
_MOST: Final = 32
"""Messages that are asked for ahead, at most."""
_BYTES: Final = 1024 * 1024
"""Bytes that are asked for ahead, if messages go on as they were, and given on together."""
_LONG: Final = 128 * 1024
"""Bytes of a message that goes on alone: to join it would cost more than it saves."""


def around(app: ASGIApp) -> ASGIApp:
    """Return the application, with the bodies that it asks for read ahead."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _WITHOUT:
            await app(scope, receive, send)
            return
        exchange = ReadAhead(receive, send)
        try:
            await app(scope, exchange, exchange.send)
        finally:
            exchange.close()

    return served


class ReadAhead:
    """A ``receive`` over one that starts when it is called, and the ``send`` of the same exchange."""

    def __init__(self, receive: Callable[[], Any], send: Send) -> None:
        self._receive = receive
        self._send = send
        self._asked: deque[Future[Message]] = deque()
        self._depth = 1

    async def __call__(self) -> Message:
        """Return the next message, and what else of the body has arrived."""
        message = await (self._asked.popleft() if self._asked else self._receive())
        if not message.get("more_body"):
            return message
        pieces = [message["body"]]
        size = longest = len(pieces[0])
        while size < _BYTES and longest < _LONG and self._asked and self._asked[0].done():
            message = self._asked.popleft().result()
            if "body" not in message:
                # The client is gone, and what it had sent does not count.
                return message
            pieces.append(message["body"])
            size, longest = size + len(pieces[-1]), max(longest, len(pieces[-1]))
            if not message["more_body"]:
                break
        else:
            self._ask(longest)
        return {**message, "body": pieces[0] if len(pieces) == 1 else b"".join(pieces)}

    async def send(self, message: Message) -> None:
        """Send a message of the answer."""
        await self._send(message)

    def _ask(self, length: int) -> None:
        """Ask for more: for little at first, since most bodies are short, and for no more than is to be held."""
        wanted = min(self._depth, max(2, _BYTES // max(length, 1)))
        self._depth = min(2 * self._depth, _MOST)
        self._asked.extend(self._receive() for _ in range(wanted - len(self._asked)))

    def close(self) -> None:
        """
        Take back what was asked for, and let go of the exchange.

        Granian drops a body that nobody wants, and the connection with it, once nothing holds it: what is taken back
        may still do so when the application returns, and a failure's traceback until there is a garbage collection.
        """
        while self._asked:
            self._asked.popleft().cancel()
        del self._receive, self._send
