"""
The load client: HTTP/1.1 over one connection that is kept, with as little between caller and socket as can be.

Every registry is asked by the same calls in the same way, and an upload's
``Location`` is followed whole, with its query. No thread may share a connection.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.blobs import Blob

MIB: Final = 1024 * 1024
_PATIENCE: Final = 300
_CHUNK: Final = 32 * 1024
"""Bytes of a chunk, as Go's clients send them."""
_TOGETHER: Final = 16
"""Chunks given to the system at once."""


class Refused(Exception):
    """A server answered otherwise than it should: then there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes = b""
    received: int = 0
    """Bytes of the body, also where it was not kept."""

    def json(self) -> Any:
        """Return the body decoded."""
        return json.loads(self.body)


@dataclass(slots=True)
class Connection:
    """A connection to a server, opened when it is first needed."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request."""
    _socket: socket.socket | None = None
    _rest: bytearray = field(default_factory=bytearray)
    _buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(MIB)))

    def __enter__(self) -> Self:
        """Give the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._rest.clear()

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Blob = b"",
        chunked: bool = False,
        into: Callable[[memoryview], object] | None = None,
    ) -> Answer:
        """Send a request and return the answer; its body is kept, or given to ``into`` piece by piece and counted."""
        given = {"Host": f"{self.host}:{self.port}", **self.headers, **(headers or {})}
        if chunked:
            given["Transfer-Encoding"] = "chunked"
        elif body or method not in {"GET", "HEAD"}:
            given["Content-Length"] = str(len(body))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given.items())
        connection = self._connected()
        try:
            self._send(connection, f"{head}\r\n".encode(), body, chunked=chunked)
            answer = self._answer(connection, method, into)
        except OSError:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection((self.host, self.port), timeout=_PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    @staticmethod
    def _send(connection: socket.socket, head: bytes, body: bytes | Blob, *, chunked: bool) -> None:
        if isinstance(body, bytes):
            connection.sendall(head + body)
            return
        connection.sendall(head)
        for piece in body.pieces():
            if chunked:
                _send_chunks(connection, piece)
            else:
                connection.sendall(piece)
        if chunked:
            connection.sendall(b"0\r\n\r\n")

    def _answer(self, connection: socket.socket, method: str, into: Callable[[memoryview], object] | None) -> Answer:
        status, headers = 100, dict[str, str]()
        while status == 100:  # noqa: PLR2004 (Continue: the answer comes after it)
            status, headers = self._head(connection)
        if method == "HEAD" or status in {204, 304}:
            return Answer(status, headers)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks(connection)
            return Answer(status, headers, body, len(body))
        length = int(headers.get("content-length", 0))
        if into is None:
            return Answer(status, headers, self._exactly(connection, length), length)
        self._pass(connection, length, into)
        return Answer(status, headers, b"", length)

    def _head(self, connection: socket.socket) -> tuple[int, dict[str, str]]:
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._more(connection)
        first, *lines = self._rest[:end].decode("latin-1").split("\r\n")
        del self._rest[: end + 4]
        named = (line.partition(":") for line in lines)
        return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in named}

    def _more(self, connection: socket.socket) -> None:
        count = connection.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        self._rest += self._buffer[:count]

    def _exactly(self, connection: socket.socket, length: int) -> bytes:
        while len(self._rest) < length:
            self._more(connection)
        body = bytes(self._rest[:length])
        del self._rest[:length]
        return body

    def _pass(self, connection: socket.socket, length: int, into: Callable[[memoryview], object]) -> None:
        early = bytes(self._rest[:length])
        del self._rest[:length]
        into(memoryview(early))
        left = length - len(early)
        while left:
            count = connection.recv_into(self._buffer, min(left, MIB))
            if not count:
                raise ConnectionError("the server closed the connection")
            into(self._buffer[:count])
            left -= count

    def _chunks(self, connection: socket.socket) -> bytes:
        body = bytearray()
        while True:
            while (end := self._rest.find(b"\r\n")) < 0:
                self._more(connection)
            length = int(bytes(self._rest[:end]).split(b";")[0], 16)
            del self._rest[: end + 2]
            body += self._exactly(connection, length + 2)[:-2]
            if not length:
                return bytes(body)


def _send_chunks(connection: socket.socket, piece: memoryview) -> None:
    parts: list[bytes | memoryview] = []
    for begin in range(0, len(piece), _CHUNK):
        chunk = piece[begin : begin + _CHUNK]
        parts += [b"%x\r\n" % len(chunk), chunk, b"\r\n"]
        if len(parts) >= 3 * _TOGETHER:
            _send_all(connection, parts)
            parts = []
    _send_all(connection, parts)


def _send_all(connection: socket.socket, parts: Iterable[bytes | memoryview]) -> None:
    """Send buffers in one call where the system takes them whole."""
    views = [memoryview(part) for part in parts]
    sent = connection.sendmsg(views) if views else 0
    for view in views:
        if sent >= len(view):
            sent -= len(view)
        else:
            connection.sendall(view[sent:])
            sent = 0


def nowhere(_piece: memoryview) -> None:
    """Take bytes that nobody needs."""


def require(answer: Answer, *statuses: int) -> Answer:
    """
    Return an answer that has one of these statuses.

    :raises Refused: it has another
    """
    if answer.status not in statuses:
        raise Refused(f"status {answer.status}, expected {statuses}: {answer.body[:500]!r}")
    return answer


def following(location: str) -> str:
    """Return what to ask for at a ``Location``: its path and its query."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def completing(location: str, digest: str) -> str:
    """Return where an upload is completed, whatever its address has in its query already."""
    target = following(location)
    return f"{target}{'&' if '?' in target else '?'}digest={digest}"
