"""The collector meets those who push, mount and delete: no image ever lacks a layer, and no bytes are left behind."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.domain.errors import RequiredLayersNotFound
from moorage.domain.manifests import parse
from moorage.domain.names import Digest, Tag
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.registry import deleted, images, layers, uploads
from moorage.registry.again import again
from moorage.registry.tables import blobs, condemned, deleted_images, edges, loose_blobs, loose_layers, manifests
from tests import content
from tests.races.race import race

if TYPE_CHECKING:
    from moorage.registry.repositories import Repository
    from tests.registry.kit import Bench

PAST = timedelta(days=2)
TURNS = 8
"""How often each race is run: in each a collector works through its queues several times."""


def due(bench: Bench, *tables: sa.Table) -> None:
    """Let the time of everything in a queue have come."""
    past = bench.registry.clock() - PAST
    with bench.registry.database.write() as tx:
        for table in tables or (loose_layers, loose_blobs, condemned):
            tx.execute(sa.update(table).values(due_at=past))


def gc(bench: Bench) -> None:
    collect(bench.registry, bench.registry.clock(), Run())


def gc_to_the_end(bench: Bench) -> None:
    """Collect all that can be collected, whatever its time."""
    for _ in range(3):
        due(bench)
        gc(bench)


def push(bench: Bench, repository: Repository, image: content.Image, tag: str = "v1") -> None:
    """Push as a client does: what the registry says is there is not uploaded."""
    for part in (image.config, *image.layers):
        with bench.read() as ctx:
            digest = content.digest_of(part)
            there = layers.find(ctx, repository.id, digest) and layers.is_available(ctx, repository, digest)
        if not there:
            bench.blob(part, repository)
    bench.put(image.manifest, tag, repository=repository)


def require_whole(bench: Bench, repository: Repository, image: content.Image | None = None) -> None:
    """Assert that every image of a repository has all its bytes."""
    wanted = sa.select(edges.c.child).where(edges.c.repository_id == repository.id, edges.c.kind == "layer")
    for (digest,) in bench.rows(wanted.distinct()):
        stored = bench.stored(digest, repository)
        assert stored is not None
        assert content.digest_of(stored) == digest
    if image is not None:
        with bench.read() as ctx:
            assert images.exists(ctx, repository, image.digest)


def delete(bench: Bench, repository: Repository, digest: str) -> None:
    with bench.write() as ctx:
        images.delete(ctx, repository, Digest(digest))


def unlink(bench: Bench, repository: Repository, data: bytes) -> None:
    with bench.write() as ctx:
        layers.unlink(ctx, repository, layers.get(ctx, repository, content.digest_of(data)))


def test_a_push_of_what_is_being_collected(bench: Bench, repository: Repository) -> None:
    """A client uploads, or counts on, layers that two collectors are about to take: its image is whole for good."""
    for turn in range(TURNS):
        image = content.image()
        for part in (image.config, *image.layers):
            bench.blob(part, repository)
            if turn % 2:
                unlink(bench, repository, part)
        due(bench)
        outcomes = race(partial(push, bench, repository, image, f"v{turn}"), partial(gc, bench), partial(gc, bench))
        if outcomes[0] != "ok":
            # It was told that a layer is there a moment before that was taken: it says so, and its next try works.
            assert outcomes[0] == RequiredLayersNotFound.__name__
            push(bench, repository, image, f"v{turn}")
        gc_to_the_end(bench)
        require_whole(bench, repository, image)


def test_a_layer_that_was_said_to_be_there_stays(bench: Bench, repository: Repository) -> None:
    """Within the time that a push has, the collector takes nothing that a client was told of."""
    for turn in range(TURNS):
        image = content.image()
        for part in (image.config, *image.layers):
            bench.blob(part, repository)
        outcomes = race(partial(push, bench, repository, image, f"v{turn}"), partial(gc, bench), partial(gc, bench))
        assert outcomes == ["ok"] * 3
        require_whole(bench, repository, image)


def test_a_mount_of_what_is_being_collected(bench: Bench, repository: Repository) -> None:
    """A mount finds the layer or says that it is gone: a repository never sees a layer without bytes."""
    target = bench.repository(f"race-{uuid.uuid4().hex}")

    def mount(digest: str) -> None:
        with bench.read() as ctx:
            layer = layers.get(ctx, repository, digest)
        with bench.write() as ctx:
            uploads.mount(ctx, target, layer)

    for turn in range(TURNS):
        data = b"mounted %d %s" % (turn, uuid.uuid4().bytes)
        digest = bench.blob(data, repository)
        due(bench, loose_layers)
        mounted, *_ = race(partial(mount, digest), partial(gc, bench), partial(gc, bench))
        # What was taken while the mount waited is noted in queues that are looked at once more.
        due(bench, loose_blobs, condemned)
        gc(bench)
        assert mounted in {"ok", "LayerNotFound"}
        assert bench.stored(digest, target) == (data if mounted == "ok" else None)


def test_a_delete_of_what_is_being_pushed(bench: Bench, repository: Repository) -> None:
    """Two images with the same layers: one goes for good while the other comes."""
    for turn in range(TURNS):
        shared = content.layer()
        one, two = content.image(shared), content.image(shared)
        push(bench, repository, one, f"one{turn}")

        def remove(gone: content.Image = one) -> None:
            delete(bench, repository, gone.digest)
            with bench.registry.database.write() as tx:
                tx.execute(sa.delete(deleted_images))
            due(bench, loose_layers)
            gc(bench)

        outcomes = race(remove, partial(push, bench, repository, two, f"two{turn}"))
        if outcomes[1] != "ok":
            assert outcomes[1] == RequiredLayersNotFound.__name__
            push(bench, repository, two, f"two{turn}")
        gc_to_the_end(bench)
        require_whole(bench, repository, two)


def test_an_index_and_the_deletion_of_its_child(bench: Bench, repository: Repository) -> None:
    """The index comes first and its child stays, or the child goes and the index is refused."""
    for turn in range(TURNS):
        child = content.image()
        push(bench, repository, child, f"child{turn}")
        index = content.index(child)
        outcomes = race(
            partial(bench.put, index, f"index{turn}", repository=repository),
            partial(delete, bench, repository, child.digest),
        )
        assert outcomes in [["ok", "ImageReferencedByManifestList"], ["ReferencedImagesNotFound", "ok"]]
        gc_to_the_end(bench)
        require_whole(bench, repository, child if outcomes[0] == "ok" else None)


def test_a_referrer_and_the_deletion_of_its_subject(bench: Bench, repository: Repository) -> None:
    """A referrer that came before goes along, one that comes after waits for its subject; each is whole."""
    for turn in range(TURNS):
        subject = content.image()
        push(bench, repository, subject, f"subject{turn}")
        signature = content.image(subject=content.descriptor(subject.manifest, subject.media_type))
        for part in (signature.config, *signature.layers):
            bench.blob(part, repository)
        outcomes = race(
            partial(bench.put, signature.manifest, repository=repository),
            partial(delete, bench, repository, subject.digest),
        )
        assert outcomes == ["ok", "ok"]
        gc_to_the_end(bench)
        require_whole(bench, repository)


def test_a_restore_at_the_last_moment(bench: Bench, repository: Repository) -> None:
    """An image comes back whole, or it is too late; nothing between."""

    def restore(digest: str) -> None:
        with bench.write() as ctx:
            deleted.restore(ctx, repository, Digest(digest))

    for turn in range(TURNS):
        image = content.image()
        push(bench, repository, image, f"v{turn}")
        delete(bench, repository, image.digest)
        restored, _ = race(partial(restore, image.digest), partial(gc, bench))
        assert restored == "ok"
        require_whole(bench, repository, image)
        delete(bench, repository, image.digest)
        with bench.registry.database.write() as tx:
            tx.execute(sa.update(deleted_images).values(expires_at=bench.registry.clock() - PAST))
        due(bench)
        restored, _ = race(partial(restore, image.digest), partial(gc, bench))
        assert restored == "DeletedImageNotFound"


def test_a_tag_that_comes_while_a_policy_is_carried_out(bench: Bench, repository: Repository) -> None:
    """Of a bulk deletion and a push of the same image, one is first; the image is there whole, or not at all."""
    for turn in range(TURNS):
        image = content.image()
        push(bench, repository, image, f"old{turn}")

        def expire(gone: content.Image = image) -> None:
            with bench.write() as ctx:
                images.delete_unneeded(ctx, repository, [gone.digest])

        def again_pushed(same: content.Image = image, tag: str = f"new{turn}") -> None:
            with bench.write() as ctx:
                images.put(ctx, repository, parse(same.manifest), tags=[Tag(tag)])

        outcomes = race(expire, again_pushed)
        assert outcomes[0] == "ok"
        assert outcomes[1] == "ok"
        gc(bench)
        require_whole(bench, repository)


def test_nothing_is_left_when_all_is_deleted(bench: Bench) -> None:
    """Pushes, deletions and three collectors at once, over and over; then all goes, and not a byte remains."""
    ours = [bench.repository(f"race-{uuid.uuid4().hex}") for _ in range(2)]
    shared = content.layer()
    pool = [content.image(shared) for _ in range(3)]

    def one_push(repository: Repository, image: content.Image) -> None:
        push(bench, repository, image, f"v{pool.index(image)}")

    def one_delete(repository: Repository, image: content.Image) -> None:
        delete(bench, repository, image.digest)

    def hurried_gc() -> None:
        due(bench)
        gc(bench)

    for turn in range(TURNS):
        repository, image = ours[turn % 2], pool[turn % 3]
        race(
            partial(one_push, repository, image),
            partial(one_push, ours[0], pool[0]),
            partial(one_delete, repository, image),
            hurried_gc,
            hurried_gc,
        )
        for each in ours:
            require_whole(bench, each)
    for each in ours:
        for (digest,) in bench.rows(sa.select(manifests.c.digest).where(manifests.c.repository_id == each.id)):
            again(partial(delete, bench, each, digest))
    gc_to_the_end(bench)
    mine = {content.digest_of(part) for image in pool for part in (image.config, *image.layers)}
    assert not bench.rows(sa.select(blobs.c.digest).where(blobs.c.digest.in_(mine)))
    assert not bench.rows(sa.select(condemned))
