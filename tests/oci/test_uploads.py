"""Uploads as clients make them: streamed, monolithic, in chunks, mounted, given up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.oci.wire import ABSENT, MIB, connect_to_each, sha512_of

if TYPE_CHECKING:
    from tests.oci.conftest import World
    from tests.oci.wire import Door
    from tests.servers import Server

DATA = os.urandom(3 * MIB + 17)
DIGEST = content.digest_of(DATA)


def pieces(data: bytes, size: int = 70_001) -> list[bytes]:
    """Cut bytes into pieces."""
    return [data[first : first + size] for first in range(0, len(data), size)]


def fetched(door: Door, repository: str, digest: str) -> bytes:
    """Return a blob's bytes."""
    answer = door("GET", f"/v2/{repository}/blobs/{digest}")
    assert answer.status == 200, answer.data
    return answer.data


def test_one_streamed_patch(door: Door, repository: str) -> None:
    """Docker's way: one PATCH of unknown length, then PUT without a body."""
    upload = door.begin(repository)

    sent = door("PATCH", upload, body=pieces(DATA))
    done = door.finish(sent.location, DIGEST)

    assert (sent.status, sent.headers["Range"]) == (202, f"0-{len(DATA) - 1}")
    assert done.status == 201
    assert done.headers["Docker-Content-Digest"] == DIGEST
    assert fetched(door, repository, DIGEST) == DATA
    assert door("GET", done.location).data == DATA


def test_one_streamed_put(door: Door, repository: str) -> None:
    """Containerd's way: the whole body with the PUT, of known or unknown length."""
    for body in (DATA, pieces(DATA)):
        done = door("PUT", f"{door.begin(repository)}?digest={DIGEST}", body=body)
        assert done.status == 201

    assert fetched(door, repository, DIGEST) == DATA


def test_one_post(door: Door, repository: str) -> None:
    """The whole blob with the POST that begins the upload."""
    done = door("POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", body=pieces(DATA))

    assert (done.status, done.location) == (201, f"/v2/{repository}/blobs/{DIGEST}")
    assert fetched(door, repository, DIGEST) == DATA


def test_chunks_in_order(door: Door, repository: str) -> None:
    """Chunks with Content-Range, each answered with how far the upload has come, the last one with the PUT."""
    upload, first = door.begin(repository), 0
    *chunks, last = pieces(DATA, MIB)

    for chunk in chunks:
        sent = door.patch(upload, chunk, Content_Range=f"{first}-{first + len(chunk) - 1}")
        first += len(chunk)
        assert (sent.status, sent.headers["Range"], sent.location) == (202, f"0-{first - 1}", upload)
        told = door("GET", upload)
        assert (told.status, told.headers["Range"], told.location) == (204, f"0-{first - 1}", upload)
    done = door(
        "PUT",
        f"{upload}?digest={DIGEST}",
        headers={"Content-Range": f"{first}-{first + len(last) - 1}"},
        body=last,
    )

    assert done.status == 201
    assert fetched(door, repository, DIGEST) == DATA


@pytest.mark.parametrize("given", ["0-4", "4-8", "6-10", "1000000-1000004"])
def test_a_chunk_out_of_order(door: Door, repository: str, given: str) -> None:
    """A chunk that does not begin at the end is 416, in ECR's words, with where to go on; and then one does."""
    upload = door.begin(repository)
    door.patch(upload, b"first", Content_Range="0-4")

    refused = door.patch(upload, b"wrong", Content_Range=given)
    refused_at_the_end = door("PUT", f"{upload}?digest={ABSENT}", headers={"Content-Range": given}, body=b"wrong")

    for answer in (refused, refused_at_the_end):
        assert (answer.status, answer.code) == (416, "BLOB_UPLOAD_INVALID")
        assert answer.message == f"First byte of the layer part is {given.partition('-')[0]} instead of 5"
        assert (answer.location, answer.headers["Range"]) == (upload, "0-4")
    assert door.patch(upload, b"right", Content_Range="5-9").headers["Range"] == "0-9"
    assert door.finish(upload, content.digest_of(b"firstright")).status == 201


@pytest.mark.parametrize("given", ["0-9", "0-3", "0-0", "4-0", "-5", "0-", "a-b", "bytes */5", "0-4, 5-9", "٠-٤"])
def test_a_range_that_lies(door: Door, repository: str, given: str) -> None:
    """A Content-Range that is not the length of what came is refused, and nothing of it counts."""
    upload = door.begin(repository)

    refused = door.patch(upload, b"hello", Content_Range=given.encode().decode("latin-1"))

    assert refused.status == 400
    assert door("GET", upload).headers["Range"] == "0-0"
    assert door.finish(upload, content.digest_of(b"again"), b"again").status == 201


def test_an_empty_blob(door: Door, repository: str) -> None:
    """The blob of no bytes can be pushed in every way, and pulled."""
    digest = content.digest_of(b"")

    posted = door("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body=b"")
    put = door.finish(door.begin(repository), digest)
    upload = door.begin(repository)
    patched = door.patch(upload, b"")
    after = door.finish(upload, digest)

    assert [posted.status, put.status, patched.status, after.status] == [201, 201, 202, 201]
    assert fetched(door, repository, digest) == b""
    assert door("HEAD", f"/v2/{repository}/blobs/{digest}").headers["Content-Length"] == "0"


def test_another_algorithm(door: Door, repository: str) -> None:
    """A blob can be pushed and pulled under its SHA-512, whatever the way."""
    digest = sha512_of(DATA)

    posted = door("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body=DATA)
    upload = door("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm=sha512", body=b"").location
    door.patch(upload, DATA[:MIB])
    door.patch(upload, DATA[MIB:])
    done = door.finish(upload, digest)

    assert [posted.status, done.status] == [201, 201]
    assert done.headers["Docker-Content-Digest"] == digest
    assert fetched(door, repository, digest) == DATA


@pytest.mark.parametrize(
    "wrong",
    [content.digest_of(b"other"), ABSENT, sha512_of(b"other"), "sha256:" + "A" * 64, "md5:" + "0" * 32, "", "latest"],
)
def test_a_wrong_digest_leaves_the_upload(door: Door, repository: str, wrong: str) -> None:
    """A digest that is not that of the bytes is DIGEST_INVALID, and the upload can be completed after it."""
    upload = door.begin(repository)
    door.patch(upload, b"data")

    refused = door.finish(upload, wrong)
    with_more = door.finish(upload, content.digest_of(b"data"), b"more")

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert (with_more.status, with_more.code) == (400, "DIGEST_INVALID")
    assert door("GET", upload).headers["Range"] == "0-3"
    assert door.finish(upload, content.digest_of(b"data")).status == 201


def test_a_wrong_digest_stores_nothing(door: Door, repository: str) -> None:
    """Neither the digest that was claimed nor the one that the bytes have can be pulled after a refusal."""
    door("POST", f"/v2/{repository}/blobs/uploads/?digest={ABSENT}", body=b"refused")

    for digest in (ABSENT, content.digest_of(b"refused")):
        assert door("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


def test_an_upload_is_completed_once(door: Door, repository: str) -> None:
    """A completed upload is unknown from then on."""
    upload = door.begin(repository)
    assert door.finish(upload, content.digest_of(b"x"), b"x").status == 201

    again = [
        door.finish(upload, content.digest_of(b"x"), b"x"),
        door.patch(upload, b"x"),
        door("GET", upload),
        door("DELETE", upload),
    ]

    assert [(answer.status, answer.code) for answer in again] == [(404, "BLOB_UPLOAD_UNKNOWN")] * 4


def test_a_cancelled_upload_is_gone(door: Door, repository: str) -> None:
    """A cancelled upload is unknown from then on."""
    upload = door.begin(repository)
    door.patch(upload, b"x")

    assert door("DELETE", upload).status == 204
    assert [door(m, upload).status for m in ("GET", "DELETE")] == [404, 404]
    assert door.patch(upload, b"x").status == 404
    assert door.finish(upload, content.digest_of(b"x")).status == 404


def test_an_upload_belongs_to_its_repository(door: Door, ecr: Any, world: World) -> None:
    """The id of an upload is of no use in another repository."""
    ecr.create_repository(repositoryName=f"{world.repo}-2")
    elsewhere = f"/v2/{world.repo}-2/blobs/uploads/{world.upload}"

    assert [door(m, elsewhere).status for m in ("GET", "DELETE")] == [404, 404]
    assert door.patch(elsewhere, b"x").status == 404
    assert door.finish(elsewhere, content.digest_of(b"")).status == 404
    assert door("GET", f"/v2/{world.repo}/blobs/uploads/{world.upload}").status == 204


def test_the_same_blob_twice(door: Door, repository: str) -> None:
    """To push a blob that is there succeeds."""
    assert {door.blob(repository, b"twice") for _ in range(2)} == {content.digest_of(b"twice")}


def test_every_worker_goes_on(server: Server, door: Door, repository: str) -> None:
    """Chunks of one upload that go to the two workers in turn make the blob, whichever completes it."""
    connections = list(connect_to_each(server, door).values())
    upload = door.begin(repository)

    for number, chunk in enumerate(pieces(DATA, MIB // 2)):
        assert door("PATCH", upload, body=chunk, on=connections[number % 2]).status == 202
        assert door("GET", upload, on=connections[(number + 1) % 2]).headers["Range"].startswith("0-")
    done = door("PUT", f"{upload}?digest={DIGEST}", body=b"", on=connections[1])

    assert done.status == 201
    for connection in connections:
        assert door("GET", f"/v2/{repository}/blobs/{DIGEST}", on=connection).data == DATA
        connection.close()


# --- Mounts --------------------------------------------------------------------------


@pytest.fixture
def other(ecr: Any, name: str) -> str:
    """A second repository, empty."""
    ecr.create_repository(repositoryName=f"{name}/other")
    return f"{name}/other"


def test_a_mount_needs_no_bytes(door: Door, world: World, other: str) -> None:
    """A blob of another repository is linked, and served from there as the same bytes."""
    mounted = door("POST", f"/v2/{other}/blobs/uploads/?mount={world.blob}&from={world.repo}", body=b"")

    assert (mounted.status, mounted.location) == (201, f"/v2/{other}/blobs/{world.blob}")
    assert fetched(door, other, world.blob) == world.pushed.layers[0]


def test_a_mount_may_leave_its_source_open(door: Door, world: World, other: str) -> None:
    """Without ``from`` any repository of the registry that has the blob will do."""
    mounted = door("POST", f"/v2/{other}/blobs/uploads/?mount={world.blob}", body=b"")

    assert mounted.status == 201
    assert fetched(door, other, world.blob) == world.pushed.layers[0]


@pytest.mark.parametrize(
    "query",
    [
        f"mount={ABSENT}&from={{repo}}",
        "mount={blob}&from=no/such",
        "mount={blob}&from={other}",
        "mount={blob}&from=..",
        "mount={manifest}&from={repo}",
        "mount=nonsense&from={repo}",
        "mount=&from=",
        f"mount={ABSENT}",
        "from={repo}",
    ],
)
def test_a_mount_that_cannot_be_is_an_upload(door: Door, world: World, other: str, query: str) -> None:
    """Where there is nothing to mount, an ordinary upload begins and works."""
    asked = query.format(repo=world.repo, blob=world.blob, manifest=world.manifest, other=other)

    begun = door("POST", f"/v2/{other}/blobs/uploads/?{asked}", body=b"")

    assert (begun.status, begun.headers["Range"]) == (202, "0-0")
    assert door("HEAD", f"/v2/{other}/blobs/{world.blob}").status == 404
    assert door.finish(begun.location, content.digest_of(b"data"), b"data").status == 201
