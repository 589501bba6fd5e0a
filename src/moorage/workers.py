"""
The worker processes: Granian's, with a reload that nobody notices.

Granian's own answer to SIGHUP replaces one worker after another, kills after a
minute what is still running, reads the certificate through the symbolic links as
they were at the start, without a look at whether it will serve, and on Linux gives
each worker a listening socket of its own, which takes the connections waiting in it
along when it goes (docs/adr/0005). Its own answer to a worker that dies twice within
some seconds is to end the server.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from granian import _signals
from granian._granian import WorkerSignal
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.net import SocketSpec  # type: ignore[attr-defined]  # (imported there under this name)
from granian.server import MPServer

from moorage import draining, logs
from moorage.config import SettingsError
from moorage.lives import Lives

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from moorage.config import Settings
    from moorage.tls import Certificate, Checked

_BACKLOG: Final = 2048
_HEADERS: Final = 64 * 1024
"""Bytes of headers that an HTTP/2 request may have."""
_BUFFER: Final = 1088 * 1024
"""Bytes of a body that are received at once, and of headers that an HTTP/1 request may have."""
_STOP: Final = 60
"""Seconds that requests have to end in when the server stops."""
_LEAVE: Final = 3600.0
"""Seconds that requests have to end in when their worker is replaced."""
_OFTEN: Final = 0.01
_AGAIN: Final = 5.0


class Workers(MPServer):
    """Workers that serve an application; SIGHUP replaces them, and reads the certificate again."""

    _shd: Any
    _sfd: Any

    def __init__(self, settings: Settings, certificate: Certificate | None) -> None:
        super().__init__(
            target="moorage",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            http=HTTPModes.auto,
            http1_settings=HTTP1Settings(header_read_timeout=30_000, max_buffer_size=_BUFFER),
            http2_settings=HTTP2Settings(max_headers_size=_HEADERS),
            backlog=_BACKLOG,
            websockets=False,
            loop=Loops.uvloop,
            # Not ``mt``, which may take up what was asked for later before what was asked for earlier: `readahead`.
            runtime_mode=RuntimeModes.st,
            workers_kill_timeout=_STOP,
            log_level=LogLevels.warning,
        )
        self._certificate = certificate
        self._leaving: list[Any] = []
        self._lives = Lives()
        self._held: int | None = None
        if certificate is not None:
            self._hold(certificate, certificate.check())

    def _hold(self, certificate: Certificate, checked: Checked) -> None:
        """
        Give workers what was checked, and not what the files may hold by the time they start.

        It is in a file without a name, in memory: a key must not be copied to a disk.
        """
        if sys.platform == "linux":
            before, self._held = self._held, os.memfd_create("certificate")
            with os.fdopen(os.dup(self._held), "wb") as file:
                file.write(checked.chain + b"\n" + checked.key)
            # Any, because the type that is inferred for the server's setting knows of no files.
            path: Any = f"/proc/self/fd/{self._held}"
            self.ssl_ctx = (True, path, path, None, str(SSLProtocols.tls12), None, [], False)
            if before is not None:
                os.close(before)
        else:
            files = certificate.file, certificate.key
            self.build_ssl_context(*files, None, SSLProtocols.tls12, None, [], client_verify=False)

    def _init_shared_socket(self) -> None:
        """Open one listening socket for all workers: what waits in it survives each of them."""
        self._ssp = None
        self._shd = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._sfd = self._shd.get_fd()
        self._sso = socket.socket(fileno=self._sfd)
        self._sso.set_inheritable(True)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override]  # (Granian's too)
        """Make a worker that will tell when it is up."""
        life = self._lives.begin(idx, time.monotonic())
        return super()._spawn_worker(idx, target, life.telling(callback_loader))

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """Reload and replace the dead until told to end, or until there is no hope that a worker will come up."""
        while not self.interrupt_signal and not self._lives.are_hopeless:
            self.main_loop_interrupt.wait(self._lives.wait(time.monotonic()))
            # First, so that what comes while the rest is done is seen in the next round.
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
            self._bury()
            self._replace(spawn_target, target_loader)
        if not self.interrupt_signal:
            logs.warning("no_worker_comes_up", effect="the server ends")
            # Makes the status 1.
            self.interrupt_children.append(0)

    def _bury(self) -> None:
        """Note the workers that have died by themselves."""
        while self.interrupt_children:
            number = self.interrupt_children.pop(0)
            # One that a reload has replaced meanwhile is nobody's loss.
            if not self.wrks[number].is_alive():
                again_in = self._lives.end(number, time.monotonic())
                logs.warning("worker_died", status=self.wrks[number].inner.exitcode, again_in=again_in)

    def _replace(self, spawn_target: Any, target_loader: Any) -> None:
        """Begin the workers that are due."""
        for number in self._lives.due(time.monotonic()):
            worker = self.wrks[number] = self._spawn_worker(number, spawn_target, target_loader)
            worker.start()

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:
        """Replace all workers at once; those before end with their last request. A bad certificate changes nothing."""
        self.reload_signal = False
        try:
            checked = self._certificate.check() if self._certificate is not None else None
        except SettingsError as problem:
            logs.warning("reload_refused", reason=str(problem))
            return
        if self._certificate is not None and checked is not None:
            self._hold(self._certificate, checked)
        old, self.wrks = self.wrks, []
        self._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        self._leaving = [worker for worker in self._leaving if worker.is_alive()] + old
        _ask(old)
        logs.info("reloaded", certificate_ends=checked.ends.isoformat() if checked else None)

    def _stop_workers(self) -> None:
        """Stop all workers, those that are leaving too."""
        self.wrks = [*self.wrks, *(worker for worker in self._leaving if worker.is_alive())]
        workers: list[Any] = list(self.wrks)
        _ask(workers)
        _see_out(workers)
        self.wrks.clear()
        if self.interrupt_signal:
            # One that died just before the end is no failure of the end.
            self.interrupt_children.clear()


def _see_out(workers: Sequence[Any]) -> None:
    """Wait until workers have ended, and kill those that take too long."""
    deadline = time.monotonic() + _STOP
    # Several threads wait for each worker, and one of them is told of its end: to the others it is alive until
    # that one has noted it, which Granian would take for a refusal.
    while (here := [worker for worker in workers if worker.is_alive()]) and time.monotonic() < deadline:
        time.sleep(_OFTEN)
    for worker in here:
        logs.warning("worker_killed", reason=f"it had not ended {_STOP} seconds after it was told to")
        worker.kill()
        worker.join()


def _stop_once(loop: asyncio.AbstractEventLoop) -> WorkerSignal:
    """Let the first signal stop a worker, and the next ones, which come from systemd or a terminal, say nothing new."""
    told, event = threading.Event(), WorkerSignal()

    def stop() -> None:
        if not told.is_set():
            told.set()
            draining.begin()
            event.set()

    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop)
    return event


# Granian 2.8.7 passes every signal on, and setting the event again blocks the worker's loop for good.
_signals.set_loop_signals = _stop_once


def _ask(workers: Sequence[Any]) -> None:
    """Ask workers to leave, again for one that was too young to hear, and in the end insist; returns at once."""

    def see_off() -> None:
        deadline = time.monotonic() + _LEAVE
        while (here := [worker for worker in workers if worker.is_alive()]) and time.monotonic() < deadline:
            for worker in here:
                worker.terminate()
            here[0].join(_AGAIN)
        for worker in here:
            worker.kill()

    threading.Thread(target=see_off, daemon=True).start()
