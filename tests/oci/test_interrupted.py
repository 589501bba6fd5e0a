"""Bodies that stop half-way, workers and servers that die: what was answered stays, what was not never was."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests import content, servers
from tests.oci.wire import MIB, Door, connect_to_each, cut_off, until, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.oci.wire import Answer
    from tests.servers import Server

DATA = os.urandom(5 * MIB)
DIGEST = content.digest_of(DATA)


def when_free(door: Door, method: str, path: str, body: bytes) -> Answer:
    """Send a request as soon as the writer that was cut off has let go."""
    answers: list[Answer] = []

    def sent() -> bool:
        answers.append(door(method, path, body=body))
        return answers[-1].status != 409

    until(sent)
    return answers[-1]


@pytest.mark.parametrize("sent", [0, 1, MIB - 1, MIB, 3 * MIB + 5])
def test_a_patch_cut_off(door: Door, repository: str, sent: int) -> None:
    """A PATCH that stops half-way counts for nothing; the next one goes on from before it."""
    upload = door.begin(repository)
    door.patch(upload, b"before")

    cut_off(door, "PATCH", upload, os.urandom(sent), announced=4 * MIB)

    assert door("GET", upload).headers["Range"] == "0-5"
    assert when_free(door, "PATCH", upload, b" after").headers["Range"] == "0-11"
    done = door.finish(upload, content.digest_of(b"before after"))
    assert door("GET", done.location).data == b"before after"


@pytest.mark.parametrize("sent", [0, 1, 3 * MIB + 5])
def test_a_put_cut_off(door: Door, repository: str, sent: int) -> None:
    """A completing PUT that stops half-way completes nothing, and can be made again."""
    upload = door.begin(repository)
    door.patch(upload, DATA[:MIB])

    cut_off(door, "PUT", f"{upload}?digest={DIGEST}", os.urandom(sent), announced=4 * MIB)

    assert door("HEAD", f"/v2/{repository}/blobs/{DIGEST}").status == 404
    assert door("GET", upload).headers["Range"] == f"0-{MIB - 1}"
    assert when_free(door, "PUT", f"{upload}?digest={DIGEST}", DATA[MIB:]).status == 201
    assert door("GET", f"/v2/{repository}/blobs/{DIGEST}").data == DATA


def test_a_post_cut_off(door: Door, repository: str) -> None:
    """A single POST that stops half-way stores nothing."""
    cut_off(door, "POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", DATA[: 2 * MIB], announced=len(DATA))

    assert door("HEAD", f"/v2/{repository}/blobs/{DIGEST}").status == 404
    assert door.blob(repository, DATA) == DIGEST


def test_a_chunked_body_cut_off(door: Door, repository: str) -> None:
    """A chunked body without its last chunk counts for nothing."""
    upload = door.begin(repository)
    connection = door.connect()
    connection.putrequest("PATCH", upload)
    for name, value in door.with_credential({"Transfer-Encoding": "chunked"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"%x\r\n%b\r\n" % (2 * MIB, DATA[: 2 * MIB]))
    connection.close()

    assert door("GET", upload).headers["Range"] == "0-0"
    assert when_free(door, "PATCH", upload, b"whole").headers["Range"] == "0-4"
    assert door.finish(upload, content.digest_of(b"whole")).status == 201


@pytest.mark.parametrize("share", [0, 1, 2])
def test_a_manifest_cut_off(door: Door, repository: str, share: int) -> None:
    """A manifest that stops half-way is no manifest, though its first half may be one."""
    image = door.image(repository)
    other = content.image(*image.layers)
    door.blob(repository, other.config)
    sent = [b"", other.manifest[:100], other.manifest][share]

    cut_off(
        door,
        "PUT",
        f"/v2/{repository}/manifests/v1",
        sent,
        announced=len(other.manifest) + 1,
        headers={"Content-Type": other.media_type},
    )

    assert door("GET", f"/v2/{repository}/manifests/v1").status == 404
    assert door("GET", f"/v2/{repository}/manifests/{other.digest}").status == 404
    assert door.manifest(repository, "v1", other.manifest, other.media_type).status == 201


def test_a_pull_cut_off_goes_on(door: Door, repository: str) -> None:
    """A client that lost its connection in the middle of a layer gets the rest with a range."""
    door.blob(repository, DATA)
    connection = door.connect()
    connection.request("GET", f"/v2/{repository}/blobs/{DIGEST}", headers=door.with_credential())
    received = connection.getresponse().read(MIB)
    connection.close()

    rest = door("GET", f"/v2/{repository}/blobs/{DIGEST}", headers={"Range": f"bytes={len(received)}-"})

    assert rest.status == 206
    assert received + rest.data == DATA


# --- Processes that die -----------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may harm."""
    with servers.running(tmp_path) as started:
        yield started


def door_of(server: Server) -> Door:
    """Return the door of a server."""
    return Door(server.port, f"Basic {server.token()}")


def test_a_worker_dies_between_chunks(own: Server) -> None:
    """When the worker that took the first chunk is killed, another one takes the second and completes the blob."""
    door = door_of(own)
    own.client().create_repository(repositoryName="some/app")
    upload = door.begin("some/app")
    connections = connect_to_each(own, door)
    (victim, first), (_, second) = connections.items()
    assert door("PATCH", upload, body=DATA[: 2 * MIB], on=first).status == 202

    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in workers(own))

    assert door("GET", upload, on=second).headers["Range"] == f"0-{2 * MIB - 1}"
    assert door("PATCH", upload, body=DATA[2 * MIB :], on=second).status == 202
    assert door("PUT", f"{upload}?digest={DIGEST}", body=b"", on=second).status == 201
    assert door("GET", f"/v2/some/app/blobs/{DIGEST}", on=second).data == DATA
    for connection in connections.values():
        connection.close()


def test_a_worker_dies_within_a_chunk(own: Server) -> None:
    """When a worker is killed in the middle of a chunk, the upload stands before it and its lock is free."""
    door = door_of(own)
    own.client().create_repository(repositoryName="some/app")
    upload = door.begin("some/app")
    connections = connect_to_each(own, door)
    (victim, first), (_, second) = connections.items()
    first.putrequest("PATCH", upload)
    for name, value in door.with_credential({"Content-Length": str(len(DATA))}).items():
        first.putheader(name, value)
    first.endheaders()
    first.send(DATA[: 3 * MIB])
    upload_id = upload.rpartition("/")[2]
    file = own.data / "blobs" / upload_id[:2] / upload_id
    until(lambda: file.exists() and file.stat().st_size >= 2 * MIB)

    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in workers(own))

    assert door("GET", upload, on=second).headers["Range"] == "0-0"
    assert door("PUT", f"{upload}?digest={DIGEST}", body=DATA, on=second).status == 201
    assert door("GET", f"/v2/some/app/blobs/{DIGEST}", on=second).data == DATA
    for connection in connections.values():
        connection.close()


def test_the_server_dies_and_comes_back(own: Server, tmp_path: Path) -> None:
    """After the whole server was killed and started again, all that it had answered is there, and uploads go on."""
    door = door_of(own)
    own.client().create_repository(repositoryName="some/app")
    image = door.image("some/app", "v1")
    upload = door.begin("some/app")
    door.patch(upload, DATA[: 2 * MIB])
    doomed = workers(own)

    own.process.kill()
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    own.stop(signal.SIGKILL)
    with servers.running(tmp_path) as again:
        door = Door(again.port, door.authorization)

        assert door("GET", "/v2/some/app/manifests/v1").data == image.manifest
        for part in image.layers:
            assert door("GET", f"/v2/some/app/blobs/{content.digest_of(part)}").data == part
        assert door("GET", upload).headers["Range"] == f"0-{2 * MIB - 1}"
        assert door.finish(upload, DIGEST, DATA[2 * MIB :]).status == 201
        assert door("GET", f"/v2/some/app/blobs/{DIGEST}").data == DATA
