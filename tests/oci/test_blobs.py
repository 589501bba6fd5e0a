"""Blobs on their way out: ranges, conditions, and who may see them."""

from __future__ import annotations

import email
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.oci.wire import ABSENT, sha512_of

if TYPE_CHECKING:
    from tests.oci.conftest import World
    from tests.oci.wire import Door

DATA = os.urandom(200_000)
LAST = len(DATA) - 1


@pytest.fixture
def blob(door: Door, repository: str) -> str:
    """The path of a blob."""
    return f"/v2/{repository}/blobs/{door.blob(repository, DATA)}"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=1000-", 1000, LAST),
        ("bytes=-5", LAST - 4, LAST),
        (f"bytes={LAST}-", LAST, LAST),
        (f"bytes={LAST}-{LAST + 100}", LAST, LAST),
        ("bytes=-999999999", 0, LAST),
        (f"bytes=5-{10**17}", 5, LAST),
        ("Bytes=7-8", 7, 8),
        (f"bytes=7-8, {LAST + 1}-", 7, 8),
    ],
)
def test_one_range(door: Door, blob: str, asked: str, first: int, last: int) -> None:
    """A range that begins within the blob is served as 206 with where it lies."""
    answer = door("GET", blob, headers={"Range": asked})

    assert answer.status == 206
    assert answer.data == DATA[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert int(answer.headers["Content-Length"]) == last + 1 - first


def test_several_ranges(door: Door, blob: str) -> None:
    """Several ranges come as one body of several parts, each with where it lies."""
    answer = door("GET", blob, headers={"Range": "bytes=0-9, 100-109,-5"})

    head = b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n"
    parts: Any = email.message_from_bytes(head + answer.data).get_payload()
    assert answer.status == 206
    assert isinstance(parts, list)
    found = {str(part["Content-Range"]) for part in parts}
    assert found == {
        f"bytes 0-9/{len(DATA)}",
        f"bytes 100-109/{len(DATA)}",
        f"bytes {LAST - 4}-{LAST}/{len(DATA)}",
    }
    for piece in (DATA[:10], DATA[100:110], DATA[-5:]):
        assert piece in answer.data
    assert int(answer.headers["Content-Length"]) == len(answer.data)


@pytest.mark.parametrize("asked", [f"bytes={LAST + 1}-", "bytes=999999999-", "bytes=10-5", "bytes=-0"])
def test_a_range_that_cannot_be(door: Door, blob: str, asked: str) -> None:
    """A range beyond the blob, or turned round, is 416 with the blob's length."""
    answer = door("GET", blob, headers={"Range": asked})

    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=0-1",
        "0-9",
        "bytes= 7-8",
        "bytes=0-9,x",
        "",
        "bytes=" + "0-1," * 200 + "0-1",
    ],
)
def test_a_range_that_says_nothing(door: Door, blob: str, asked: str) -> None:
    """A Range header that cannot be read, or of another unit, is ignored (RFC 9110, 14.2)."""
    answer = door("GET", blob, headers={"Range": asked})

    assert (answer.status, answer.data) == (200, DATA)


def test_a_range_of_something_else(door: Door, blob: str) -> None:
    """A range that cannot be is ignored too, if it was meant for another content."""
    answer = door("GET", blob, headers={"Range": f"bytes={LAST + 1}-", "If-Range": '"another"'})

    assert (answer.status, answer.data) == (200, DATA)


def test_a_range_of_what_it_began_with(door: Door, blob: str) -> None:
    """With If-Range the part comes only if the blob is still the one named, else the whole."""
    tag = door("HEAD", blob).headers["ETag"]
    cases = {tag: 206, '"another"': 200, f"W/{tag}": 200, "Thu, 01 Jan 1970 00:00:00 GMT": 200}

    for given, status in cases.items():
        answer = door("GET", blob, headers={"Range": "bytes=0-9", "If-Range": given})
        assert (answer.status, answer.data) == (status, DATA[:10] if status == 206 else DATA)


def test_head_knows_no_ranges(door: Door, blob: str) -> None:
    """A Range on HEAD is ignored (RFC 9110, 14.2)."""
    answer = door("HEAD", blob, headers={"Range": "bytes=0-9"})

    assert (answer.status, answer.headers["Content-Length"], answer.data) == (200, str(len(DATA)), b"")


def test_an_empty_blob_has_no_ranges(door: Door, repository: str) -> None:
    """No range of an empty blob can be satisfied; the whole of it can be had."""
    path = f"/v2/{repository}/blobs/{door.blob(repository, b'')}"

    assert door("GET", path, headers={"Range": "bytes=0-"}).status == 416
    assert (door("GET", path).status, door("GET", path).data) == (200, b"")


def test_a_blob_in_hand_is_not_sent(door: Door, blob: str) -> None:
    """If-None-Match with the blob's tag is 304 without a body, and goes before a range."""
    tag = door("HEAD", blob).headers["ETag"]

    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = door("GET", blob, headers={"If-None-Match": given, "Range": "bytes=0-9"})
        assert (answer.status, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert door("GET", blob, headers={"If-None-Match": '"x"'}).data == DATA


def test_blobs_do_not_leak(door: Door, ecr: Any, world: World) -> None:
    """A blob of one repository is unknown in every other: neither read, nor named by a manifest, nor deleted."""
    ecr.create_repository(repositoryName=f"{world.repo}-2")
    elsewhere = f"{world.repo}-2"

    assert [door(m, f"/v2/{elsewhere}/blobs/{world.blob}").status for m in ("HEAD", "GET", "DELETE")] == [404] * 3
    refused = door.manifest(elsewhere, "v1", world.pushed.manifest, world.pushed.media_type)
    assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert world.blob in refused.message
    assert door("GET", f"/v2/{elsewhere}/manifests/{world.manifest}").status == 404
    assert door("GET", f"/v2/{world.repo}/blobs/{world.blob}").data == world.pushed.layers[0]


def test_a_blob_in_use_stays(door: Door, world: World) -> None:
    """A blob that an image needs is not deleted; when the last of its images is gone, it is."""
    path = f"/v2/{world.repo}/blobs/{world.blob}"
    other = content.image(*world.pushed.layers)
    door.image(world.repo, pushed=other)

    refused = door("DELETE", path)
    assert (refused.status, refused.code) == (405, "UNSUPPORTED")
    door("DELETE", f"/v2/{world.repo}/manifests/{world.manifest}")
    assert door("DELETE", path).status == 405
    door("DELETE", f"/v2/{world.repo}/manifests/{other.digest}")
    assert [door("DELETE", path).status, door("GET", path).status, door("DELETE", path).status] == [202, 404, 404]


def test_a_deleted_blob_can_be_pushed_again(door: Door, world: World) -> None:
    """After its deletion a blob can be pushed like any other."""
    data = content.layer()
    path = f"/v2/{world.repo}/blobs/{door.blob(world.repo, data)}"
    assert door("DELETE", path).status == 202

    door.blob(world.repo, data)

    assert door("GET", path).data == data


def test_a_deleted_blob_stays_elsewhere(door: Door, ecr: Any, world: World) -> None:
    """A blob deleted from one repository stays in the others."""
    ecr.create_repository(repositoryName=f"{world.repo}-2")
    door("POST", f"/v2/{world.repo}-2/blobs/uploads/?mount={world.loose}&from={world.repo}", body=b"")

    assert door("DELETE", f"/v2/{world.repo}/blobs/{world.loose}").status == 202

    assert door("GET", f"/v2/{world.repo}-2/blobs/{world.loose}").status == 200


def test_each_digest_is_a_blob_of_its_own(door: Door, repository: str) -> None:
    """The same bytes under SHA-256 are not there under SHA-512 until they were pushed so."""
    data = content.layer()
    door.blob(repository, data)

    assert door("HEAD", f"/v2/{repository}/blobs/{sha512_of(data)}").status == 404
    assert door("HEAD", f"/v2/{repository}/blobs/{ABSENT}").status == 404
