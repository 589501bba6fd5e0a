"""Two at once: on one upload, on one tag, on one image."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests import content, servers
from tests.oci.wire import MIB, Door, read, send, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.oci.conftest import World
    from tests.oci.wire import Answer
    from tests.servers import Server


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """Make calls from as many threads, all let go at the same time."""
    start = threading.Barrier(len(calls))
    answers: dict[int, Answer] = {}

    def run(number: int, call: Callable[[], Answer]) -> None:
        start.wait()
        answers[number] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(calls))]


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose layers a test can watch coming: the shared one, unless they are in a bucket."""
    if "--storage" not in server.flags:
        yield server
        return
    with servers.running(tmp_path_factory.mktemp("folder")) as own:
        yield own


def test_a_second_writer_is_turned_away(folder: Server, name: str) -> None:
    """While one PATCH is under way every other writer of the upload is 409, and the blob of the first is right."""
    door, repository = Door(folder.port, f"Basic {folder.token()}"), name
    folder.client().create_repository(repositoryName=name)
    upload = door.begin(repository)
    upload_id = upload.rpartition("/")[2]
    file = folder.data / "blobs" / upload_id[:2] / upload_id
    mine = os.urandom(4 * MIB)
    first = door.connect()
    send(first, "PATCH", upload, headers=door.with_credential({"Content-Length": str(len(mine))}))
    first.send(mine[: 3 * MIB])
    until(lambda: file.exists() and file.stat().st_size >= MIB)

    turned_away = [
        answer
        for _ in range(5)
        for answer in (door.patch(upload, b"other"), door.finish(upload, content.digest_of(b""), b""))
    ]
    first.send(mine[3 * MIB :])
    accepted = read(first)
    first.close()

    assert {(answer.status, answer.code) for answer in turned_away} == {(409, "BLOB_UPLOAD_INVALID")}
    assert (accepted.status, accepted.headers["Range"]) == (202, f"0-{len(mine) - 1}")
    done = door.finish(upload, content.digest_of(mine))
    assert door("GET", done.location).data == mine


def test_many_writers_at_once(door: Door, repository: str) -> None:
    """Of many PATCHes at the same moment each is taken whole or turned away; what was taken adds up."""
    for _ in range(5):
        upload = door.begin(repository)
        sent = [os.urandom(100_000) for _ in range(6)]
        answers = at_once(*[partial(door.patch, upload, data) for data in sent])
        assert {answer.status for answer in answers} <= {202, 409}
        ends = {
            a.headers["Range"].rpartition("-")[2]: data
            for a, data in zip(answers, sent, strict=True)
            if a.status == 202
        }
        whole = b"".join(ends[end] for end in sorted(ends, key=int))
        done = door.finish(upload, content.digest_of(whole))
        assert done.status == 201
        assert door("GET", done.location).data == whole


def test_many_completions_at_once(door: Door, repository: str) -> None:
    """Of many who complete one upload one succeeds, and the blob is right whoever came late."""
    for _ in range(15):
        upload, data = door.begin(repository), os.urandom(1000)
        digest = content.digest_of(data)
        answers = at_once(*[lambda: door.finish(upload, digest, data)] * 6)  # noqa: B023 (called within the turn)
        assert min(answer.status for answer in answers) == 201
        assert {answer.status for answer in answers[1:]} <= {201, 404, 409}
        assert [answer.status for answer in answers].count(201) == 1
        assert door("GET", f"/v2/{repository}/blobs/{digest}").data == data


def test_a_cancel_under_a_writer(folder: Server, name: str) -> None:
    """An upload that is cancelled while its last bytes arrive is gone for its writer too."""
    door, repository = Door(folder.port, f"Basic {folder.token()}"), name
    folder.client().create_repository(repositoryName=name)
    upload, data = door.begin(repository), os.urandom(3 * MIB)
    upload_id = upload.rpartition("/")[2]
    file = folder.data / "blobs" / upload_id[:2] / upload_id
    writer = door.connect()
    digest = content.digest_of(data)
    send(writer, "PUT", f"{upload}?digest={digest}", headers=door.with_credential({"Content-Length": str(len(data))}))
    writer.send(data[: 2 * MIB])
    until(lambda: file.exists() and file.stat().st_size >= MIB)

    cancelled = door("DELETE", upload)
    writer.send(data[2 * MIB :])
    refused = read(writer)
    writer.close()

    assert cancelled.status == 204
    assert (refused.status, refused.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert door("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


def test_the_same_blob_from_many_at_once(door: Door, repository: str) -> None:
    """Many uploads of one blob all succeed."""
    for _ in range(5):
        data = os.urandom(5000)
        path = f"/v2/{repository}/blobs/uploads/?digest={content.digest_of(data)}"
        answers = at_once(*[lambda: door("POST", path, body=data)] * 6)  # noqa: B023 (called within the turn)
        assert {answer.status for answer in answers} == {201}
        assert door("GET", f"/v2/{repository}/blobs/{content.digest_of(data)}").data == data


def test_two_writers_of_one_tag(door: Door, ecr: Any, repository: str) -> None:
    """Pushes to one tag at the same time all succeed, and the tag stands on one of them."""
    images = [door.image(repository) for _ in range(4)]
    pushes = [partial(door.manifest, repository, "latest", image.manifest, image.media_type) for image in images]

    for _ in range(5):
        assert {answer.status for answer in at_once(*pushes)} == {201}
        pulled = door("GET", f"/v2/{repository}/manifests/latest")
        assert pulled.data in [image.manifest for image in images]
        listed = ecr.list_images(repositoryName=repository)["imageIds"]
        tagged = [entry["imageDigest"] for entry in listed if "imageTag" in entry]
        assert tagged == [pulled.headers["Docker-Content-Digest"]]
        assert len(listed) == 4


def test_one_of_two_gets_an_immutable_tag(door: Door, ecr: Any, name: str) -> None:
    """Of two different images pushed to one new immutable tag at once, one has it and the others are told."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    images = [door.image(name) for _ in range(4)]
    for number in range(5):
        pushes = [partial(door.manifest, name, f"v{number}", image.manifest, image.media_type) for image in images]
        answers = at_once(*pushes)
        assert sorted((answer.status, answer.code) for answer in answers)[1:] == [(400, "TAG_INVALID")] * 3
        (winner,) = [i for i, answer in zip(images, answers, strict=True) if answer.status == 201]
        assert door("GET", f"/v2/{name}/manifests/v{number}").data == winner.manifest


def test_a_delete_against_an_index(door: Door, world: World) -> None:
    """An image deleted at the moment that an index of it is pushed: one of the two is refused."""
    for number in range(8):
        child = door.image(world.repo)
        index = content.index(child, annotations={"n": str(number)})
        pushed, deleted = at_once(
            lambda index=index: door.manifest(world.repo, content.digest_of(index), index, manifests.OCI_INDEX),  # type: ignore[misc]
            lambda child=child: door("DELETE", f"/v2/{world.repo}/manifests/{child.digest}"),  # type: ignore[misc]
        )
        assert (pushed.status, deleted.status) in {(201, 405), (404, 202)}


def test_a_blob_delete_against_a_manifest(door: Door, repository: str) -> None:
    """A layer deleted at the moment that an image needing it is pushed: one of the two is refused."""
    for _ in range(8):
        image = content.image()
        for part in (image.config, *image.layers):
            door.blob(repository, part)
        blob = content.digest_of(image.layers[0])
        pushed, deleted = at_once(
            lambda image=image: door.manifest(repository, image.digest, image.manifest, image.media_type),  # type: ignore[misc]
            lambda blob=blob: door("DELETE", f"/v2/{repository}/blobs/{blob}"),  # type: ignore[misc]
        )
        assert (pushed.status, deleted.status) in {(201, 405), (404, 202)}


def test_a_tag_that_becomes_immutable_stays(door: Door, ecr: Any, repository: str) -> None:
    """Once PutImageTagMutability has answered no push that is under way moves the tag any more."""
    images = [door.image(repository) for _ in range(4)]
    for number in range(5):
        tag = f"v{number}"
        mode = {"repositoryName": repository, "imageTagMutability": "MUTABLE"}
        ecr.put_image_tag_mutability(**mode)
        door.manifest(repository, tag, images[0].manifest, images[0].media_type)
        stood: list[bytes] = []

        def close(tag: str = tag, stood: list[bytes] = stood) -> Answer:
            ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
            answer = door("GET", f"/v2/{repository}/manifests/{tag}")
            stood.append(answer.data)
            return answer

        def push(image: content.Image, tag: str = tag) -> Answer:
            return [door.manifest(repository, tag, image.manifest, image.media_type) for _ in range(4)][-1]

        pushes = [partial(push, image) for image in images[1:]]
        at_once(*pushes, close)
        assert door("GET", f"/v2/{repository}/manifests/{tag}").data == stood[0]


def test_an_archived_image_against_its_push(door: Door, ecr: Any, repository: str) -> None:
    """An index pushed at the moment its image is archived: the index is refused, or it keeps its image in use."""
    for number in range(8):
        child = door.image(repository)
        index = content.index(child, annotations={"n": str(number)})

        def archive(child: content.Image = child) -> Answer:
            image = {"imageDigest": child.digest}
            with contextlib.suppress(ecr.exceptions.ImageStorageClassUpdateNotSupportedException):
                ecr.update_image_storage_class(repositoryName=repository, imageId=image, targetStorageClass="ARCHIVE")
            return door("HEAD", f"/v2/{repository}/manifests/{child.digest}")

        pushed, pulled = at_once(
            partial(door.manifest, repository, content.digest_of(index), index, manifests.OCI_INDEX), archive
        )
        assert (pushed.status, pulled.status) in {(201, 200), (404, 404)}
