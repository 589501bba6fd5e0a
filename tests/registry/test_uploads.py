"""Uploads: what counts, what does not, and who may write."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from moorage.domain.errors import (
    InvalidLayer,
    InvalidLayerPart,
    LimitExceeded,
    RepositoryNotFound,
    UploadBusy,
    UploadNotFound,
)
from moorage.domain.names import Digest, RepositoryName
from moorage.drivers.disk import DiskStore
from moorage.registry import layers, repositories, uploads
from moorage.registry.hashing import HashStates
from tests.content import digest_of
from tests.oci.wire import sha512_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.drivers.disk import DiskWriter
    from tests.registry.kit import Bench

MIB = 1024 * 1024


def test_parts_make_a_layer(bench: Bench) -> None:
    """What was appended in parts is the layer, byte for byte."""
    parts = [os.urandom(MIB), b"", b"x", os.urandom(3 * MIB + 1)]
    upload = bench.begin()

    offsets = [bench.append(upload, part) for part in parts]
    done = bench.finish(upload, digest_of(b"".join(parts)))

    assert offsets == [MIB, MIB, MIB + 1, 4 * MIB + 2]
    assert bench.stored(done.digest) == b"".join(parts)


def test_what_was_not_committed_does_not_count(bench: Bench) -> None:
    """A writer that goes away without commit leaves the upload where it was."""
    upload = bench.begin()
    bench.append(upload, b"kept ")

    with bench.appender(upload) as abandoned:
        abandoned.write(b"lost, and longer than what follows")
    assert bench.offset(upload) == 5
    bench.append(upload, b"too")

    assert bench.stored(bench.finish(upload, digest_of(b"kept too")).digest) == b"kept too"


def test_abandoned_bytes_do_not_lengthen_a_layer(bench: Bench) -> None:
    """A layer completed without further bytes has none of those that an abandoned writer left behind it."""
    upload = bench.begin()
    bench.append(upload, b"kept")
    with bench.appender(upload) as abandoned:
        abandoned.write(b"lost")

    digest = bench.finish(upload, digest_of(b"kept")).digest

    with bench.read() as ctx:
        layer = layers.get(ctx, bench.first, digest)
    assert bench.registry.blobs.size(layer.location) == layer.size == 4


def test_another_worker_goes_on(bench: Bench) -> None:
    """A worker that saw none of an upload's bytes appends to it, and completes it with the right digest."""
    upload = bench.begin()
    bench.append(upload, b"one ")
    with bench.other_worker() as other:
        other.append(upload, b"two ")
    bench.append(upload, b"three")

    with bench.other_worker() as other:
        assert other.finish(upload, digest_of(b"one two three")).digest == digest_of(b"one two three")


def test_a_forgotten_hash_is_computed_again(bench: Bench) -> None:
    """The state of the hash is only a cache: without it the digest is the same."""
    upload = bench.begin()
    bench.append(upload, b"one ")
    bench.append(upload, b"two")
    bench.registry.hash_states = HashStates()

    assert bench.finish(upload, digest_of(b"one two")).digest == digest_of(b"one two")


def test_a_wrong_digest_changes_nothing(bench: Bench) -> None:
    """A digest that the bytes do not have is refused, and the upload can be completed with the right one."""
    upload = bench.begin()
    bench.append(upload, b"data")
    before = bench.snapshot()

    for wanted in ([], [digest_of(b"other")], ["md5:0"], [digest_of(b"data").upper()], ["tarsum+sha256:x"]):
        with pytest.raises(InvalidLayer):
            bench.finish(upload, *wanted)
    with pytest.raises(InvalidLayer):
        bench.finish(upload, digest_of(b"data"), data=b" and more")

    assert bench.snapshot() == before
    assert bench.finish(upload, digest_of(b"data")).digest == digest_of(b"data")


def test_one_of_several_digests_is_enough(bench: Bench) -> None:
    """The layer gets the first of the wanted digests' algorithms that matches."""
    upload = bench.begin()

    done = bench.finish(upload, "tarsum+sha256:x", digest_of(b"y"), sha512_of(b"data"), data=b"data")

    assert done.digest == sha512_of(b"data")


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(2 * MIB + 7)])
def test_both_algorithms(bench: Bench, data: bytes) -> None:
    """A blob can be had under its SHA-256 and under its SHA-512, empty or not."""
    for digest in (digest_of(data), sha512_of(data)):
        upload = bench.begin()
        bench.append(upload, data[: len(data) // 2])
        assert bench.finish(upload, digest, data=data[len(data) // 2 :]).digest == digest
        assert bench.stored(digest) == data


@pytest.mark.usefixtures("require_disk")  # a bucket has no lock: who commits first has won
def test_one_writer_at_a_time(bench: Bench) -> None:
    """A second writer is turned away, on this worker and on another, until the first has gone."""
    upload = bench.begin()

    with bench.other_worker() as other, bench.appender(upload) as first:
        first.write(b"first")
        for worker in (bench, other):
            with pytest.raises(UploadBusy):
                worker.append(upload, b"second")
        first.commit()

    assert bench.append(upload, b"!") == 6
    assert bench.finish(upload, digest_of(b"first!")).digest


class Interleaved(DiskStore):
    """A store in which something happens just before an upload is opened: the moment between looking and locking."""

    between: Callable[[], object] | None = None

    def open(self, location: str, offset: int) -> DiskWriter:
        """Let the other one go first."""
        happens, self.between = self.between, None
        if happens:
            happens()
        return super().open(location, offset)


def interleave(bench: Bench, happens: Callable[[], object]) -> None:
    """Let something happen between the look at an upload and its lock."""
    store = Interleaved(bench.settings.data / "blobs")
    store.between = happens
    bench.registry.blobs = store


@pytest.mark.usefixtures("require_disk")
def test_a_late_writer_leaves_a_finished_layer_alone(bench: Bench) -> None:
    """Who found an upload just before another one completed it is turned away, and the layer keeps its bytes."""
    upload = bench.begin()
    with bench.other_worker() as other:
        interleave(bench, lambda: other.finish(upload, digest_of(b"the layer"), data=b"the layer"))

        with pytest.raises(UploadNotFound):
            bench.append(upload, b"late")

    assert bench.stored(digest_of(b"the layer")) == b"the layer"


@pytest.mark.usefixtures("require_disk")
def test_a_late_writer_leaves_committed_bytes_alone(bench: Bench) -> None:
    """Who found an upload just before another one appended to it is turned away, and what was appended stays."""
    upload = bench.begin()
    with bench.other_worker() as other:
        interleave(bench, lambda: other.append(upload, b"first"))

        with pytest.raises(UploadBusy):
            bench.append(upload, b"late")

    assert bench.finish(upload, digest_of(b"first")).digest == digest_of(b"first")


@pytest.mark.usefixtures("require_disk")
def test_a_late_writer_finds_a_cancelled_upload_gone(bench: Bench) -> None:
    """Who found an upload just before another one cancelled it learns that it is gone."""
    upload = bench.begin()
    bench.append(upload, b"data")

    def cancel() -> None:
        with bench.write() as ctx:
            uploads.cancel(ctx, bench.first, upload)

    interleave(bench, cancel)

    with pytest.raises(UploadNotFound):
        bench.append(upload, b"late")


def test_an_upload_cancelled_under_its_writer_is_gone(bench: Bench) -> None:
    """A writer whose upload was cancelled meanwhile can neither commit nor finish."""
    for end in ("commit", "finish"):
        upload = bench.begin()
        with bench.appender(upload) as appender:
            appender.write(b"data")
            with bench.write() as ctx:
                uploads.cancel(ctx, bench.first, upload)
            with pytest.raises(UploadNotFound):
                appender.commit() if end == "commit" else appender.finish([digest_of(b"data")])

    assert bench.stored(digest_of(b"data")) is None


def test_a_repository_deleted_under_a_writer(bench: Bench) -> None:
    """A writer whose repository was deleted meanwhile stores nothing."""
    doomed = bench.repository("doomed")
    with bench.appender(bench.begin(doomed), doomed) as appender:
        appender.write(b"data")
        with bench.write() as ctx:
            repositories.delete(ctx, doomed, force=True)
        with pytest.raises(RepositoryNotFound):
            appender.finish([digest_of(b"data")])

    with bench.read() as ctx:
        assert repositories.find(ctx, RepositoryName("doomed")) is None


def test_an_upload_ends_once(bench: Bench) -> None:
    """A completed or cancelled upload is not found any more."""
    done, given_up = bench.begin(), bench.begin()
    bench.finish(done, digest_of(b""))
    with bench.write() as ctx:
        uploads.cancel(ctx, bench.first, given_up)

    for upload in (done, given_up):
        with pytest.raises(UploadNotFound):
            bench.append(upload, b"x")
        with pytest.raises(UploadNotFound), bench.write() as ctx:
            uploads.cancel(ctx, bench.first, upload)


def test_a_cancelled_upload_leaves_no_bytes(bench: Bench) -> None:
    """Cancelling removes the bytes once the row is gone for good."""
    upload = bench.begin()
    bench.append(upload, b"data")
    with bench.write() as ctx:
        uploads.cancel(ctx, bench.first, upload)
    bench.collect()

    assert bench.registry.blobs.size(bench.registry.blobs.new_location(upload)) is None


def test_the_same_bytes_are_stored_once(bench: Bench) -> None:
    """A second upload of the same bytes links the layer, keeps the first file and drops its own."""
    second = bench.repository("second")
    digest = bench.blob(b"data")

    assert bench.finish(bench.begin(), digest, data=b"data").already_there
    bench.blob(b"data", second)
    bench.collect()

    (stored,) = bench.objects()
    assert b"".join(bench.registry.blobs.read(stored, 0, len(b"data"))) == b"data"
    assert bench.stored(digest, second) == b"data"


def test_an_upload_belongs_to_its_repository(bench: Bench) -> None:
    """An upload of one repository is unknown to every other."""
    second = bench.repository("second")
    upload = bench.begin()

    with pytest.raises(UploadNotFound), bench.appender(upload, second):
        pass


def test_an_upload_is_forgotten_after_its_time(bench: Bench) -> None:
    """An upload that nobody continued for a day is not found; one that was continued is."""
    old, young = bench.begin(), bench.begin()
    start = datetime.now(UTC)
    bench.registry.clock = lambda: start + timedelta(hours=20)
    bench.append(young, b"x")
    bench.registry.clock = lambda: start + timedelta(hours=25)

    assert bench.offset(young) == 1
    with pytest.raises(UploadNotFound):
        bench.offset(old)


@pytest.mark.parametrize("text", ["", "x", "../../etc/passwd", "F" * 36, "{" + "0" * 36 + "}", "0" * 32, "\0" * 36])
def test_only_an_id_finds_an_upload(bench: Bench, text: str) -> None:
    """What is no upload's id in its canonical form finds none."""
    with pytest.raises(UploadNotFound), bench.appender(text):
        pass


def test_a_part_must_begin_at_the_end(bench: Bench) -> None:
    """Only the next byte may follow, and the failure says where that is."""
    upload = bench.begin()
    bench.append(upload, b"12345")

    with bench.appender(upload) as appender:
        appender.require_offset(5)
        for first in (0, 4, 6):
            with pytest.raises(InvalidLayerPart) as caught:
                appender.require_offset(first)
            assert caught.value.members["lastValidByteReceived"] == 4


def test_a_layer_has_a_longest_length(bench: Bench) -> None:
    """A byte more than the longest layer is refused before it is written."""
    with bench.appender(bench.begin()) as appender:
        appender.offset = uploads.MAX_LAYER
        with pytest.raises(LimitExceeded):
            appender.write(b"x")


@pytest.mark.usefixtures("require_disk")
def test_bytes_that_vanished_are_not_invented(bench: Bench) -> None:
    """An upload whose file is shorter than its row says is gone, not filled with zeros."""
    upload = bench.begin()
    bench.append(upload, b"12345")
    (bench.settings.data / "blobs" / upload[:2] / upload).write_bytes(b"123")

    with pytest.raises(UploadNotFound):
        bench.append(upload, b"6")


def test_many_completions_of_one_upload_make_one_layer(bench: Bench) -> None:
    """Of many who complete one upload at the same time one succeeds, and the layer is whole."""
    with bench.other_worker() as other:
        for data in (os.urandom(1000) for _ in range(10)):
            results = race_to_finish([bench, other] * 3, bench.begin(), data)
            assert results.count("done") == 1, results
            assert set(results) <= {"done", "UploadBusy", "UploadNotFound"}
            assert bench.stored(digest_of(data)) == data


def race_to_finish(workers: list[Bench], upload: str, data: bytes) -> list[str]:
    """Complete an upload from many threads at once, and tell how each of them fared."""
    start, results = threading.Barrier(len(workers)), []

    def run(worker: Bench) -> None:
        start.wait()
        try:
            worker.finish(upload, digest_of(data), data=data)
            results.append("done")
        except (UploadBusy, UploadNotFound) as failure:
            results.append(type(failure).__name__)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_layer_is_mounted_without_its_bytes(bench: Bench) -> None:
    """A mount makes a layer visible in another repository, as the very same bytes."""
    second = bench.repository("second")
    digest = bench.blob(b"data")

    with bench.write() as ctx:
        layer = layers.get(ctx, bench.first, digest)
        uploads.mount(ctx, second, layer)
        uploads.mount(ctx, second, layer)

    assert bench.stored(Digest(digest), second) == b"data"
