"""
What surrounds every request: its id, what is counted of it, and its line in the log.

The doors say by ``scope["state"]["operation"]`` which of their operations a
request is; a request of which nobody says so is counted as none.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from moorage import logs, proxies
from moorage.metrics import Counts, process
from moorage.metrics.folder import add
from moorage.metrics.installation import Installation
from moorage.metrics.presence import Presence
from moorage.registry import reserve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from moorage.metrics import Folder
    from moorage.metrics.installation import Facts
    from moorage.registry.core import Registry

_NOTHING: Final = ("none", "none")
_CLASSES: Final = {0: "aborted", 1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_WRITTEN: Final = 1.0
"""Seconds between two writings of what was counted."""
_SHOWN: Final = 512
"""Characters of a path or a client's name that are logged."""


class Watch:
    """Counts the requests of one worker, and tells what all of them have counted."""

    def __init__(self, registry: Registry, folder: Folder | None = None) -> None:
        self.counts = Counts()
        self._registry = registry
        self._folder = folder
        self.presence = None if folder is None else Presence(folder)
        """Whether anybody asks anything of the server; None where no other worker could be heard."""
        self._worker = f"{os.getpid()}-{time.time_ns()}"
        self._installation = Installation(registry)
        self._logs_requests = registry.settings.log_requests
        self.counts.gauge(process.read)
        self.counts.gauge(lambda: _gauges(registry))

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application with all its requests watched."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._exchange(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return watched

    async def _exchange(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        began, request_id = time.perf_counter(), str(uuid.uuid4())
        status = received = sent = 0
        announced: Any = ()
        id_header = (b"x-request-id", request_id.encode())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            nonlocal status, sent, announced
            kind = message["type"]
            if kind == "http.response.body":
                sent += len(message.get("body", b""))
            elif kind == "http.response.start":
                status = message["status"]
                message["headers"] = headers = [*message["headers"], id_header]
                announced = headers
            elif kind == "http.response.pathsend":
                sent += _length(announced)
            await send(message)

        counts = self.counts
        counts.in_progress += 1
        try:
            await app(scope, receive_counted, send_counted)
        finally:
            counts.in_progress -= 1
            took = time.perf_counter() - began
            door, operation = state.get("operation", _NOTHING)
            counts.request((door, operation, _CLASSES.get(status // 100, "5xx")), took, received, sent)
            if self.presence is not None and door != "health":
                self.presence.note()
            if self._logs_requests:
                _log(scope, status=status, took=took, received=received, sent=sent)

    # --- What all workers have counted ---

    async def tick(self) -> None:
        """Write what was counted, again and again, until cancelled."""
        if self._folder is not None:
            while True:
                if self.presence is not None and self.counts.in_progress:
                    self.presence.note()
                try:
                    self._folder.write(self._worker, self.counts.snapshot())
                except OSError:
                    logs.exception("metrics_not_written")
                await asyncio.sleep(_WRITTEN)

    def end(self) -> None:
        """Leave what was counted to the others."""
        self._installation.close()
        if self._folder is not None:
            self._folder.end(self._worker, self.counts.snapshot())

    async def metrics(self, request: Request) -> Response:
        """Answer Prometheus, if it is one that may ask."""
        request.state.operation = ("health", "/metrics")
        if not _may_read(request, self._registry):
            return PlainTextResponse("metrics are for the addresses that the setting metrics names\n", 403)
        # Not among the threads of units of work: when those are all taken is when one wants to know.
        text, content_type = await run_in_threadpool(self._text, await self._installation.facts())
        return Response(text, media_type=None, headers={"Content-Type": content_type})

    def _text(self, facts: Facts) -> tuple[str, str]:
        from moorage import __version__  # noqa: PLC0415
        from moorage.metrics import exposition  # noqa: PLC0415 (a third of a second, for those who ask)

        snapshot = self.counts.snapshot()
        if self._folder is None:
            total = add([snapshot])
        else:
            self._folder.write(self._worker, snapshot)
            total = self._folder.sum()
        gauges = {**facts.gauges, **reserve.gauges(self._registry)}
        return exposition.text(total, gauges, facts.jobs, __version__), exposition.CONTENT_TYPE


def _length(headers: Any) -> int:
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)


def _may_read(request: Request, registry: Registry) -> bool:
    """Whether the client is one of those that the settings name, and no proxy hides another behind it."""
    client = request.client
    # A trusted proxy's word for the client's address comes without a port (`proxies`).
    if client is None or (client.port and {"x-forwarded-for", "forwarded"} & set(request.headers)):
        return False
    return proxies.is_trusted(client.host, registry.settings.metrics_readers)


def _gauges(registry: Registry) -> Mapping[str, float]:
    """Return what the threads and the pool of connections of this worker are doing."""
    pool = getattr(getattr(registry.database, "engine", None), "pool", None)
    values: dict[str, float] = dict(registry.load())
    if registry.trail is not None:
        values["audit_events_lost"] = registry.trail.lost
    if isinstance(pool, sa.QueuePool):
        values["database_connections_in_use"] = pool.checkedout()
        values["database_connections"] = pool.checkedout() + pool.checkedin()
    return values


def _log(scope: Scope, *, status: int, took: float, received: int, sent: int) -> None:
    headers = dict(scope["headers"])
    path: str = scope["path"]
    logs.info(
        "request",
        request_id=scope["state"]["request_id"],
        client=scope["client"][0] if scope.get("client") else None,
        method=scope["method"],
        # What follows is a secret: whoever has it can read the layer.
        path="/layers/…" if path.startswith("/layers/") else path[:_SHOWN],
        operation=scope["state"].get("operation", _NOTHING)[1],
        status=status,
        milliseconds=round(took * 1000, 3),
        received=received,
        sent=sent,
        agent=headers.get(b"user-agent", b"").decode("latin-1")[:_SHOWN],
    )
