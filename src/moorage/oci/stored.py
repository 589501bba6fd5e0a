"""Blobs that are not files here: sent for elsewhere, or passed through from the store."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from os import stat_result
from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse, Response

from moorage.domain.errors import LayerDamaged, StoreUnavailable
from moorage.oci.ranges import RangedResponse
from moorage.registry.storage import Missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from typing import Any

    from starlette.types import Message, Receive, Scope, Send

    from moorage.domain.errors import Failure
    from moorage.registry.core import Registry
    from moorage.registry.layers import Layer
    from moorage.registry.storage import Elsewhere

_REGULAR_FILE: Final = 0o100600


class Redirected(Response):
    """The address of a blob at its store. Raises `StoreUnavailable`, having sent nothing, if there is none."""

    def __init__(self, registry: Registry, layer: Layer, place: Elsewhere) -> None:
        super().__init__(headers={"Docker-Content-Digest": layer.digest})
        self._registry = registry
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sign the address, which may take a question to another host, and send it."""
        url = await self._registry.perform(self._place.url, moves_bytes=True)
        kept = {name: value for name, value in self.headers.items() if name != "content-length"}
        # The address is a credential for some minutes.
        kept["cache-control"] = "no-store"
        await RedirectResponse(url, 307, headers=kept)(scope, receive, send)


class PassedThrough(RangedResponse):
    """
    A blob read from its store while it is sent, whole or in ranges.

    Raises `StoreUnavailable` or `LayerDamaged`, having sent nothing, if the store fails at once;
    later, all that can be done is to cut the connection.
    """

    def __init__(self, registry: Registry, layer: Layer, headers: dict[str, str]) -> None:
        status = stat_result((_REGULAR_FILE, 0, 0, 0, 0, 0, layer.size, 0, 0, 0))
        super().__init__("", headers=headers, media_type="application/octet-stream", stat_result=status)
        # There is no file that was last modified at some time.
        del self.headers["last-modified"]
        self._registry = registry
        self._layer = layer
        self._stop: int | None = layer.size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the blob, its head not before the first bytes are here."""
        held: list[Message] = []
        started = False

        async def send_late(message: Message) -> None:
            nonlocal started
            held.append(message)
            if message["type"] == "http.response.start":
                return
            started = True
            for one in held:
                await send(one)
            held.clear()

        scope = {**scope, "extensions": {}}
        try:
            await super().__call__(scope, receive, send_late)
        except (Missing, StoreUnavailable) as problem:
            failure: Failure = StoreUnavailable()
            if isinstance(problem, Missing):
                self._registry.miss(self._layer.digest)
                failure = LayerDamaged(digest=self._layer.digest)
            if not started:
                raise failure from problem
            raise ConnectionAbortedError(f"{self._layer.digest}: the store failed within the body") from problem

    async def _piece(self, start: int, stop: int) -> None:
        """Be no file."""

    def _should_use_range(self, http_if_range: str) -> bool:
        return http_if_range == self.headers["etag"]

    async def _handle_single_range(self, send: Send, start: int, end: int, *rest: Any) -> None:
        self._stop = end
        await super()._handle_single_range(send, start, end, *rest)

    async def _handle_multiple_ranges(self, *given: Any) -> None:
        self._stop = None
        await super()._handle_multiple_ranges(*given)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        reader = _Reader(self._registry, self._layer.location, self._stop)
        try:
            yield reader
        finally:
            reader.close()


class _Reader:
    """As much of an asynchronous file as a response needs, over `BlobStore.read`."""

    def __init__(self, registry: Registry, location: str, stop: int | None) -> None:
        self._registry = registry
        self._location = location
        self._stop = stop
        self._position = 0
        self._pieces: Generator[bytes] | None = None
        self._left = b""

    async def seek(self, position: int) -> None:
        """Go on from another place."""
        self.close()
        self._position, self._left = position, b""

    def close(self) -> None:
        """Let go of the store's answer at once: a client that has gone must not keep a connection open."""
        pieces, self._pieces = self._pieces, None
        # A read that was cancelled still runs in its thread, and ends by itself.
        with suppress(ValueError):
            if pieces is not None:
                pieces.close()

    async def read(self, size: int) -> bytes:
        """Return exactly so many bytes, fewer only at the end."""
        data = await self._registry.perform(partial(self._read, size), moves_bytes=True)
        self._position += len(data)
        return data

    def _read(self, size: int) -> bytes:
        if self._stop is None:
            return b"".join(self._registry.blobs.read(self._location, self._position, self._position + size))
        if self._pieces is None:
            self._pieces = self._registry.blobs.read(self._location, self._position, self._stop)
        gathered = bytearray(self._left)
        while len(gathered) < size and (piece := next(self._pieces, None)) is not None:
            gathered += piece
        self._left = bytes(gathered[size:])
        return bytes(gathered[:size])
