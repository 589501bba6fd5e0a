"""Writers that meet: of every two, the result is as if one had come first."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.domain.manifests import parse
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.registry import images, layers, repositories, uploads
from moorage.registry.again import again
from moorage.registry.tables import blobs, edges, manifests, repository_blobs, tags
from tests import content
from tests.races.race import TURNS, race

if TYPE_CHECKING:
    from moorage.registry.repositories import Repository
    from tests.registry.kit import Bench

WRITERS = 6


def rows(bench: Bench, table: sa.Table, repository: Repository) -> list[Any]:
    """Return a repository's rows of a table."""
    return bench.rows(sa.select(table).where(table.c.repository_id == repository.id))


def push_layers(bench: Bench, repository: Repository, image: content.Image) -> None:
    """Push config and layers."""
    for part in (image.config, *image.layers):
        bench.blob(part, repository)


def new_images(bench: Bench, repository: Repository, count: int) -> list[content.Image]:
    """Push the layers of several images that are alike but for an annotation."""
    first = content.image()
    push_layers(bench, repository, first)
    made = [content.image(*first.layers, annotations={"n": str(number)}) for number in range(count)]
    for image in made:
        bench.blob(image.config, repository)
    return made


def require_whole(bench: Bench, repository: Repository) -> None:
    """Assert what holds of a repository whatever happened: no tag, edge or manifest leads nowhere."""
    stored = {row.digest: row for row in rows(bench, manifests, repository)}
    named = {row.name: row.digest for row in rows(bench, tags, repository)}
    linked = {row.digest for row in rows(bench, repository_blobs, repository)}
    assert set(named.values()) <= set(stored)
    assert {digest for digest, row in stored.items() if row.tagged} == set(named.values())
    for edge in rows(bench, edges, repository):
        assert edge.parent in stored
        assert edge.child in (linked if edge.kind == "layer" else stored)


# --- Tags ------------------------------------------------------------------------------------


def test_moves_of_one_tag(bench: Bench, repository: Repository) -> None:
    """Of many who move one tag all succeed, and it stands on what one of them put."""
    pushed = new_images(bench, repository, WRITERS)
    for _ in range(TURNS):
        outcomes = race(*[partial(bench.put, image.manifest, "latest", repository=repository) for image in pushed])
        assert outcomes == ["ok"] * WRITERS
        require_whole(bench, repository)
        assert [row.name for row in rows(bench, tags, repository)] == ["latest"]


def test_an_immutable_tag_is_set_once(bench: Bench) -> None:
    """Of many who push different images to one new immutable tag exactly one has it, and the others are told."""
    repository = bench.repository(f"race-{uuid.uuid4().hex}", tag_mutability="IMMUTABLE")
    pushed = new_images(bench, repository, WRITERS)
    for turn in range(TURNS):
        tag = f"v{turn}"
        outcomes = race(*[partial(bench.put, image.manifest, tag, repository=repository) for image in pushed])
        assert sorted(outcomes) == ["ImageTagAlreadyExists"] * (WRITERS - 1) + ["ok"]
        (winner,) = [image.digest for image, outcome in zip(pushed, outcomes, strict=True) if outcome == "ok"]
        with bench.read() as ctx:
            assert images.digest_of_tag(ctx, repository, tag) == winner


def test_a_tag_that_becomes_immutable(bench: Bench, repository: Repository) -> None:
    """A tag is moved before its repository becomes immutable, or not at all: what is refused has not happened."""
    one, two = new_images(bench, repository, 2)

    def set_to(mode: str) -> None:
        with bench.write() as ctx:
            repositories.set_mutability(ctx, repository, mode, [])

    def move() -> None:
        # As a door does: the repository is found first, and its row locked later.
        with bench.write() as ctx:
            found = repositories.get(ctx, repository.name)
            images.put(ctx, found, parse(two.manifest), tags=[Tag("latest")])

    for _ in range(TURNS):
        set_to("MUTABLE")
        bench.put(one.manifest, "latest", repository=repository)
        done, moved = race(partial(set_to, "IMMUTABLE"), move)
        with bench.read() as ctx:
            stands_on = images.digest_of_tag(ctx, repository, "latest")
        assert (done, moved, stands_on) in {
            ("ok", "ok", two.digest),
            ("ok", "ImageTagAlreadyExists", one.digest),
        }


# --- Deletes against pushes ---------------------------------------------------------------------


def test_a_layer_deleted_as_it_is_needed(bench: Bench, repository: Repository) -> None:
    """A layer is deleted, or an image that needs it is pushed: one of the two is refused."""
    seen = set()
    for _ in range(TURNS):
        image = content.image()
        push_layers(bench, repository, image)
        wanted = content.digest_of(image.layers[0])

        def unlink(digest: str = wanted) -> None:
            with bench.write() as ctx:
                layers.unlink(ctx, repository, layers.get(ctx, repository, digest))

        seen.add(tuple(race(partial(bench.put, image.manifest, repository=repository), unlink)))
        require_whole(bench, repository)
    assert seen <= {("ok", "LayerReferenced"), ("RequiredLayersNotFound", "ok")}


def test_a_layer_pushed_as_it_is_deleted(bench: Bench, repository: Repository) -> None:
    """A layer that is pushed while the same layer is deleted is there afterwards if the push came last, and is whole."""
    for turn in range(TURNS):
        data = f"layer {turn}".encode() * 100
        digest = bench.blob(data, repository)

        def unlink(digest: str = digest) -> None:
            with bench.write() as ctx:
                layers.unlink(ctx, repository, layers.get(ctx, repository, digest))

        pushed, deleted = race(partial(bench.blob, data, repository), unlink)
        assert (pushed, deleted) == ("ok", "ok")
        assert bench.stored(digest, repository) in {None, data}
        bench.blob(data, repository)
        assert bench.stored(digest, repository) == data


def test_a_child_deleted_as_an_index_names_it(bench: Bench, repository: Repository) -> None:
    """An image is deleted, or an index that names it is pushed: one of the two is refused."""
    seen = set()
    for _ in range(TURNS):
        child = content.image()
        push_layers(bench, repository, child)
        bench.put(child.manifest, repository=repository)
        index = content.index(child)

        def delete(digest: str = child.digest) -> None:
            with bench.write() as ctx:
                images.delete(ctx, repository, Digest(digest))

        seen.add(tuple(race(partial(bench.put, index, repository=repository), delete)))
        require_whole(bench, repository)
    assert seen <= {("ok", "ImageReferencedByManifestList"), ("ReferencedImagesNotFound", "ok")}


def test_the_last_tag_removed_as_another_is_set(bench: Bench, repository: Repository) -> None:
    """An image loses its last tag, and with it is deleted, or gets another one first and stays: never a tag on nothing."""
    image = content.image()
    push_layers(bench, repository, image)

    def untag() -> None:
        with bench.write() as ctx:
            images.untag(ctx, repository, Tag("old"))

    for _ in range(TURNS):
        bench.put(image.manifest, "old", repository=repository)
        outcomes = race(untag, partial(bench.put, image.manifest, "new", repository=repository))
        assert outcomes == ["ok", "ok"]
        require_whole(bench, repository)
        with bench.read() as ctx:
            assert images.digest_of_tag(ctx, repository, "new") == image.digest
            assert images.digest_of_tag(ctx, repository, "old") is None


def test_a_repository_deleted_under_a_push(bench: Bench) -> None:
    """A push to a repository that is deleted meanwhile is told that it is gone, at whatever step it was; nothing is left."""
    image = content.image()

    def begin(name: str) -> str:
        # As a door does: run anew, it looks for the repository again.
        with bench.write() as ctx:
            return uploads.begin(ctx, repositories.get(ctx, RepositoryName(name))).id

    def push(repository: Repository) -> None:
        for part in (image.config, *image.layers):
            with bench.appender(again(partial(begin, repository.name)), repository) as appender:
                appender.write(part)
                appender.finish([content.digest_of(part)])
        bench.put(image.manifest, "latest", repository=repository)

    def delete(repository: Repository, steps: int) -> None:
        for _ in range(steps):
            with bench.read():
                pass
        with bench.write() as ctx:
            repositories.delete(ctx, repository, force=True)

    for turn in range(TURNS):
        repository = bench.repository(f"race-{uuid.uuid4().hex}")
        pushed, deleted = race(partial(push, repository), partial(delete, repository, turn))
        assert deleted == "ok"
        assert pushed in {"ok", "RepositoryNotFound", "UploadNotFound"}
        for table in (manifests, tags, edges, repository_blobs):
            assert rows(bench, table, repository) == []
    with bench.read() as ctx:
        located = ctx.tx.execute(sa.select(blobs.c.location, blobs.c.size)).all()
    assert all(bench.registry.blobs.size(row.location) == row.size for row in located)


def test_a_cancel_against_a_completion(bench: Bench, repository: Repository) -> None:
    """An upload is completed, or cancelled: never is the completed layer without its bytes."""
    seen = set()
    for turn in range(TURNS):
        data = f"upload {turn} {uuid.uuid4()}".encode()
        upload = bench.begin(repository)

        def complete(upload: str = upload, data: bytes = data) -> None:
            with bench.appender(upload, repository) as appender:
                appender.write(data)
                appender.finish([content.digest_of(data)])

        def cancel(upload: str = upload) -> None:
            with bench.write() as ctx:
                uploads.cancel(ctx, repository, upload)

        completed, cancelled = race(complete, cancel)
        seen.add((completed, cancelled))
        assert bench.stored(content.digest_of(data), repository) == (data if completed == "ok" else None)
    assert seen <= {("ok", "UploadNotFound"), ("UploadNotFound", "ok")}


# --- Making the same thing ----------------------------------------------------------------------


def test_a_repository_is_created_once(bench: Bench) -> None:
    """Of many who create a repository of one name exactly one does, and the others are told."""
    for _ in range(TURNS):
        name = f"race-{uuid.uuid4().hex}"
        outcomes = race(*[partial(bench.repository, name)] * WRITERS)
        assert sorted(outcomes) == ["RepositoryAlreadyExists"] * (WRITERS - 1) + ["ok"]


def test_a_layer_is_stored_once(bench: Bench) -> None:
    """Of many who push the same bytes to different repositories all have them, and they are stored once."""
    targets = [bench.repository(f"race-{uuid.uuid4().hex}") for _ in range(WRITERS)]
    for turn in range(TURNS):
        data = f"same {turn} {uuid.uuid4()}".encode()
        assert race(*[partial(bench.blob, data, target) for target in targets]) == ["ok"] * WRITERS
        digest = content.digest_of(data)
        assert all(bench.stored(digest, target) == data for target in targets)
        assert len(bench.rows(sa.select(blobs).where(blobs.c.digest == digest))) == 1


def test_a_mount_against_a_delete(bench: Bench, repository: Repository) -> None:
    """A layer is mounted from a repository that is deleted: the mount has it whole, or there was nothing to mount."""
    for turn in range(TURNS):
        data = f"mounted {turn} {uuid.uuid4()}".encode()
        source = bench.repository(f"race-{uuid.uuid4().hex}")
        digest = bench.blob(data, source)

        def mount(source: Repository = source, digest: str = digest) -> None:
            with bench.write() as ctx:
                found = repositories.get(ctx, source.name)
                uploads.mount(ctx, repository, layers.get(ctx, found, digest))

        def delete(source: Repository = source) -> None:
            with bench.write() as ctx:
                repositories.delete(ctx, source, force=True)

        mounted, deleted = race(mount, delete)
        assert deleted == "ok"
        assert mounted in {"ok", "RepositoryNotFound", "LayerNotFound"}
        assert bench.stored(digest, repository) == (data if mounted == "ok" else None)


# --- Resource tags: what is read, changed and written back ----------------------------------------


def test_resource_tags_of_many(bench: Bench, repository: Repository) -> None:
    """Of many who each add a resource tag none loses another's."""

    def add(key: str) -> None:
        with bench.write() as ctx:
            found = repositories.get(ctx, RepositoryName(repository.name))
            repositories.set_tags(ctx, found, [{"Key": key, "Value": "v"}])

    for turn in range(TURNS):
        keys = [f"k{number}" for number in range(WRITERS)]
        assert race(*[partial(add, key) for key in keys]) == ["ok"] * WRITERS
        with bench.write() as ctx:
            assert set(repositories.get(ctx, repository.name).tags) == set(keys), turn
            repositories.remove_tags(ctx, repository, keys)
