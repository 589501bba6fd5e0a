"""A repository against a naive model of it: whatever the order of operations, both say the same."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from moorage.domain import manifests as documents
from moorage.domain.errors import (
    ImageNotFound,
    ImageReferencedByManifestList,
    ImageStorageClassUpdateNotSupported,
    LayerNotFound,
    LayerReferenced,
    ReferencedImagesNotFound,
    RequiredLayersNotFound,
)
from moorage.domain.names import Digest, Tag
from moorage.registry import archive, images, layers, listing, referrers, uploads
from moorage.registry.tables import edges, manifests, repository_blobs, tags
from tests import content

if TYPE_CHECKING:
    from tests.registry.kit import Bench

TAGS = st.sampled_from(["a", "b", "c"])
BLOBS = st.integers(0, 3)
IMAGES = st.integers(0, 4)


def blob(number: int) -> bytes:
    """Return one of a few blobs."""
    return f"blob {number}".encode()


def image(number: int) -> bytes:
    """Return one of a few image manifests: each of two blobs, some with the image before them as their subject."""
    first, second = blob(number % 4), blob((number // 2) % 4)
    subject = {"subject": content.descriptor(image(number - 1), documents.OCI_IMAGE)} if number % 3 == 2 else {}
    document = {
        "schemaVersion": 2,
        "mediaType": documents.OCI_IMAGE,
        "config": content.descriptor(first, content.CONFIG),
        "layers": [content.descriptor(second, content.LAYER)],
        "annotations": {"n": str(number)},
        **subject,
    }
    return json.dumps(document).encode()


def index(numbers: list[int]) -> bytes:
    """Return an index of some of the images."""
    children = [content.descriptor(image(number), documents.OCI_IMAGE) for number in numbers]
    return json.dumps({"schemaVersion": 2, "mediaType": documents.OCI_INDEX, "manifests": children}).encode()


@dataclass
class Model:
    """What a repository is, said as simply as possible."""

    blobs: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)

    def needs(self, digest: str) -> tuple[set[str], set[str]]:
        """Return the blobs and the images that a stored manifest needs."""
        return needs(self.stored[digest])

    def parents(self, digest: str) -> list[str]:
        """Return the stored indexes that name an image."""
        return sorted(parent for parent in self.stored if digest in self.needs(parent)[1])

    def names(self, digest: str) -> list[str]:
        """Return the tags of an image."""
        return sorted(tag for tag, target in self.tags.items() if target == digest)

    def drop(self, digest: str) -> None:
        """Forget an image and its tags, and what refers to it."""
        del self.stored[digest]
        self.archived.discard(digest)
        self.tags = {tag: target for tag, target in self.tags.items() if target != digest}
        for referrer in self.referrers(digest):
            if not self.parents(referrer):
                self.drop(referrer)

    def referrers(self, digest: str) -> list[str]:
        """Return what refers to an image."""
        return [d for d, body in self.stored.items() if json.loads(body).get("subject", {}).get("digest") == digest]

    def follows(self, digest: str, *, archived: bool) -> bool:
        """Tell whether an image only goes with another one: its subject, or an index that is archived or not."""
        subject = json.loads(self.stored[digest]).get("subject", {}).get("digest")
        return subject in self.stored or any((p in self.archived) == archived for p in self.parents(digest))

    def archive(self, digest: str) -> None:
        """Archive an image; then whatever nothing in use holds any more, until nothing changes."""
        gone = {digest}
        while more := {
            one
            for parent in gone
            for one in {*self.referrers(parent), *(c for c in self.needs(parent)[1] if not self.names(c))} - gone
            if set(self.parents(one)) <= gone | self.archived
        }:
            gone |= more
        self.archived |= gone

    def revive(self, digest: str) -> None:
        """Take an image back into use, with its children and what refers to any of them."""
        if digest in self.archived:
            self.archived.discard(digest)
            for one in {*self.needs(digest)[1], *self.referrers(digest)}:
                self.revive(one)


def needs(body: bytes) -> tuple[set[str], set[str]]:
    """Return the blobs and the images that a manifest needs."""
    document: dict[str, Any] = json.loads(body)
    described = [document["config"], *document["layers"]] if "config" in document else []
    return {d["digest"] for d in described}, {d["digest"] for d in document.get("manifests", [])}


class Machine(RuleBasedStateMachine):
    """Does the same to a real repository and to the model."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench, self.pool = bench, bench.first
        self.repository = bench.repository(f"r-{uuid.uuid4().hex}")
        self.model = Model()

    # --- What can be done ---

    @rule(number=BLOBS)
    def push_blob(self, number: int) -> None:
        """Give the repository a blob that another one has, there or not."""
        digest = content.digest_of(blob(number))
        with self.bench.write() as ctx:
            uploads.mount(ctx, self.repository, layers.get(ctx, self.pool, digest))
        self.model.blobs.add(digest)

    @rule(number=BLOBS)
    def delete_blob(self, number: int) -> None:
        """Take a blob away."""
        digest = content.digest_of(blob(number))
        failure: type[Exception] | None = None
        if digest not in self.model.blobs:
            failure = LayerNotFound
        elif any(digest in self.model.needs(parent)[0] for parent in self.model.stored):
            failure = LayerReferenced
        if failure:
            with pytest.raises(failure), self.bench.write() as ctx:
                layers.unlink(ctx, self.repository, layers.get(ctx, self.repository, digest))
            return
        with self.bench.write() as ctx:
            layers.unlink(ctx, self.repository, layers.get(ctx, self.repository, digest))
        self.model.blobs.discard(digest)

    @rule(number=IMAGES, named=st.lists(TAGS, unique=True, max_size=2), whole=st.booleans())
    def put_image(self, number: int, named: list[str], whole: bool) -> None:
        """Put an image under no, one or two tags, with its blobs or in the hope that they are there."""
        for part in {number % 4, (number // 2) % 4} if whole else ():
            self.push_blob(part)
        self.put(image(number), named)

    @rule(numbers=st.lists(IMAGES, unique=True, max_size=2), named=st.lists(TAGS, max_size=1), whole=st.booleans())
    def put_index(self, numbers: list[int], named: list[str], whole: bool) -> None:
        """Put an index, with its images or in the hope that they are there."""
        for number in numbers if whole else ():
            self.put_image(number, [], whole=True)
        self.put(index(numbers), named)

    @precondition(lambda self: self.model.stored)
    @rule(data=st.data(), named=st.lists(TAGS, unique=True, min_size=1, max_size=2))
    def tag(self, data: st.DataObject, named: list[str]) -> None:
        """Put tags on what is there."""
        self.put(self.model.stored[data.draw(st.sampled_from(sorted(self.model.stored)))], named)

    def put(self, body: bytes, named: list[str]) -> None:
        """Put a manifest on both sides."""
        digest, (blobs, children) = content.digest_of(body), needs(body)
        failure: type[Exception] | None = None
        if digest not in self.model.stored:
            if not blobs <= self.model.blobs:
                failure = RequiredLayersNotFound
            elif not children <= set(self.model.stored) - self.model.archived:
                failure = ReferencedImagesNotFound
        unchanged = digest in self.model.stored and all(self.model.tags.get(tag) == digest for tag in named)
        unchanged = unchanged and digest not in self.model.archived
        if failure:
            with pytest.raises(failure):
                self.bench.put(body, *named, repository=self.repository)
            return
        assert self.bench.put(body, *named, repository=self.repository).unchanged == unchanged
        self.model.stored[digest] = body
        self.model.tags.update(dict.fromkeys(named, digest))
        self.model.revive(digest)

    @precondition(lambda self: self.model.stored)
    @rule(data=st.data(), back=st.booleans())
    def change_class(self, data: st.DataObject, back: bool) -> None:
        """Archive an image, or restore it."""
        digest = data.draw(st.sampled_from(sorted(self.model.stored)))
        change = archive.restore if back else archive.archive
        if (digest in self.model.archived) != back or self.model.follows(digest, archived=back):
            with pytest.raises(ImageStorageClassUpdateNotSupported), self.bench.write() as ctx:
                change(ctx, self.repository, digest)
            return
        with self.bench.write() as ctx:
            change(ctx, self.repository, digest)
        if back:
            self.model.revive(digest)
        else:
            self.model.archive(digest)

    @rule(tag=TAGS, keep=st.booleans())
    def untag(self, tag: str, keep: bool) -> None:
        """Remove a tag, and with the last one the image."""
        digest = self.model.tags.get(tag)
        last = digest is not None and self.model.names(digest) == [tag]
        held = digest is not None and bool(self.model.parents(digest))
        failure: type[Exception] | None = None
        if digest is None:
            failure = ImageNotFound
        elif last and held and not keep:
            failure = ImageReferencedByManifestList
        if failure or digest is None:
            with pytest.raises(failure or ImageNotFound), self.bench.write() as ctx:
                images.untag(ctx, self.repository, Tag(tag), keep_children=keep)
            return
        with self.bench.write() as ctx:
            assert images.untag(ctx, self.repository, Tag(tag), keep_children=keep) == digest
        if last and not held:
            self.model.drop(digest)
        else:
            del self.model.tags[tag]

    @rule(body=IMAGES.map(image) | st.lists(IMAGES, unique=True, max_size=2).map(index))
    def delete(self, body: bytes) -> None:
        """Delete an image or an index by its digest."""
        digest = content.digest_of(body)
        failure: type[Exception] | None = None
        if digest not in self.model.stored:
            failure = ImageNotFound
        elif self.model.parents(digest):
            failure = ImageReferencedByManifestList
        if failure:
            with pytest.raises(failure), self.bench.write() as ctx:
                images.delete(ctx, self.repository, Digest(digest))
            return
        with self.bench.write() as ctx:
            assert images.delete(ctx, self.repository, Digest(digest)) == self.model.names(digest)
        self.model.drop(digest)

    @rule(
        size=st.integers(1, 4),
        tagged=st.sampled_from([None, True, False]),
        status=st.sampled_from(["ACTIVE", "ARCHIVED", None]),
    )
    def list_pages(self, size: int, tagged: bool | None, status: str | None) -> None:
        """List in pages, and find each entry once."""
        found: list[tuple[str, str | None]] = []
        token: str | None = None
        with self.bench.read() as ctx:
            while token or not found:
                page = listing.image_ids(
                    ctx, self.repository, listing.Selection(tagged, status), limit=size, next_token=token
                )
                found += page.items
                token = page.next_token
                if token is None:
                    break
                assert len(page.items) == size
        entries: list[tuple[str, str | None]] = []
        if tagged is not False:
            entries += [(self.model.tags[tag], tag) for tag in sorted(self.model.tags)]
        if tagged is not True:
            entries += [(d, None) for d in sorted(self.model.stored) if not self.model.names(d)]
        wanted = {None: {True, False}, "ACTIVE": {False}, "ARCHIVED": {True}}[status]
        assert found == [entry for entry in entries if (entry[0] in self.model.archived) in wanted]

    def rows(self, table: sa.Table) -> list[Any]:
        """Return the repository's rows of a table."""
        return self.bench.rows(sa.select(table).where(table.c.repository_id == self.repository.id))

    # --- What always holds ---

    @invariant()
    def says_the_same(self) -> None:
        """Blobs, manifests, tags and their edges are those of the model."""
        assert {row.digest for row in self.rows(repository_blobs)} == self.model.blobs
        assert {row.digest: row.body for row in self.rows(manifests)} == self.model.stored
        assert {row.name: row.digest for row in self.rows(tags)} == self.model.tags
        flags = {row.digest: row.tagged for row in self.rows(manifests)}
        assert flags == {digest: bool(self.model.names(digest)) for digest in self.model.stored}
        assert {(row.parent, row.child) for row in self.rows(edges) if row.kind != "subject"} == {
            (parent, child) for parent in self.model.stored for part in self.model.needs(parent) for child in part
        }

    @invariant()
    def serves_what_is_in_use(self) -> None:
        """What is archived cannot be pulled, everything else can, and an index in use has its images in use."""
        in_use = set(self.model.stored) - self.model.archived
        with self.bench.read() as ctx:
            assert {d for d in self.model.stored if images.find(ctx, self.repository, Digest(d))} == in_use
            served = {tag for tag in self.model.tags if images.find(ctx, self.repository, Tag(tag))}
            assert served == {tag for tag, digest in self.model.tags.items() if digest in in_use}
            for wanted in self.model.blobs:
                users = {d for d in self.model.stored if wanted in self.model.needs(d)[0]}
                assert layers.is_archived(ctx, self.repository, wanted) == (bool(users) and not users & in_use)
        assert all(self.model.needs(digest)[1] <= in_use for digest in in_use)

    @invariant()
    def is_complete(self) -> None:
        """Every stored manifest has its layers, with the right bytes, and its images."""
        for digest in self.model.stored:
            blobs, children = self.model.needs(digest)
            assert blobs <= self.model.blobs
            assert children <= set(self.model.stored)
            for wanted in blobs:
                data = self.bench.stored(wanted, self.repository)
                assert data is not None
                assert content.digest_of(data) == wanted

    @invariant()
    def lists_referrers(self) -> None:
        """What refers to an image is listed under it, there or not, unless it is archived."""
        wanted: dict[str, set[str]] = {}
        for digest, body in self.model.stored.items():
            if (subject := json.loads(body).get("subject")) and digest not in self.model.archived:
                wanted.setdefault(subject["digest"], set()).add(digest)
        with self.bench.read() as ctx:
            for subject in {Digest.of(image(number)) for number in range(5) if number % 3 == 1}:
                found = referrers.referrers(ctx, self.repository, subject, artifact_type=None, after="")
                assert {item["digest"] for item in found.items} == wanted.get(subject, set())


def test_a_repository_is_what_the_model_says(bench: Bench) -> None:
    """No order of pushes, deletes and lists makes a repository differ from its model."""
    for number in range(4):
        bench.blob(blob(number))
    machine: Any = lambda: Machine(bench)  # noqa: E731 (a class is asked for, and a factory will do)
    # What takes microseconds on SQLite takes round trips on PostgreSQL.
    examples = 6 if bench.settings.database_is_shared else 25
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None))
