"""The server process: prepare the installation, run the workers, say when requests are accepted."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from moorage import __version__, app, installation, logs, metrics, readahead
from moorage.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.config import Settings
    from moorage.tls import Certificate

_POLL: Final = 0.01
_PATIENCE: Final = 60
_PIECE: Final = 4096
_WATCH: Final = 1.0
"""Seconds between two looks at whether a worker's parent is there."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError if the port is taken, `SettingsError` for a bad certificate."""
    logs.configure(settings.log_level)
    _require_free_port(settings)
    certificate = _certificate(settings)
    app.prepare(settings)
    address = installation.address_of(settings, certificate.ca if certificate else None)
    installation.write_address(settings.data, address)
    server = Workers(settings, certificate)
    # What is loaded now is there for good: left alone by the collector, its
    # memory stays shared between the workers.
    gc.collect()
    gc.freeze()
    gc.enable()
    threading.Thread(target=_announce, args=(settings, certificate), daemon=True).start()
    if certificate is not None:
        threading.Thread(target=certificate.watch, args=(server.signal_handler_reload,), daemon=True).start()
    with metrics.shared(settings.data) as folder:
        server.serve(target_loader=_loader(settings, folder), wrap_loader=False)


def _certificate(settings: Settings) -> Certificate | None:
    if not settings.serves_tls:
        return None
    from moorage import tls  # noqa: PLC0415 (slow to import, and not every server needs it)

    return tls.prepare(settings)


def _loader(settings: Settings, folder: metrics.Folder) -> Callable[[], Any]:
    parent = os.getpid()

    def load() -> Any:
        # Runs in each worker: a connection must never cross a fork.
        _end_at_once()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        logs.configure(settings.log_level)
        return readahead.around(app.create_app(settings, metrics=folder))

    return load


def _end_at_once() -> None:
    """
    Let a worker that does not serve yet end when it is told to: it has nothing to finish.

    The handlers that it has from its parent would set an event of the parent's, whose lock may be held here for good.
    """
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: os._exit(0))


def _end_with(parent: int) -> None:
    """End this worker in good order once its parent is gone, killed perhaps: nobody else could end it."""
    while os.getppid() == parent:
        time.sleep(_WATCH)
    os.kill(os.getpid(), signal.SIGTERM)


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as problem:
            raise OSError(f"cannot listen on {settings.host}:{settings.port}: {problem.strerror}") from None


def _announce(settings: Settings, certificate: Certificate | None) -> None:
    """Print the one ready line, once a request has been answered; nothing if none is."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (compared, not bound)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            if _answers(settings, host):
                break
        except OSError:
            pass
        time.sleep(_POLL)
    else:
        return
    mode = ", any credentials accepted (--dev)" if settings.dev else ""
    print(f"Moorage {__version__} is ready on {settings.base_url} (data in {settings.data}{mode})", flush=True)  # noqa: T201
    if certificate is not None and (help_ := certificate.trust()):
        print(help_, flush=True)  # noqa: T201


def _answers(settings: Settings, host: str) -> bool:
    """Whether we answer a request; raises OSError while nobody listens."""
    # By hand: a client's library would take a tenth of the start to import.
    with contextlib.ExitStack() as held:
        connected = held.enter_context(socket.create_connection((host, settings.port), timeout=_PATIENCE))
        if settings.serves_tls:
            connected = held.enter_context(_trusting().wrap_socket(connected))
        connected.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        # To the end: a socket that is closed before tells its peer of a failure.
        return b"".join(iter(lambda: connected.recv(_PIECE), b"")).startswith(b"HTTP/1.1 200 ")


def _trusting() -> ssl.SSLContext:
    """Return a context for speaking to ourselves: whose certificate it is does not matter, and its names are others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
