"""The server process: prepare the installation, run the workers, say when requests are accepted."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from moorage import __version__, app, installation, logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.config import Settings

_BACKLOG: Final = 2048
_POLL: Final = 0.01
_PATIENCE: Final = 60


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError if the port is taken."""
    logs.configure(settings.log_level)
    _require_free_port(settings)
    app.prepare(settings)
    installation.write_address(settings.data, settings.base_url, settings.region)
    server = Granian(
        target="moorage",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
        backlog=_BACKLOG,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=60,
        log_level=LogLevels.warning,
    )
    # What is loaded now is there for good: left alone by the collector, its
    # memory stays shared between the workers.
    gc.collect()
    gc.freeze()
    gc.enable()
    threading.Thread(target=_announce, args=(settings,), daemon=True).start()
    server.serve(target_loader=_loader(settings), wrap_loader=False)


def _loader(settings: Settings) -> Callable[[], Any]:
    def load() -> Any:
        # Runs in each worker: a connection must never cross a fork.
        logs.configure(settings.log_level)
        return app.create_app(settings)

    return load


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as problem:
            raise OSError(f"cannot listen on {settings.host}:{settings.port}: {problem.strerror}") from None


def _announce(settings: Settings) -> None:
    """Print the one ready line, once a request has been answered."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (compared, not bound)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(host, settings.port, timeout=_PATIENCE)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                break
        except OSError:
            time.sleep(_POLL)
        finally:
            connection.close()
    mode = ", any credentials accepted (--dev)" if settings.dev else ""
    print(f"Moorage {__version__} is ready on {settings.base_url} (data in {settings.data}{mode})", flush=True)  # noqa: T201
