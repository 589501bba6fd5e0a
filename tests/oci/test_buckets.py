"""Layers in a bucket: several nodes on it, clients sent to it or served through, and what happens when it fails."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from moorage import app
from moorage.config import Settings
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.registry.storage import upload_of
from moorage.registry.sweep import Swept, sweep
from tests import content, faults, objects, servers
from tests.clients.tools import missing
from tests.faults import Fault
from tests.oci.test_races import at_once
from tests.oci.wire import Door, cut_off, read, send, until, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.core import Registry
    from tests.faults import Proxy
    from tests.servers import Server

MIB = 1024 * 1024
DATA = os.urandom(20 * MIB + 7)
DIGEST = content.digest_of(DATA)
NAME = "some/app"


@dataclass(frozen=True)
class Site:
    """Two nodes over one database and one bucket, the second of which passes layers through."""

    first: Server
    second: Server
    bucket: objects.Bucket
    proxy: Proxy
    data: Path
    storage: str

    def door(self, node: Server) -> Door:
        """Return the door of a node; a token of one is good at all."""
        return Door(node.port, f"Basic {self.first.token()}")

    @contextlib.contextmanager
    def registry(self) -> Iterator[Registry]:
        """Open the installation without a server."""
        settings = Settings(data=self.data, storage=self.storage, account_id=servers.ACCOUNT, region=servers.REGION)
        registry = app.open_registry(settings)
        try:
            yield registry
        finally:
            registry.close()

    def sweep(self) -> Swept:
        """Remove all that no row names, however young."""
        with self.registry() as registry:
            return sweep(registry, datetime.now(UTC) + timedelta(hours=1))

    def pieces(self) -> list[str]:
        """Return all objects of the installation, without what was only waiting to be deleted."""
        with self.registry() as registry:
            collect(registry, registry.clock(), Run())
            return list(registry.blobs.older_than(datetime.now(UTC) + timedelta(hours=1)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose way to the bucket can be disturbed."""
    name = objects.preferred()
    if objects.program(name) is None:
        missing(f"not installed: {name}")
    data = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        for variable, value in objects.CREDENTIALS.items():
            patch.setenv(variable, value)
        bucket = held.enter_context(objects.running(name, tmp_path_factory.mktemp("s3"))).bucket()
        proxy = held.enter_context(faults.proxy(bucket.endpoint))
        storage = bucket.url("layers", endpoint=proxy.endpoint, retry_seconds="2", stall_seconds="2")
        first = held.enter_context(servers.running(data, "--storage", storage, workers=2))
        flags = ("--storage", storage, "--blob-delivery", "proxy")
        second = held.enter_context(servers.running(data, *flags, workers=2))
        first.client().create_repository(repositoryName=NAME)
        yield Site(first, second, bucket, proxy, data, storage)


@pytest.fixture(autouse=True)
def peace(site: Site) -> Iterator[None]:
    """Each test begins and ends with a bucket that works, in which nothing is but what rows name."""
    yield
    site.proxy.plan = faults.fine
    site.sweep()


def push(door: Door, data: bytes) -> str:
    """Push as docker does, in one stream; return the path of the blob."""
    upload = door.begin(NAME)
    assert door.patch(upload, data).status == 202
    done = door.finish(upload, content.digest_of(data))
    assert done.status == 201
    return done.location


# --- Where the bytes are -------------------------------------------------------------


def test_one_stream_is_one_object_and_pulls_are_sent_to_it(site: Site) -> None:
    """What is pushed in one stream is one object; GET leads there by a signed address, HEAD answers by itself."""
    data = os.urandom(20 * MIB)
    before = set(site.pieces())
    path = push(site.door(site.first), data)
    door = site.door(site.first)
    connection = door.connect()
    moved = read(send(connection, "GET", path, headers=door.with_credential()))
    connection.close()

    assert len(set(site.pieces()) - before) == 1
    assert moved.status == 307
    assert moved.headers["Cache-Control"] == "no-store"
    assert moved.headers["Docker-Content-Digest"] == content.digest_of(data)
    assert moved.location.startswith(f"{site.proxy.endpoint}/{site.bucket.name}/layers/")
    assert door("GET", path).data == data
    head = door("HEAD", path)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(data)))


def test_a_signed_address_opens_one_object_only(site: Site) -> None:
    """The address of one layer does not open another one."""
    door = site.door(site.first)
    paths = [push(door, os.urandom(1000)) for _ in range(2)]
    urls = []
    for path in paths:
        connection = door.connect()
        urls.append(read(send(connection, "GET", path, headers=door.with_credential())).location)
        connection.close()
    crossed = urls[0].partition("?")[0] + "?" + urls[1].partition("?")[2]

    assert site.first.http.request("GET", urls[0]).status == 200
    assert site.first.http.request("GET", crossed).status == 403


def test_download_urls_lead_to_the_bucket(site: Site) -> None:
    """A download URL of the AWS door serves the very bytes, from either node."""
    image = content.push(site.first, NAME, "v1")
    for node in (site.first, site.second):
        url = node.client().get_download_url_for_layer(
            repositoryName=NAME, layerDigest=content.digest_of(image.layers[0])
        )["downloadUrl"]
        path = f"/{url.partition('://')[2].partition('/')[2]}"
        assert Door(node.port)("GET", path).data == image.layers[0]


def test_many_small_chunks_do_not_make_many_objects(site: Site) -> None:
    """An upload in hundreds of chunks ends in a few objects, has every byte, and leaves nothing behind."""
    door, parts = site.door(site.first), [os.urandom(1 + 37 * number % 5000) for number in range(200)]
    before = set(site.pieces())
    upload = door.begin(NAME)
    for part in parts:
        assert door.patch(upload, part).status == 202
    done = door.finish(upload, content.digest_of(b"".join(parts)))

    assert door("GET", done.location).data == b"".join(parts)
    assert len(set(site.pieces()) - before) <= 16
    assert site.sweep().deleted == 0


# --- Several nodes -------------------------------------------------------------------


def test_an_upload_goes_from_node_to_node(site: Site) -> None:
    """An upload begun on one node goes on at another in chunks of any size, and is completed by either."""
    doors = [site.door(site.first), site.door(site.second)] * 6
    sizes = [1, 6 * MIB, 100, 9 * MIB + 1, 3, 4 * MIB, 0]
    for last in (0, 1):
        upload, offset = doors[last].begin(NAME), 0
        for door, size in zip(doors, sizes, strict=False):
            assert door.patch(upload, DATA[offset : offset + size]).status == 202
            offset += size
            assert doors[last]("GET", upload).headers["Range"] == f"0-{offset - 1}"
        done = doors[last].finish(upload, DIGEST, DATA[offset:])
        assert done.status == 201
        assert [door("GET", done.location).data == DATA for door in doors[:2]] == [True, True]
    assert site.sweep().deleted == 0


def test_a_node_dies_within_a_chunk(site: Site) -> None:
    """A node that is killed in the middle of a chunk takes nothing along: another one goes on, and no part remains."""
    here = site.door(site.first)
    upload = here.begin(NAME)
    assert here.patch(upload, DATA[: 3 * MIB]).status == 202
    doomed = servers.start(site.data, "--storage", site.storage, workers=1)
    there = site.door(doomed)
    connection = there.connect()
    rest = DATA[3 * MIB :]
    send(connection, "PATCH", upload, headers=there.with_credential({"Content-Length": str(len(rest))}))
    site.proxy.seen.clear()
    connection.send(rest[: 12 * MIB])
    until(lambda: any(method == "PUT" and "partNumber=1" in path for method, path in site.proxy.seen))

    killed = workers(doomed)
    doomed.process.kill()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    doomed.stop(signal.SIGKILL)
    connection.close()

    assert here("GET", upload).headers["Range"] == f"0-{3 * MIB - 1}"
    assert site.door(site.second).patch(upload, rest).status == 202
    done = here.finish(upload, DIGEST)
    assert (done.status, here("GET", done.location).data == DATA) == (201, True)
    assert site.sweep().aborted == 1
    assert site.bucket.unfinished() == []


def test_of_two_nodes_that_write_one_counts(site: Site) -> None:
    """Of writers of one upload on two nodes at once each is taken whole or told 409, and what was taken adds up."""
    doors = [site.door(site.first), site.door(site.second)] * 2
    for size in (1000, 9 * MIB):
        upload = doors[0].begin(NAME)
        sent = [os.urandom(size) for _ in doors]
        answers = at_once(*[partial(door.patch, upload, data) for door, data in zip(doors, sent, strict=True)])
        taken = {
            int(answer.headers["Range"].rpartition("-")[2]): data
            for answer, data in zip(answers, sent, strict=True)
            if answer.status == 202
        }
        whole = b"".join(taken[end] for end in sorted(taken))
        assert {answer.status for answer in answers} <= {202, 409}
        done = doors[0].finish(upload, content.digest_of(whole))
        assert (done.status, doors[1]("GET", done.location).data == whole) == (201, True)


def test_writers_that_take_over_small_objects_do_not_trip_over_each_other(site: Site) -> None:
    """Of writers that all begin with the small object before them one counts, and the others are told 409 or 404."""
    doors = [site.door(site.first), site.door(site.second)] * 3
    for turn in range(12):
        upload, head, tail = doors[0].begin(NAME), os.urandom(1000), os.urandom(1500)
        assert doors[0].patch(upload, head).status == 202
        digest = content.digest_of(head + tail)
        if turn % 2:
            answers = at_once(*[partial(door.finish, upload, digest, tail) for door in doors])
            assert {answer.status for answer in answers} <= {201, 404, 409}
        else:
            answers = at_once(*[partial(door.patch, upload, tail, Content_Range="1000-2499") for door in doors])
            assert {answer.status for answer in answers} <= {202, 409, 416}
            answers.append(doors[1].finish(upload, digest))
        assert [answer.status for answer in answers].count(201) == 1
        assert doors[0]("GET", f"/v2/{NAME}/blobs/{digest}").data == head + tail


def test_the_same_layer_from_all_nodes_is_stored_once(site: Site) -> None:
    """Of the same layer pushed to several nodes at once one copy stays."""
    doors, data = [site.door(site.first), site.door(site.second)] * 2, os.urandom(MIB)
    before = set(site.pieces())

    paths = at_once(*[partial(push, door, data) for door in doors])  # type: ignore[arg-type]

    assert len(set(site.pieces()) - before) == 1
    assert {doors[0]("GET", str(path)).data == data for path in paths} == {True}


# --- What is given up ----------------------------------------------------------------


@pytest.mark.parametrize("sent", [1000, 12 * MIB])
def test_a_push_that_breaks_off_leaves_nothing(site: Site, sent: int) -> None:
    """What a client that went away had sent is gone again without a sweep, and the upload stands where it was."""
    door, before = site.door(site.first), site.pieces()
    upload = door.begin(NAME)
    cut_off(door, "PATCH", upload, DATA[:sent], len(DATA))

    until(lambda: site.pieces() == before and not site.bucket.unfinished())
    assert door("GET", upload).headers["Range"] == "0-0"
    assert door.finish(upload, DIGEST, DATA).status == 201


def test_refused_and_cancelled_uploads_leave_nothing(site: Site) -> None:
    """A layer with the wrong digest, and an upload that is cancelled, leave no object."""
    door, before = site.door(site.first), site.pieces()
    upload = door.begin(NAME)
    door.patch(upload, DATA)

    assert door.finish(upload, content.digest_of(b"other"), b"more").status == 400
    assert door("DELETE", upload).status == 204

    assert site.pieces() == before


def test_a_sweep_takes_what_no_row_names_and_nothing_else(site: Site) -> None:
    """Objects that rows have forgotten go, those of layers and of uploads under way stay."""
    door = site.door(site.first)
    path = push(door, os.urandom(5 * MIB))
    upload = door.begin(NAME)
    door.patch(upload, DATA)
    with site.registry() as registry:
        lost = registry.blobs.open(registry.blobs.new_location(registry.new_id()), 0)
        lost.write(b"lost")
        orphan = lost.sync()
        lost.close()
    before = site.pieces()

    swept = site.sweep()

    assert (swept.seen, swept.deleted) == (len(before), 1)
    assert sorted(site.pieces()) == sorted(set(before) - {orphan})
    assert upload_of(orphan) not in {upload_of(piece) for piece in site.pieces()}
    assert door("GET", path).status == 200
    assert door.finish(upload, DIGEST).status == 201


# --- A bucket that fails -------------------------------------------------------------


def test_a_push_and_a_pull_through_a_slow_down(site: Site) -> None:
    """A client does not notice a bucket that wants everything asked three times."""
    asked: dict[tuple[str, str], int] = {}

    def plan(method: str, path: str) -> Fault:
        asked[method, path] = asked.get((method, path), 0) + 1
        return Fault(refuse=503) if asked[method, path] % 3 else faults.FINE

    data = os.urandom(17 * MIB)
    site.proxy.plan = plan
    path = push(site.door(site.first), data)

    assert site.door(site.second)("GET", path).data == data


def test_a_bucket_that_is_away(site: Site) -> None:
    """While the bucket is away pushes are 503 in each door's words, nothing is acknowledged, and all goes on after."""
    door, ecr = site.door(site.second), site.second.client()
    path = push(door, b"there before")
    upload = door.begin(NAME)
    part: dict[str, Any] = {"repositoryName": NAME, "uploadId": upload.rpartition("/")[2]}
    site.proxy.plan = lambda _method, _path: Fault(refuse=503)

    refused = [door.patch(upload, DATA[:10]), door.finish(upload, DIGEST, DATA[:10]), door("GET", path)]
    with pytest.raises(ClientError) as caught:
        ecr.upload_layer_part(**part, partFirstByte=0, partLastByte=9, layerPartBlob=DATA[:10])
    ready = [site.second.anonymous("GET", page).status for page in ("/readyz", "/healthz")]
    site.proxy.plan = faults.fine

    assert {(answer.status, answer.code) for answer in refused} == {(503, "UNAVAILABLE")}
    assert caught.value.response["Error"]["Code"] == "ServerException"
    assert ready == [503, 200]
    assert door("GET", upload).headers["Range"] == "0-0"
    assert door.finish(upload, DIGEST, DATA).status == 201
    assert door("GET", path).data == b"there before"
    # What readiness says holds for a second.
    until(lambda: site.second.anonymous("GET", "/readyz").status == 200)


def test_a_bucket_that_hangs_holds_up_only_bytes(site: Site) -> None:
    """While a hundred pushes through both doors wait for the bucket, what the database can answer is answered."""
    door, client = site.door(site.first), site.first.client(config=Config(max_pool_connections=10))
    image = content.push(site.first, NAME, "v2")
    uploads = [door.begin(NAME) for _ in range(100)]
    waiting = threading.Event()
    site.proxy.plan = lambda _method, _path: Fault(wait_for=waiting)

    def part(upload: str) -> None:
        upload_id = upload.rpartition("/")[2]
        client.upload_layer_part(
            repositoryName=NAME, uploadId=upload_id, partFirstByte=0, partLastByte=9, layerPartBlob=DATA[:10]
        )

    calls = [partial(door.patch, upload, DATA[:10]) for upload in uploads[:50]]
    threads = [threading.Thread(target=call) for call in calls]
    threads += [threading.Thread(target=part, args=(upload,)) for upload in uploads[50:]]
    for thread in threads:
        thread.start()
    until(lambda: sum(method == "PUT" for method, _ in site.proxy.seen) > 40)

    answered = [
        client.describe_images(repositoryName=NAME, imageIds=[{"imageTag": "v2"}])["imageDetails"][0]["imageDigest"],
        door("GET", f"/v2/{NAME}/manifests/v2").headers["Docker-Content-Digest"],
    ]
    still = sum(thread.is_alive() for thread in threads)
    waiting.set()
    for thread in threads:
        thread.join()

    assert answered == [image.digest] * 2
    assert still > 90


def test_secrets_are_not_logged(site: Site) -> None:
    """Whatever the bucket does, the log has neither the secret key nor a signed address."""
    said = "".join([*site.first.log, *site.second.log])

    assert "storage_failed" in said
    assert objects.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in said
    assert "X-Amz-Signature" not in said


# --- Passed through ------------------------------------------------------------------


def test_a_pull_goes_on_where_the_bucket_broke_off(site: Site) -> None:
    """A client that is served through gets every byte, however often the bucket's answer breaks off."""
    door = site.door(site.second)
    path = push(door, DATA)
    site.proxy.plan = lambda method, _path: Fault(cut_answer=3 * MIB) if method == "GET" else faults.FINE

    assert door("GET", path).data == DATA
    part = door("GET", path, headers={"Range": f"bytes=5-{len(DATA) - 5}"})
    assert (part.status, part.data) == (206, DATA[5 : len(DATA) - 4])


def test_a_pull_that_cannot_go_on_is_cut(site: Site) -> None:
    """When the bucket goes away within a layer the client sees a broken answer, never a short one that looks whole."""
    door = site.door(site.second)
    path = push(door, DATA)
    left = [Fault(cut_answer=5 * MIB)]
    site.proxy.plan = lambda _method, _path: left.pop() if left else Fault(refuse=503)

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        door("GET", path)


def test_a_client_that_goes_away_ends_the_reading(site: Site) -> None:
    """When a client leaves in the middle of a layer, the rest is not read from the bucket."""
    door, data = site.door(site.second), os.urandom(64 * MIB)
    path = push(door, data)
    site.proxy.sent = 0
    connection = door.connect()
    send(connection, "GET", path, headers=door.with_credential())
    answer = connection.getresponse()
    answer.read(MIB)
    answer.close()
    connection.close()

    until(lambda: site.proxy.open_answers == 0)
    assert site.proxy.sent < len(data)


def test_public_endpoints_are_what_clients_are_told(site: Site, tmp_path: Path) -> None:
    """Where clients know the bucket under another address, that is the one that is signed."""
    public = site.proxy.endpoint
    storage = replace(site.bucket).url("layers", public_endpoint=public)
    with servers.running(tmp_path, "--storage", storage, workers=1) as server:
        server.client().create_repository(repositoryName=NAME)
        door = Door(server.port, f"Basic {server.token()}")
        path = push(door, b"some bytes")
        site.proxy.seen.clear()

        assert door("GET", path).data == b"some bytes"

    assert [method for method, _ in site.proxy.seen] == ["GET"]
