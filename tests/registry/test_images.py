"""Images: put, tagged, untagged, deleted, listed, by the rules that every door shares."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from moorage.domain.errors import (
    Failure,
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageReferencedByManifestList,
    ImageTagAlreadyExists,
    LayerInaccessible,
    LayerNotFound,
    LayerReferenced,
    LimitExceeded,
    ReferencedImagesNotFound,
    RepositoryNotFound,
    RequiredLayersNotFound,
)
from moorage.domain.manifests import OCI_INDEX
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.registry import images, layers, listing, repositories
from moorage.registry.tables import edges, manifests
from tests import content
from tests.oci.wire import ABSENT, sha512_of
from tests.registry.kit import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.registry.repositories import Repository


def names_of(bench: Bench, repository: Repository | None = None) -> dict[str, str]:
    """Return the tags of a repository and what they point to."""
    with bench.read() as ctx:
        found = listing.tag_names(ctx, repository or bench.first, limit=1000, after="")
        pointed = {tag: images.digest_of_tag(ctx, repository or bench.first, tag) for tag in found}
    return {tag: str(digest) for tag, digest in pointed.items()}


def untagged(bench: Bench) -> list[str]:
    """Return the images without a tag, as ListImages finds them."""
    with bench.read() as ctx:
        page = listing.image_ids(ctx, bench.first, listing.Selection(False), limit=None, next_token=None)
    return [item.digest for item in page.items]


def refused(bench: Bench, failure: type[Failure], body: bytes, *tags: str, **more: Any) -> str:
    """Check that a put fails so and leaves every row as it was; return the message."""
    before = bench.snapshot()
    with pytest.raises(failure) as caught:
        bench.put(body, *tags, **more)
    assert bench.snapshot() == before
    return caught.value.message


def variant(image: content.Image, **more: Any) -> bytes:
    """Return another manifest of the same layers."""
    return json.dumps(json.loads(image.manifest) | more).encode()


def test_an_image_is_found_by_tag_and_digest(bench: Bench) -> None:
    """What was put comes back under each of its names, with its type and its bytes."""
    image = bench.image("a", "b")

    with bench.read() as ctx:
        found = [images.get(ctx, bench.first, name) for name in (Tag("a"), Tag("b"), Digest(image.digest))]

    assert {(f.digest, f.media_type, f.body) for f in found} == {(image.digest, image.media_type, image.manifest)}


def test_putting_again_changes_nothing(bench: Bench) -> None:
    """The same image under the same tag is unchanged; under another one it is not."""
    image = bench.image("a")
    before = bench.snapshot()

    assert bench.put(image.manifest, "a").unchanged
    assert bench.put(image.manifest).unchanged
    assert bench.snapshot() == before
    assert not bench.put(image.manifest, "b").unchanged


def test_a_tag_moves(bench: Bench) -> None:
    """A tag put on another image leaves the first one, which keeps its other tags."""
    first = bench.image("a", "b")
    second = bench.image("a")

    assert names_of(bench) == {"a": second.digest, "b": first.digest}
    assert untagged(bench) == []
    third = bench.image("b")
    assert names_of(bench) == {"a": second.digest, "b": third.digest}
    assert untagged(bench) == [first.digest]


def test_several_tags_or_none(bench: Bench) -> None:
    """If one of several tags cannot be set, none is."""
    bench.repository("fixed", tag_mutability="IMMUTABLE")
    with bench.read() as ctx:
        fixed = repositories.get(ctx, RepositoryName("fixed"))
    index = content.index()
    bench.put(index, "taken", repository=fixed)

    message = refused(
        bench, ImageTagAlreadyExists, content.index(annotations={"n": "2"}), "new", "taken", repository=fixed
    )

    assert "'taken' already exists in the 'fixed' repository" in message
    assert names_of(bench, fixed) == {"taken": content.digest_of(index)}


def test_an_immutable_tag_may_be_put_again(bench: Bench) -> None:
    """The very same image under its immutable tag is unchanged, and a new tag can be set."""
    fixed = bench.repository("fixed", tag_mutability="IMMUTABLE")
    index = content.index()
    bench.put(index, "a", repository=fixed)

    assert bench.put(index, "a", repository=fixed).unchanged
    assert not bench.put(index, "a", "b", repository=fixed).unchanged


@pytest.mark.parametrize(
    ("mutability", "filters", "fixed"),
    [
        ("MUTABLE", (), {"dev-1": False, "v1": False}),
        ("IMMUTABLE", (), {"dev-1": True, "v1": True}),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",), {"dev-1": False, "v1": True}),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), {"dev-1": False, "v1": True}),
    ],
)
def test_which_tags_are_fixed(bench: Bench, mutability: str, filters: tuple[str, ...], fixed: dict[str, bool]) -> None:
    """Each of the four settings decides for each tag whether it may move."""
    repository = bench.repository("other", tag_mutability=mutability, mutability_filters=filters)

    assert {tag: images.is_immutable(repository, tag) for tag in fixed} == fixed


def test_layers_must_be_there(bench: Bench) -> None:
    """A manifest names every layer that is missing, in its order, and nothing is stored."""
    image = content.image(count=3)
    bench.blob(image.layers[1])
    lost = [content.digest_of(part) for part in (image.config, image.layers[0], image.layers[2])]

    assert f"[{', '.join(lost)}]" in refused(bench, RequiredLayersNotFound, image.manifest, "v1")


def test_layers_of_another_repository_are_not_there(bench: Bench) -> None:
    """A layer counts only in the repository that has it."""
    image = bench.image()
    second = bench.repository("second")

    refused(bench, RequiredLayersNotFound, image.manifest, repository=second)


def test_images_of_an_index_must_be_there(bench: Bench) -> None:
    """An index names every image that is missing, and nothing is stored."""
    here, lost = bench.image(), content.image()

    assert f"[{lost.digest}]" in refused(bench, ReferencedImagesNotFound, content.index(here, lost), "v1")


def test_an_index_of_nothing(bench: Bench) -> None:
    """An index without images is an index."""
    assert bench.put(content.index(), "v1").digest == content.digest_of(content.index())


def test_with_sparse_manifests_nothing_need_be_there(tmp_path: Path) -> None:
    """With the setting, manifests are stored whatever they refer to."""
    with Bench.opened(tmp_path, sparse_manifests=True) as bench:
        bench.put(content.image().manifest, "image")
        bench.put(content.index(content.image()), "index")
        assert set(names_of(bench)) == {"image", "index"}


def test_a_digest_must_be_that_of_the_bytes(bench: Bench) -> None:
    """A wrong digest of either algorithm stores nothing; a right SHA-512 is the image's name."""
    body = content.index()
    for wrong in (ABSENT, "sha512:" + "0" * 128):
        refused(bench, ImageDigestDoesNotMatch, body, "v1", digest=wrong)

    assert bench.put(body, "v1", digest=sha512_of(body)).digest == sha512_of(body)


def test_nothing_is_put_into_a_deleted_repository(bench: Bench) -> None:
    """A repository that was deleted meanwhile takes no image."""
    gone = bench.repository("gone")
    with bench.write() as ctx:
        repositories.delete(ctx, gone, force=True)

    with pytest.raises(RepositoryNotFound):
        bench.put(content.index(), "v1", repository=gone)


def test_an_image_has_at_most_a_thousand_tags(bench: Bench) -> None:
    """The thousandth tag is set, the next one is refused."""
    body = content.index()
    bench.put(body, *[f"t{n}" for n in range(1000)])

    refused(bench, LimitExceeded, body, "one-more")


def test_edges_tell_what_a_manifest_refers_to(bench: Bench) -> None:
    """Config, layers, images and subject each have their edge, once, and go with the manifest."""
    subject = bench.image()
    part = content.layer()
    image = content.image(part, part, subject=content.descriptor(subject.manifest, subject.media_type))
    bench.image(pushed=image)
    index = content.index(image, image)
    bench.put(index)

    def found(parent: str) -> set[tuple[str, str]]:
        return {(r.child, r.kind) for r in bench.rows(sa.select(edges).where(edges.c.parent == parent))}

    assert found(image.digest) == {
        (content.digest_of(image.config), "layer"),
        (content.digest_of(part), "layer"),
        (subject.digest, "subject"),
    }
    assert found(content.digest_of(index)) == {(image.digest, "image")}
    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(content.digest_of(index)))
    assert found(content.digest_of(index)) == set()


def test_sizes_are_those_declared(bench: Bench) -> None:
    """An image is as large as its config and layers, an index as its largest image."""
    small, large = bench.image(), bench.image(pushed=content.image(count=3))
    index = content.index(small, large)
    bench.put(index)

    sizes = {r.digest: r.image_size for r in bench.rows(sa.select(manifests.c.digest, manifests.c.image_size))}

    assert sizes == {small.digest: small.size, large.digest: large.size, content.digest_of(index): large.size}


# --- Deleting ------------------------------------------------------------------------


def test_a_deleted_image_takes_its_tags(bench: Bench) -> None:
    """Deleting by digest returns the tags that went with it."""
    image = bench.image("b", "a")

    with bench.write() as ctx:
        assert images.delete(ctx, bench.first, Digest(image.digest)) == ["a", "b"]

    assert names_of(bench) == {}
    with pytest.raises(ImageNotFound), bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(image.digest))


def test_the_last_tag_takes_the_image(bench: Bench) -> None:
    """A tag goes alone until it is the last, and then the image goes too."""
    image = bench.image("a", "b")

    def untag(tag: str) -> str:
        with bench.write() as ctx:
            return images.untag(ctx, bench.first, Tag(tag))

    assert [untag("a"), untag("b")] == [image.digest] * 2
    with bench.read() as ctx:
        assert images.find(ctx, bench.first, Digest(image.digest)) is None
    with pytest.raises(ImageNotFound):
        untag("a")


def test_an_image_of_an_index_stays(bench: Bench) -> None:
    """While an index names it, an image is neither deleted nor does it lose its last tag; with leave it loses that."""
    child = bench.image("child")
    index = content.index(child)
    bench.put(index, "index")

    for attempt in (
        lambda ctx: images.delete(ctx, bench.first, Digest(child.digest)),
        lambda ctx: images.untag(ctx, bench.first, Tag("child")),
    ):
        before = bench.snapshot()
        with pytest.raises(ImageReferencedByManifestList, match=content.digest_of(index)), bench.write() as ctx:
            attempt(ctx)
        assert bench.snapshot() == before
    with bench.write() as ctx:
        images.untag(ctx, bench.first, Tag("child"), keep_children=True)
    with bench.read() as ctx:
        assert images.exists(ctx, bench.first, child.digest)
        page = listing.image_ids(ctx, bench.first, listing.Selection(False), limit=None, next_token=None)
    assert page.items == [(child.digest, None)]


def test_referrers_go_with_their_subject(bench: Bench) -> None:
    """What refers to a deleted image is deleted, and what refers to that; not what an index names."""
    subject = bench.image("v1")
    artifact, listed = (bench.image(pushed=referring(subject)) for _ in range(2))
    second = bench.image("signature", pushed=referring(artifact))
    bench.put(content.index(listed), "all")

    with bench.write() as ctx:
        assert images.delete(ctx, bench.first, Digest(subject.digest)) == ["v1"]
        left = [one.digest for one in (artifact, second, listed) if images.exists(ctx, bench.first, one.digest)]
    assert left == [listed.digest]


def referring(subject: content.Image) -> content.Image:
    """Return an image that refers to another."""
    return content.image(subject=content.descriptor(subject.manifest, subject.media_type))


def test_layers_outlive_their_image(bench: Bench) -> None:
    """A layer stays until it is taken away itself, which it can be once no image needs it."""
    image = bench.image("v1")
    digest = content.digest_of(image.layers[0])

    def unlink() -> None:
        with bench.write() as ctx:
            layers.unlink(ctx, bench.first, layers.get(ctx, bench.first, digest))

    with pytest.raises(LayerReferenced):
        unlink()
    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(image.digest))
    with bench.read() as ctx, pytest.raises(LayerInaccessible):
        layers.require_referenced(ctx, bench.first, digest)
    unlink()
    with pytest.raises(LayerNotFound):
        unlink()


def test_a_repository_takes_everything_with_it(bench: Bench) -> None:
    """A deleted repository leaves no row but those of the bytes, for the collector to look at."""
    doomed = bench.repository("doomed")
    before = bench.snapshot()
    child = content.image()
    for part in (child.config, *child.layers):
        bench.blob(part, doomed)
    bench.put(child.manifest, "v1", repository=doomed)
    bench.put(content.index(child), "v2", repository=doomed)
    bench.begin(doomed)

    with bench.write() as ctx:
        repositories.delete(ctx, doomed, force=True)

    after = bench.snapshot()
    ours = {table for table in before if table not in {"blobs", "repositories", "usage", "loose_blobs", "condemned"}}
    assert {table: after[table] for table in ours} == {table: before[table] for table in ours}
    for table in ("repositories", "usage"):
        assert len(after[table]) == len(before[table]) - 1


# --- Listing -------------------------------------------------------------------------


def test_lists_keep_their_place(bench: Bench) -> None:
    """What is put or deleted between two pages moves no other entry to another page."""
    for tag in ("b", "d", "f", "h"):
        bench.put(content.index(annotations={"tag": tag}), tag)
    with bench.read() as ctx:
        page = listing.image_ids(ctx, bench.first, listing.Selection(True), limit=2, next_token=None)
    bench.put(content.index(annotations={"tag": "a"}), "a", "c")
    with bench.write() as ctx:
        images.untag(ctx, bench.first, Tag("d"))

    with bench.read() as ctx:
        rest = listing.image_ids(ctx, bench.first, listing.Selection(True), limit=10, next_token=page.next_token)

    assert [item.tag for item in page.items + rest.items] == ["b", "d", "f", "h"]


def test_details_are_in_the_order_of_their_pushes(bench: Bench) -> None:
    """Images are described oldest first, in pages that lose none of those pushed at the same moment."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(6):
        bench.registry.clock = lambda at=number // 3: start + timedelta(seconds=at)  # type: ignore[misc]
        bench.put(content.index(annotations={"n": str(number)}))
    bench.registry.clock = lambda: start
    seen, token = [], None
    with bench.read() as ctx:
        while True:
            page = listing.details(ctx, bench.first, listing.Selection(None), limit=2, next_token=token)
            seen += page.items
            token = page.next_token
            if token is None:
                break

    assert len({item.digest for item in seen}) == 6
    assert [(item.pushed_at, item.digest) for item in seen] == sorted((i.pushed_at, i.digest) for i in seen)
    assert {item.media_type for item in seen} == {OCI_INDEX}
