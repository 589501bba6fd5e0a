from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks import registry
from benchmarks.blobs import Blob, digest_of, image
from benchmarks.client import Connection, Refused, completing, following, require
from benchmarks.rush import complete, rush

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

LOCATIONS = [
    ("/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1?digest=sha256:0"),
    ("/v2/a/blobs/uploads/1?_state=x%3D", "/v2/a/blobs/uploads/1?_state=x%3D&digest=sha256:0"),
    ("http://host:5000/v2/a/blobs/uploads/1?_state=x", "/v2/a/blobs/uploads/1?_state=x&digest=sha256:0"),
]


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A connection of the load client to a real server."""
    headers = {"Authorization": f"Basic {server.token()}"}
    with Connection("127.0.0.1", server.port, headers) as opened:
        yield opened


def test_an_image_is_pushed_and_pulled(connection: Connection, repository: str) -> None:
    """What the client pushes is what it pulls again: a layer longer than one read, a config, a manifest."""
    pushed = image(3_000_000, 32)
    registry.push_image(connection, repository, "v1", pushed)
    assert registry.pull_image(connection, repository, "v1") == 3_000_032 + len(pushed.config)
    registry.verify_blob(connection, repository, pushed.layers[0].digest)


def test_a_blob_is_streamed(connection: Connection, repository: str) -> None:
    """Chunks of no announced length arrive as the bytes that they hold."""
    blob = Blob(2_000_001)
    registry.push_blob(connection, repository, blob, streamed=True)
    registry.verify_blob(connection, repository, blob.digest)


def test_other_bytes_are_noticed(connection: Connection, repository: str) -> None:
    """A push under the digest of other bytes is refused, and the client says so."""
    begun = require(connection.request("POST", f"/v2/{repository}/blobs/uploads/"), 202)
    wrong = connection.request("PUT", completing(begun.headers["location"], digest_of(b"other")), body=b"bytes")
    with pytest.raises(Refused, match="status 4"):
        require(wrong, 201)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_rush_is_answered(server: Server, repository: str, connection: Connection, method: str) -> None:
    """Requests that were made before are answered on several connections, with a body and without one."""
    registry.push_image(connection, repository, "v1", image(32))
    token = connection.headers["Authorization"]
    head = f"{method} /v2/{repository}/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"
    found = rush(("127.0.0.1", server.port), [head.encode()], 4, 0.1, head=method == "HEAD")
    assert len(found.latencies) >= 4


def test_a_refused_rush_ends(server: Server) -> None:
    """Answers that are not of success are not counted as requests a second."""
    with pytest.raises(Refused):
        rush(("127.0.0.1", server.port), [b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"], 1, 0.1)


@pytest.mark.parametrize(("location", "target"), LOCATIONS)
def test_a_location_is_followed_whole(location: str, target: str) -> None:
    """The query of a ``Location`` stays, and the digest is added to it."""
    assert completing(location, "sha256:0") == target
    assert target.startswith(following(location))


@pytest.mark.parametrize(
    ("data", "head", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", False, True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", False, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", True, True),
        (b"HTTP/1.1 200 OK\r\nContent-Len", True, False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", False, False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", False, True),
    ],
)
def test_the_end_of_an_answer_is_found(data: bytes, head: bool, whole: bool) -> None:
    """An answer is whole when the length that it announces has come, or its last chunk."""
    assert complete(data, head=head) is whole


def test_blobs_are_unlike_each_other() -> None:
    """Two blobs of one length have different digests, and each the digest of its bytes."""
    one, other = Blob(1_500_000), Blob(1_500_000)
    assert one.digest == digest_of(b"".join(one.pieces())) != other.digest
