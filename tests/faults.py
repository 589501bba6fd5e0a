"""A proxy that goes wrong as it is told: in front of an S3 server, for tests of what is done about it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedIOBase, BufferedReader
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 64 * 1024
_SLOW_DOWN: Final = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request."""

    refuse: int | None = None
    """Answer with this status, and do not ask the server."""
    saying: bytes | None = None
    """The body of that answer, in the place of ``SlowDown``."""
    late: int | None = None
    """Let the server do it, and answer with this status all the same."""
    delay: float = 0.0
    """Seconds to wait before anything else."""
    cut_request: int | None = None
    """Cut the connection after so many bytes of the request's body."""
    cut_answer: int | None = None
    """Cut the connection after so many bytes of the answer's body."""
    wait_for: threading.Event | None = None
    """Wait until this is set before anything else."""
    hang: bool = False
    """Take the request and never answer, until the proxy ends."""


FINE: Final = Fault()
Readable = BufferedReader | BufferedIOBase
Plan = Callable[[str, str], Fault]
"""Takes method and path (with the query), and says what goes wrong."""
Match = Callable[[str, str], bool]
"""Takes the same, and tells whether a request is meant."""


def fine(_method: str, _path: str) -> Fault:
    """Let everything go well."""
    return FINE


def always(matching: Match, fault: Fault) -> Plan:
    """Let all matching requests go wrong, and all others go well."""
    return lambda method, path: fault if matching(method, path) else FINE


@dataclass
class Proxy:
    """A running proxy. Change `plan` at any time."""

    endpoint: str
    plan: Plan = fine
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    sent: int = 0
    """Bytes of answers' bodies passed on."""
    open_answers: int = 0
    """Answers that are being passed on."""
    ended: threading.Event = field(default_factory=threading.Event)

    def next_ones(self, matching: Match, *faults: Fault) -> None:
        """Let the next matching requests go wrong in turn, and all others go well."""
        left, lock = list(faults), threading.Lock()

        def plan(method: str, path: str) -> Fault:
            with lock:
                return left.pop(0) if left and matching(method, path) else FINE

        self.plan = plan


@contextlib.contextmanager
def proxy(upstream: str, *, mends_ranges: bool = False) -> Iterator[Proxy]:
    """Run a proxy in front of a server for the length of a block."""
    parts = urlsplit(upstream)
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while _relay(state, self.connection, self.rfile, address, mends_ranges=mends_ranges):
                    pass

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    with Listener(("127.0.0.1", 0), Handler) as listener:
        state = Proxy(f"http://127.0.0.1:{listener.server_address[1]}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            listener.shutdown()
            thread.join()


def _relay(state: Proxy, client: socket.socket, given: Readable, address: Any, *, mends_ranges: bool) -> bool:
    """Pass one request on and its answer back; tell whether the connection can take another."""
    head = _head(given)
    if not head:
        return False
    method, path, _ = head[0].decode("latin-1").split(" ", 2)
    state.seen.append((method, path))
    fault = state.plan(method, path)
    time.sleep(fault.delay)
    if fault.wait_for is not None:
        fault.wait_for.wait()
    length = int(_header(head, b"content-length") or 0)
    if fault.hang:
        state.ended.wait()
        return False
    if fault.refuse is not None:
        _drain(given, length)
        return _say(client, fault.refuse, method, fault.saying or _SLOW_DOWN)
    with socket.create_connection(address) as server:
        kept = [line for line in head if not line.lower().startswith((b"connection:", b"expect:"))]
        server.sendall(b"\r\n".join([*kept, b"Connection: close", b"", b""]))
        if _header(head, b"expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not _copy_request(given, server, length, fault.cut_request):
            return False
        with server.makefile("rb") as answer:
            if fault.late is not None:
                answer.read()
                return _say(client, fault.late, method, _SLOW_DOWN)
            return _answer(state, client, answer, fault, method, mends_ranges=mends_ranges)


def _head(given: Readable) -> list[bytes]:
    lines: list[bytes] = []
    while (line := given.readline(65536).rstrip(b"\r\n")) or not lines:
        if not line:
            return []
        lines.append(line)
    return lines


def _header(head: list[bytes], name: bytes) -> bytes | None:
    return next((line.partition(b":")[2].strip() for line in head[1:] if line.lower().startswith(name + b":")), None)


def _drain(given: Readable, length: int) -> None:
    while length > 0 and (piece := given.read(min(_PIECE, length))):
        length -= len(piece)


def _say(client: socket.socket, status: int, method: str, body: bytes) -> bool:
    head = f"HTTP/1.1 {status} Told To\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + (b"" if method == "HEAD" else body))
    return True


def _copy_request(given: Readable, server: socket.socket, length: int, cut: int | None) -> bool:
    left = length if cut is None else min(cut, length)
    while left > 0:
        piece = given.read(min(_PIECE, left))
        if not piece:
            return False
        server.sendall(piece)
        left -= len(piece)
    return cut is None


def _answer(
    state: Proxy, client: socket.socket, answer: Readable, fault: Fault, method: str, *, mends_ranges: bool
) -> bool:
    head = _head(answer)
    if head and head[0].split(b" ")[1] == b"100":
        head = _head(answer)
    if not head:
        return False
    if mends_ranges and _header(head, b"content-range") and head[0].split(b" ")[1] == b"200":
        head[0] = b"HTTP/1.1 206 Partial Content"
    head = [line for line in head if not line.lower().startswith(b"connection:")]
    length = _header(head, b"content-length")
    if length is None:
        head.append(b"Connection: close")
    client.sendall(b"\r\n".join([*head, b"", b""]))
    if method == "HEAD":
        return True
    state.open_answers += 1
    try:
        return _copy_answer(state, client, answer, fault.cut_answer) and length is not None
    finally:
        state.open_answers -= 1


def _copy_answer(state: Proxy, client: socket.socket, answer: Readable, left: int | None) -> bool:
    if left == 0:
        return False
    while piece := answer.read1(_PIECE if left is None else min(_PIECE, left)):
        client.sendall(piece)
        state.sent += len(piece)
        if left is not None:
            left -= len(piece)
            if left <= 0:
                return False
    return True
