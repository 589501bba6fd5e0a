"""
Traces by OpenTelemetry: a span a request, and below it one for each transaction and each call of the store.

For installations with the extra ``otel`` whose environment names where traces
go (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like, as the SDK reads them). For all
others nothing of this is imported, and nothing stands around a request.
"""

from __future__ import annotations

import contextvars
import logging
import os
from contextlib import contextmanager
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, cast

from moorage import __version__, logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import sqlalchemy as sa
    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from moorage.registry.core import Registry
    from moorage.registry.storage import BlobStore, Database

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET: Final = frozenset({"new_location", "locate", "pieces", "write", "close"})
"""Calls of the store that ask nobody, or are too many: a layer is written in pieces of a megabyte."""
_SHOWN: Final = 512
"""Characters of a path that a span shows."""
_SERVER_ERROR: Final = 500


def is_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the environment says where traces go."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return exporter == "otlp" or any(environ.get(name) for name in named)


def begin(registry: Registry) -> Tracing | None:
    """Begin to trace what a registry does, if that is wanted and the extra is there."""
    if not is_wanted():
        return None
    try:
        return Tracing(registry)
    except ImportError:
        logs.warning("tracing_not_installed", reason="OTEL_* variables ask for traces: pip install 'moorage[otel]'")
        return None


class Tracing:
    """Traces of one worker."""

    def __init__(self, registry: Registry) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (an extra)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        own = {"service.version": __version__}
        if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            own["service.name"] = "moorage"
        _log_as_we_do()
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = self._provider.get_tracer("moorage", __version__)
        self._tracer = tracer
        registry.carrying = _carried
        registry.database = cast("Database", _TracedDatabase(registry.database, tracer))
        registry.blobs = cast("BlobStore", _TracedStore(registry.blobs, tracer))

    def close(self) -> None:
        """Send what is waiting, for some seconds at most."""
        self._provider.force_flush(5000)
        self._provider.shutdown()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span around each request."""
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        propagator = TraceContextTextMapPropagator()

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            named = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            span = self._tracer.start_span(
                _method(scope), propagator.extract(named), trace.SpanKind.SERVER, _attributes(scope)
            )

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                await send(message)

            try:
                with trace.use_span(span):
                    await app(scope, receive, send_noted)
            finally:
                _note_operation(span, scope)
                span.end()

        return traced


def _method(scope: Scope) -> str:
    # A name that a client made up must not name a span.
    return scope["method"] if scope["method"] in _METHODS else "HTTP"


def _attributes(scope: Scope) -> dict[str, str]:
    path: str = scope["path"]
    known = _method(scope)
    return {
        "http.request.method": known if known in _METHODS else "_OTHER",
        "url.scheme": scope["scheme"],
        # What follows is a secret: whoever has it can read the layer.
        "url.path": "/layers/…" if path.startswith("/layers/") else path[:_SHOWN],
        "client.address": scope["client"][0] if scope.get("client") else "",
        "moorage.request_id": scope["state"]["request_id"],
    }


def _note_status(span: Span, status: int) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)


def _note_operation(span: Span, scope: Scope) -> None:
    door, operation = scope["state"].get("operation", ("none", "none"))
    if operation != "none":
        span.update_name(operation)
        span.set_attribute("rpc.method" if door == "aws" else "http.route", operation)
    span.set_attribute("moorage.door", door)


def _carried(unit: Callable[[], Any]) -> Callable[[], Any]:
    """Let a unit of work in a thread know the request that it is for."""
    return partial(contextvars.copy_context().run, unit)


class _TracedDatabase:
    """A database with a span around each transaction."""

    def __init__(self, inner: Database, tracer: Tracer) -> None:
        self._inner, self._tracer = inner, tracer
        self._system = {"db.system.name": "sqlite" if inner.inline_reads else "postgresql"}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self._span("read"), self._inner.read() as tx:
            yield tx

    @contextmanager
    def write(self, *, lasting: bool = True, bulky: bool = False) -> Iterator[sa.Connection]:
        with self._span("write"), self._inner.write(lasting=lasting, bulky=bulky) as tx:
            yield tx

    def _span(self, name: str) -> Any:
        # A refusal goes through here as an exception, and is no fault of the database's.
        return self._tracer.start_as_current_span(
            f"database {name}", attributes=self._system, record_exception=False, set_status_on_exception=False
        )


class _TracedStore:
    """A store, or a writer of it, with a span around each call."""

    def __init__(self, inner: Any, tracer: Tracer) -> None:
        self._inner, self._tracer = inner, tracer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if callable(value) and name not in _QUIET:
            value = self.__dict__[name] = partial(self._call, name, value)
        return value

    def _call(self, name: str, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        with self._tracer.start_as_current_span(f"store {name}"):
            result = function(*given, **named)
        if name == "open":
            return _TracedStore(result, self._tracer)
        return self._yielded(name, result) if isinstance(result, GeneratorType) else result

    def _yielded(self, name: str, pieces: Iterator[Any]) -> Iterator[Any]:
        span = self._tracer.start_span(f"store {name} bytes")
        try:
            yield from pieces
        finally:
            span.end()


class _Handler(logging.Handler):
    """Brings what the SDK logs into our log."""

    def emit(self, record: logging.LogRecord) -> None:
        logs.warning("tracing", message=record.getMessage()[:_SHOWN])


def _log_as_we_do() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers, logger.propagate = [_Handler(logging.WARNING)], False
