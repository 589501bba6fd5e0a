"""The distribution protocol from outside: requests sent exactly as written, on connections that a test can hold."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.servers import Server

MIB = 1024 * 1024
ABSENT = "sha256:" + "0" * 64
"""The digest of nothing that exists."""
NO_UPLOAD = "00000000-0000-4000-8000-000000000000"
"""The id of no upload."""
_PATIENCE = 60


def sha512_of(data: bytes) -> str:
    """Return the SHA-512 digest of bytes."""
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def until(happened: Callable[[], object]) -> None:
    """Ask again and again, until the thing itself has happened."""
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{happened} never came true"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    data: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.data)

    @property
    def code(self) -> str | None:
        """The error code, or None where the body is no error."""
        if self.status < 400 or not self.data:
            return None
        (error,) = self.json()["errors"]
        assert set(error) == {"code", "message"}
        return str(error["code"])

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self.json()["errors"][0]["message"])

    @property
    def location(self) -> str:
        """Where the answer sends the client."""
        return str(self.headers["Location"])

    @property
    def next(self) -> str | None:
        """The path of the next page (RFC 8288)."""
        link = self.headers["Link"]
        if link is None:
            return None
        target, _, parameters = link.partition(">")
        assert (target[0], parameters) == ("<", '; rel="next"')
        return str(target[1:])


def follow(method: str, answer: Answer, headers: Mapping[str, str] | None = None) -> Answer:
    """Go where a blob is, as clients do: with the headers of the request, and without its credential."""
    assert method == "GET"
    url = urlsplit(answer.location)
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "authorization"}
    connection = http.client.HTTPConnection(url.netloc, timeout=_PATIENCE)
    try:
        there = read(send(connection, method, f"{url.path}?{url.query}", headers=kept))
    finally:
        connection.close()
    there.headers["Docker-Content-Digest"] = answer.headers["Docker-Content-Digest"]
    return there


@dataclass(frozen=True, slots=True)
class Door:
    """The distribution door of a server, with a credential to send or none; each request on a new connection."""

    port: int
    authorization: str | None = None

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        on: http.client.HTTPConnection | None = None,
    ) -> Answer:
        """Send a request and return its answer; a body of several pieces goes chunked."""
        connection = on or self.connect()
        try:
            answer = read(send(connection, method, path, headers=self.with_credential(headers), body=body))
        finally:
            if on is None:
                connection.close()
        return follow(method, answer, headers) if answer.status == 307 else answer

    def with_credential(self, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the headers with the credential added."""
        own = {} if self.authorization is None else {"Authorization": self.authorization}
        return own | dict(headers or {})

    def but(self, authorization: str | None) -> Door:
        """Return the same door with another credential."""
        return Door(self.port, authorization)

    # --- The steps that most tests begin with ---

    def begin(self, repository: str) -> str:
        """Open an upload and return its address."""
        begun = self("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
        assert begun.status == 202, begun.data
        return begun.location

    def patch(self, upload: str, data: bytes, **headers: str) -> Answer:
        """Append to an upload."""
        return self("PATCH", upload, body=data, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def finish(self, upload: str, digest: str, data: bytes | None = None) -> Answer:
        """Complete an upload."""
        return self("PUT", f"{upload}?digest={digest}", body=data or b"")

    def blob(self, repository: str, data: bytes) -> str:
        """Push a blob in one request and return its digest."""
        digest = content.digest_of(data)
        done = self("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body=data)
        assert done.status == 201, done.data
        return digest

    def manifest(self, repository: str, reference: str, body: bytes, media_type: str) -> Answer:
        """Put a manifest."""
        return self("PUT", f"/v2/{repository}/manifests/{reference}", headers={"Content-Type": media_type}, body=body)

    def image(self, repository: str, *tags: str, pushed: content.Image | None = None) -> content.Image:
        """Push an image with its blobs, under tags or by its digest."""
        pushed = pushed or content.image()
        for part in (pushed.config, *pushed.layers):
            self.blob(repository, part)
        for reference in tags or (pushed.digest,):
            done = self.manifest(repository, reference, pushed.manifest, pushed.media_type)
            assert done.status == 201, done.data
        return pushed


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] | None = None,
) -> http.client.HTTPConnection:
    """Send a request whose path is left as it is: clients would tidy ``..`` away."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if isinstance(body, bytes):
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
    elif body is None:
        connection.endheaders()
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(body, encode_chunked=True)
    return connection


def read(connection: http.client.HTTPConnection) -> Answer:
    """Return the answer that a connection is waiting for."""
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def cut_off(
    door: Door, method: str, path: str, sent: bytes, announced: int, headers: Mapping[str, str] | None = None
) -> None:
    """Announce a body, send less of it, and go away; return when the server has let go of the connection too."""
    connection = door.connect()
    length = {"Content-Length": str(announced)}
    send(connection, method, path, headers=door.with_credential({**(headers or {}), **length}))
    connection.send(sent)
    connection.sock.shutdown(socket.SHUT_WR)
    while connection.sock.recv(65536):
        pass
    connection.close()


# --- Which worker --------------------------------------------------------------------


def workers(server: Server) -> set[int]:
    """Return the process ids of the server's workers."""
    children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    listening = _listening(server.port)
    pids = {int(pid) for file in children for pid in file.read_text().split()}
    return {pid for pid in pids if _sockets(pid) & listening}


def worker_of(server: Server, connection: http.client.HTTPConnection) -> int:
    """Return the worker that has taken a connection (after its first answer)."""
    ours = f":{connection.sock.getsockname()[1]:04X}"
    (inode,) = [row[9] for row in _tcp() if row[2].endswith(ours) and row[1].endswith(f":{server.port:04X}")]
    (pid,) = [pid for pid in workers(server) if inode in _sockets(pid)]
    return pid


def connect_to_each(server: Server, door: Door) -> dict[int, http.client.HTTPConnection]:
    """Return a connection to every worker, opening new ones until each has taken one."""
    found: dict[int, http.client.HTTPConnection] = {}

    def complete() -> bool:
        connection = door.connect()
        assert door("GET", "/v2/", on=connection).status == 200
        pid = worker_of(server, connection)
        if pid in found:
            connection.close()
        found.setdefault(pid, connection)
        return len(found) == 2

    until(complete)
    return found


def _tcp() -> list[list[str]]:
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def _listening(port: int) -> set[str]:
    return {row[9] for row in _tcp() if row[1].endswith(f":{port:04X}") and row[3] == "0A"}


def _sockets(pid: int) -> set[str]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                found.add(os.readlink(entry.path).removeprefix("socket:[").removesuffix("]"))
            except FileNotFoundError:
                continue
    except FileNotFoundError:
        return set()
    return found
