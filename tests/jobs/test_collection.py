"""The job ``gc``: what nothing needs goes, what is needed or perhaps soon is stays, and a mistake can be taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from moorage.domain.errors import DeletedImageNotFound, ImageReferencedByManifestList
from moorage.domain.names import Digest, Tag
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.registry import collection, deleted, images, layers, repositories, uploads
from moorage.registry.tables import blobs, condemned, deleted_images, loose_blobs, loose_layers, repository_blobs
from tests import content

if TYPE_CHECKING:
    from tests.jobs.conftest import Clock
    from tests.registry.kit import Bench

DAY = 24


def gc(bench: Bench, clock: Clock) -> dict[str, Any]:
    run = Run()
    collect(bench.registry, clock(), run)
    return run.facts


def files(bench: Bench) -> int:
    """How many objects the store has."""
    return len(bench.objects())


def delete(bench: Bench, digest: str) -> None:
    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(digest))


def config_of(pushed: content.Image) -> str:
    return content.digest_of(pushed.config)


def nothing_is_left(bench: Bench) -> bool:
    tables = blobs, repository_blobs, loose_blobs, loose_layers, condemned, deleted_images
    return files(bench) == 0 and not any(bench.rows(sa.select(table)) for table in tables)


def test_the_bytes_of_a_deleted_image_go_when_it_cannot_be_restored(bench: Bench, clock: Clock) -> None:
    """Not before its time, then wholly: rows, links and files."""
    pushed = bench.image("v1")
    delete(bench, pushed.digest)
    clock.move(hours=DAY - 1)
    gc(bench, clock)
    assert files(bench) == 2
    clock.move(hours=1)
    found = gc(bench, clock)
    assert (found["images"], found["layers"], found["blobs"], found["objects"]) == (1, 2, 2, 0)
    clock.move(hours=1)
    assert gc(bench, clock)["bytes"] == len(pushed.config) + len(pushed.layers[0])
    assert nothing_is_left(bench)


def test_an_image_that_is_there_is_never_touched(bench: Bench, clock: Clock) -> None:
    """However often and late the collector comes; and then it has nothing to look at."""
    pushed = bench.image("v1")
    for _ in range(3):
        clock.move(hours=10 * DAY)
        gc(bench, clock)
    assert bench.stored(config_of(pushed)) == pushed.config
    assert not bench.rows(sa.select(loose_layers))


def test_a_layer_that_another_image_needs_stays(bench: Bench, clock: Clock) -> None:
    """Within a repository, and the blob of one repository that another one has too."""
    shared = content.layer()
    one, two = content.image(shared), content.image(shared)
    bench.image("one", pushed=one)
    bench.image("two", pushed=two)
    delete(bench, one.digest)
    clock.move(hours=DAY)
    gc(bench, clock)
    assert bench.stored(content.digest_of(shared)) == shared
    assert bench.stored(config_of(one)) is None


def test_the_children_of_an_index_stay(bench: Bench, clock: Clock) -> None:
    """An image that an index names cannot be deleted, and its layers are its own."""
    child = bench.image()
    bench.put(content.index(child), "all")
    with bench.write() as ctx, pytest.raises(ImageReferencedByManifestList):
        images.delete(ctx, bench.first, Digest(child.digest))
    clock.move(hours=10 * DAY)
    gc(bench, clock)
    assert bench.stored(config_of(child)) == child.config


def test_a_layer_waits_for_its_image(bench: Bench, clock: Clock) -> None:
    """A layer without an image stays for the grace period, and is then gone from the repository and the disk."""
    digest = bench.blob(b"early")
    clock.move(hours=DAY - 1)
    gc(bench, clock)
    assert bench.stored(digest) == b"early"
    clock.move(hours=2)
    gc(bench, clock)
    assert bench.stored(digest) is None
    clock.move(hours=1)
    gc(bench, clock)
    assert nothing_is_left(bench)


def test_a_layer_that_is_pushed_again_waits_again(bench: Bench, clock: Clock) -> None:
    """Whether by upload or by mount: the client that pushes counts on it."""
    uploaded, mounted = bench.blob(b"uploaded"), bench.blob(b"mounted")
    clock.move(hours=DAY - 1)
    bench.blob(b"uploaded")
    with bench.write() as ctx:
        layer = layers.get(ctx, bench.first, mounted)
        uploads.mount(ctx, bench.first, layer)
    clock.move(hours=2)
    gc(bench, clock)
    assert bench.stored(uploaded) == b"uploaded"
    assert bench.stored(mounted) == b"mounted"


def test_a_layer_that_is_about_to_go_is_said_to_be_missing(bench: Bench, clock: Clock) -> None:
    """A client that asks then uploads it, instead of counting on what is collected before its manifest comes."""
    loose, pushed = bench.blob(b"loose"), bench.image("v1")

    def told(digest: str) -> bool:
        with bench.read() as ctx:
            return layers.is_available(ctx, bench.first, digest)

    assert told(loose)
    assert told(config_of(pushed))
    clock.move(hours=DAY / 2 + 1)
    assert not told(loose)
    assert told(config_of(pushed))
    assert not bench.finish(bench.begin(), loose, data=b"loose").already_there
    assert told(loose)


def test_a_push_rescues_what_no_repository_has(bench: Bench, clock: Clock) -> None:
    """Between the loss of the last link and the removal of the blob, a push brings it back and nothing is deleted."""
    digest = bench.blob(b"condemned")
    with bench.write() as ctx:
        layers.unlink(ctx, bench.first, layers.get(ctx, bench.first, digest))
    bench.blob(b"condemned", bench.repository("second"))
    clock.move(hours=DAY)
    with bench.write() as ctx:
        assert collection.settle_blobs(ctx, collection.due_blobs(ctx, clock(), 10)) == 0
    assert bench.rows(sa.select(blobs.c.digest)) == [(digest,)]


def test_a_push_after_the_removal_brings_new_bytes(bench: Bench, clock: Clock) -> None:
    """The old bytes go all the same, and the new ones stay."""
    digest = bench.blob(b"again")
    clock.move(hours=DAY)
    gc(bench, clock)
    bench.blob(b"again")
    clock.move(hours=1)
    assert gc(bench, clock)["objects"] == 1
    assert bench.stored(digest) == b"again"
    assert files(bench) == 1


def test_a_repository_that_is_deleted_leaves_nothing(bench: Bench, clock: Clock) -> None:
    """Its layers and its unfinished uploads."""
    bench.image("v1")
    bench.append(bench.begin(), b"unfinished")
    with bench.write() as ctx:
        repositories.delete(ctx, bench.first, force=True)
    for _ in range(2):
        clock.move(hours=DAY)
        gc(bench, clock)
    assert nothing_is_left(bench)


def test_uploads_that_end_leave_nothing(bench: Bench, clock: Clock) -> None:
    """A cancelled one, and one whose bytes were there already."""
    cancelled = bench.begin()
    bench.append(cancelled, b"no")
    with bench.write() as ctx:
        uploads.cancel(ctx, bench.first, cancelled)
    bench.blob(b"twice")
    bench.blob(b"twice")
    assert files(bench) == 3
    assert gc(bench, clock)["objects"] == 2
    assert files(bench) == 1


def test_bytes_that_cannot_be_deleted_are_tried_again(
    bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay condemned; the others go."""
    bench.blob(b"one")
    bench.blob(b"two")
    clock.move(hours=DAY)
    gc(bench, clock)
    clock.move(hours=1)
    store = bench.registry.blobs
    stuck = next(row.location for row in bench.rows(sa.select(condemned)))

    def failing(locations: list[str]) -> None:
        if stuck in locations:
            raise OSError
        other.registry.blobs.delete_many(locations)

    with bench.other_worker() as other, monkeypatch.context() as broken:
        broken.setattr(store, "delete_many", failing)
        broken.setattr(store, "delete", lambda location: failing([location]))
        assert gc(bench, clock)["objects"] == 1
    clock.move(hours=1)
    assert gc(bench, clock)["objects"] == 1
    assert nothing_is_left(bench)


# --- Taken back ----------------------------------------------------------------------


def restored(bench: Bench, digest: str) -> list[deleted.Restored]:
    with bench.write() as ctx:
        return deleted.restore(ctx, bench.first, Digest(digest))


def test_a_deleted_image_is_listed_and_restored_as_it_was(bench: Bench, clock: Clock) -> None:
    """Digest, tags and age; and afterwards it is an image like any other."""
    pushed = bench.image("v1", "v2")
    before = bench.rows(sa.text("SELECT digest, pushed_at, tagged, body FROM manifests"))
    clock.move(hours=1)
    delete(bench, pushed.digest)
    clock.move(hours=DAY - 1)
    gc(bench, clock)
    with bench.read() as ctx:
        [listed] = deleted.page(ctx, bench.first)
    assert (listed.digest, listed.tags) == (pushed.digest, ["v1", "v2"])
    assert restored(bench, pushed.digest) == [(pushed.digest, ["v1", "v2"], [])]
    assert bench.rows(sa.text("SELECT digest, pushed_at, tagged, body FROM manifests")) == before
    clock.move(hours=10 * DAY)
    gc(bench, clock)
    assert bench.stored(config_of(pushed)) == pushed.config
    with bench.read() as ctx:
        assert deleted.page(ctx, bench.first) == []


def test_a_tag_that_stands_elsewhere_by_now_stays_there(bench: Bench, clock: Clock) -> None:
    """... and the answer says so."""
    old = bench.image("latest", "v1")
    delete(bench, old.digest)
    clock.move(hours=1)
    new = bench.image("latest")
    assert restored(bench, old.digest) == [(old.digest, ["v1"], ["latest"])]
    with bench.read() as ctx:
        assert images.digest_of_tag(ctx, bench.first, Tag("latest")) == new.digest


def test_an_index_brings_its_children_along(bench: Bench, clock: Clock) -> None:
    """Deleted one after the other, restored together."""
    child = bench.image("amd64")
    index = bench.put(content.index(child), "all").digest
    delete(bench, index)
    delete(bench, child.digest)
    clock.move(hours=1)
    assert [image.digest for image in restored(bench, index)] == [child.digest, index]
    with bench.read() as ctx:
        assert images.tags_of(ctx, bench.first, child.digest) == ["amd64"]


def test_what_refers_to_an_image_goes_and_comes_with_it(bench: Bench, clock: Clock) -> None:
    """A signature, and what is said of the signature; not what was deleted by itself before."""
    pushed = bench.image("v1")
    subject = content.descriptor(pushed.manifest, pushed.media_type)
    alone, signature = (bench.image(pushed=content.image(subject=subject)) for _ in range(2))
    about = bench.image(pushed=content.image(subject=content.descriptor(signature.manifest, signature.media_type)))
    delete(bench, alone.digest)
    clock.move(hours=1)
    delete(bench, pushed.digest)
    with bench.read() as ctx:
        assert not images.exists(ctx, bench.first, about.digest)
    assert [image.digest for image in restored(bench, pushed.digest)] == [p.digest for p in (pushed, signature, about)]


def test_what_is_too_long_ago_is_gone(bench: Bench, clock: Clock) -> None:
    """With a clear answer, even before the collector has come."""
    pushed = bench.image("v1")
    delete(bench, pushed.digest)
    clock.move(hours=DAY)
    with pytest.raises(DeletedImageNotFound):
        restored(bench, pushed.digest)
    with pytest.raises(DeletedImageNotFound):
        restored(bench, content.digest_of(b"never"))


def test_without_a_window_nothing_is_kept(bench: Bench, clock: Clock) -> None:
    """The layers then go after the grace period."""
    object.__setattr__(bench.settings, "undelete_hours", 0)
    pushed = bench.image("v1")
    delete(bench, pushed.digest)
    with pytest.raises(DeletedImageNotFound):
        restored(bench, pushed.digest)
    clock.move(hours=DAY)
    assert gc(bench, clock)["layers"] == 2


def test_a_second_deletion_counts_from_then(bench: Bench, clock: Clock) -> None:
    """Deleted, pushed again, and deleted: one entry, with the later times and tags."""
    pushed = bench.image("v1")
    delete(bench, pushed.digest)
    clock.move(hours=12)
    bench.image("v2", pushed=pushed)
    delete(bench, pushed.digest)
    clock.move(hours=20)
    gc(bench, clock)
    assert restored(bench, pushed.digest) == [(pushed.digest, ["v2"], [])]


def test_the_status_counts_what_waits(bench: Bench, clock: Clock) -> None:
    """By queue, and of that what is due."""
    bench.blob(b"x")
    with bench.read() as ctx:
        told = collection.status(ctx)
    assert json.loads(json.dumps(told))["looseLayers"] == 1
    clock.move(hours=DAY)
    gc(bench, clock)
    with bench.read() as ctx:
        told = collection.status(ctx)
    assert (told["looseLayers"], told["condemned"], told["condemnedDue"], told["condemnedBytes"]) == (0, 1, 0, 1)
