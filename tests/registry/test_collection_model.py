"""The collector against a naive model: its steps come between pushes, mounts, deletions and restores, in any order."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from moorage import app
from moorage.config import Settings
from moorage.domain import manifests as documents
from moorage.domain.errors import (
    DeletedImageNotFound,
    ImageReferencedByManifestList,
    LayerNotFound,
    ReferencedImagesNotFound,
    RequiredLayersNotFound,
    UploadNotFound,
)
from moorage.domain.names import Digest, RepositoryName
from moorage.jobs import Run
from moorage.jobs.uploads import expire_uploads
from moorage.registry import collection, deleted, images, layers, repositories, uploads
from moorage.registry.sweep import sweep
from moorage.registry.tables import manifests, repository_blobs
from tests import content
from tests.crashing.checker import Checker, require_nothing_left
from tests.crashing.scenario import Restarted
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moorage.registry.collection import Bytes
    from moorage.registry.repositories import Repository
    from tests.postgres import Cluster

GRACE = timedelta(minutes=60)
WINDOW = timedelta(hours=24)
EXPIRY = timedelta(hours=24)
REPOSITORIES = st.integers(0, 1)
BLOBS = st.integers(0, 3)
IMAGES = st.integers(0, 4)
LIMITS = st.integers(1, 3)
MINUTES = st.sampled_from([1, 11, 31, 59, 61, 24 * 60, 3 * 24 * 60])
TAGS = st.sampled_from(["a", "b"])


@dataclass
class Kept:
    """A deleted image, as the model has it."""

    tags: list[str]
    until: datetime


@dataclass
class Model:
    """What a repository is."""

    real: Repository
    stored: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, Kept] = field(default_factory=dict)
    promised: dict[str, datetime] = field(default_factory=dict)
    """Layers that came, and until when they stay whatever happens."""


class Machine(RuleBasedStateMachine):
    """Two repositories that share a few blobs, a collector that stops after each step, and a clock that is moved."""

    def __init__(self, bench: Restarted) -> None:
        super().__init__()
        self.bench, run = bench, uuid.uuid4().hex[:12]
        self.now = datetime.now(UTC)
        bench.registry.clock = lambda: self.now
        self.models = [Model(bench.repository(f"c-{run}-{number}")) for number in range(2)]
        self.claimed: list[list[Bytes]] = []
        self.begun: list[tuple[int, str, bytes, datetime]] = []
        self.writing: list[tuple[int, contextlib.ExitStack, uploads.Appender, bytes]] = []
        self.checker = Checker()
        self.bodies: dict[str, bytes] = {}
        """Every manifest that was deleted."""

    def blob(self, number: int) -> bytes:
        """Return one of a few blobs: the same in each run, so that a repetition draws what the run drew."""
        return f"blob {number}".encode() * 50

    def image(self, number: int) -> bytes:
        """Return one of a few images, each of two blobs."""
        config = content.descriptor(self.blob(number % 4), content.CONFIG)
        layer = content.descriptor(self.blob((number + 1) % 3), content.LAYER)
        document = {"schemaVersion": 2, "mediaType": documents.OCI_IMAGE, "config": config, "layers": [layer]}
        return json.dumps({**document, "annotations": {"n": f"image {number}"}}).encode()

    def linked(self, model: Model) -> set[str]:
        """Return the layers that a repository has."""
        mine = repository_blobs.c.repository_id == model.real.id
        return {digest for (digest,) in self.bench.rows(sa.select(repository_blobs.c.digest).where(mine))}

    def promise(self, model: Model, digest: str) -> None:
        """Note that a layer came to a repository."""
        model.promised[digest] = self.now + GRACE

    # --- Those who push ---

    @rule(where=REPOSITORIES, number=BLOBS)
    def push_blob(self, where: int, number: int) -> None:
        """Upload a blob."""
        self.promise(self.models[where], self.bench.blob(self.blob(number), self.models[where].real))

    @rule(where=REPOSITORIES, number=BLOBS)
    def begin(self, where: int, number: int) -> None:
        """Upload half of a blob, and leave it at that for now."""
        data, model = self.blob(number), self.models[where]
        upload_id = self.bench.begin(model.real)
        with self.bench.appender(upload_id, model.real) as appender:
            appender.write(data[:100])
            appender.commit()
        self.begun.append((where, upload_id, data, self.now + EXPIRY))

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """Write the other half, and keep the upload open with all its bytes in the store; or be told that it is too late."""
        where, upload_id, blob, ends = self.begun.pop(data.draw(st.integers(0, len(self.begun) - 1)))
        held = contextlib.ExitStack()
        if ends <= self.now:
            with pytest.raises(UploadNotFound):
                held.enter_context(self.bench.appender(upload_id, self.models[where].real))
            return
        appender = held.enter_context(self.bench.appender(upload_id, self.models[where].real))
        appender.write(blob[100:])
        appender._writer.sync()  # what `finish` does first; the collector comes before the rest
        self.writing.append((where, held, appender, blob))

    @precondition(lambda self: self.writing)
    @rule(data=st.data(), dies=st.booleans())
    def finish(self, data: st.DataObject, dies: bool) -> None:
        """Finish such an upload, or let its writer die."""
        where, held, appender, blob = self.writing.pop(data.draw(st.integers(0, len(self.writing) - 1)))
        with held:
            if not dies:
                self.promise(self.models[where], appender.finish([content.digest_of(blob)]).digest)

    @rule(where=REPOSITORIES, number=BLOBS)
    def mount(self, where: int, number: int) -> None:
        """Mount a blob from the other repository, which has it or not."""
        digest, source = content.digest_of(self.blob(number)), self.models[1 - where]

        def unit() -> None:
            with self.bench.read() as ctx:
                layer = layers.get(ctx, source.real, digest)
            with self.bench.write() as ctx:
                uploads.mount(ctx, self.models[where].real, layer)

        if self.either(LayerNotFound if digest not in self.linked(source) else None, unit):
            self.promise(self.models[where], digest)

    def either(self, failure: type[Exception] | None, unit: Callable[[], object]) -> bool:
        """Run a unit that must fail so, or not at all; tell whether it went well."""
        if failure is None:
            unit()
            return True
        with pytest.raises(failure):
            unit()
        return False

    @rule(where=REPOSITORIES, number=IMAGES, named=st.lists(TAGS, unique=True), whole=st.booleans())
    def put_image(self, where: int, number: int, named: list[str], whole: bool) -> None:
        """Put an image, with its blobs or in the hope that they are there."""
        for part in {number % 4, (number + 1) % 3} if whole else ():
            self.push_blob(where, part)
        self.put(self.models[where], self.image(number), named)

    @rule(where=REPOSITORIES, numbers=st.lists(IMAGES, unique=True, min_size=1, max_size=2), whole=st.booleans())
    def put_index(self, where: int, numbers: list[int], whole: bool) -> None:
        """Put an index, with its images or in the hope that they are there."""
        for number in numbers if whole else ():
            self.put_image(where, number, [], whole=True)
        children = [content.descriptor(self.image(number), documents.OCI_IMAGE) for number in numbers]
        document = {"schemaVersion": 2, "mediaType": documents.OCI_INDEX, "manifests": children}
        self.put(self.models[where], json.dumps(document).encode(), ["all"])

    def put(self, model: Model, body: bytes, named: list[str]) -> None:
        """Put a manifest on both sides."""
        digest = content.digest_of(body)
        if self.either(self._lacking(model, body), lambda: self.bench.put(body, *named, repository=model.real)):
            model.stored[digest] = body
            model.tags.update(dict.fromkeys(named, digest))

    def _lacking(self, model: Model, body: bytes) -> type[Exception] | None:
        if content.digest_of(body) in model.stored:
            return None
        if not needs(body)[0] <= self.linked(model):
            return RequiredLayersNotFound
        return None if needs(body)[1] <= set(model.stored) else ReferencedImagesNotFound

    # --- Those who delete ---

    @precondition(lambda self: any(model.stored for model in self.models))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete an image, which can be restored for a while."""
        there = [(number, digest) for number in (0, 1) for digest in sorted(self.models[number].stored)]
        where, digest = data.draw(st.sampled_from(there))
        model = self.models[where]

        def unit() -> None:
            with self.bench.write() as ctx:
                images.delete(ctx, model.real, Digest(digest))

        is_held = any(digest in needs(body)[1] for body in model.stored.values())
        if self.either(ImageReferencedByManifestList if is_held else None, unit):
            model.deleted[digest] = Kept([t for t, at in model.tags.items() if at == digest], self.now + WINDOW)
            model.tags = {tag: at for tag, at in model.tags.items() if at != digest}
            self.bodies[digest] = model.stored.pop(digest)

    @precondition(lambda self: any(model.deleted for model in self.models))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Bring a deleted image back whole, or be told that it is too late."""
        gone = [(number, digest) for number in (0, 1) for digest in sorted(self.models[number].deleted)]
        where, digest = data.draw(st.sampled_from(gone))
        model = self.models[where]

        def unit() -> None:
            with self.bench.write() as ctx:
                deleted.restore(ctx, model.real, Digest(digest))

        if self.either(DeletedImageNotFound if model.deleted[digest].until <= self.now else None, unit):
            self._bring_back(model, digest)

    def _bring_back(self, model: Model, digest: str) -> None:
        body, kept = self.bodies[digest], model.deleted.pop(digest)
        for child in needs(body)[1] - set(model.stored):
            self._bring_back(model, child)
        model.stored[digest] = body
        for tag in kept.tags:
            if model.tags.get(tag) in {None, digest}:
                model.tags[tag] = digest

    @rule(where=REPOSITORIES)
    def delete_repository(self, where: int) -> None:
        """Delete a repository with all that it has, and make one of its name."""
        name = self.models[where].real.name
        self.drop(self.models[where])
        self.begun = [one for one in self.begun if one[0] != where]
        for _, held, _, _ in [one for one in self.writing if one[0] == where]:
            held.close()
        self.writing = [one for one in self.writing if one[0] != where]
        self.models[where] = Model(self.bench.repository(name))

    def drop(self, model: Model) -> None:
        """Delete a repository."""
        with self.bench.write() as ctx:
            repositories.delete(ctx, repositories.get(ctx, RepositoryName(model.real.name)), force=True)

    # --- The collector, one step at a time ---

    @rule(minutes=MINUTES)
    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.now += timedelta(minutes=minutes)

    @rule(limit=LIMITS)
    def purge(self, limit: int) -> None:
        """Forget images whose time is over."""
        with self.bench.write() as ctx:
            deleted.purge(ctx, self.now, limit)

    @rule(limit=LIMITS)
    def settle_layers(self, limit: int) -> None:
        """Take a few layers from where nothing needs them."""
        with self.bench.read() as ctx:
            due = collection.due_layers(ctx, self.now, limit)
        with self.bench.write() as ctx:
            collection.settle(ctx, due, self.now)

    @rule(limit=LIMITS)
    def settle_blobs(self, limit: int) -> None:
        """Remove a few blobs that no repository has."""
        with self.bench.write() as ctx:
            collection.settle_blobs(ctx, collection.due_blobs(ctx, self.now, limit))

    @rule(limit=LIMITS)
    def claim(self, limit: int) -> None:
        """Set out to delete bytes."""
        with self.bench.write() as ctx:
            self.claimed.append(collection.claim(ctx, self.now, limit))

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), forgets=st.booleans(), deletes=st.booleans())
    def delete_bytes(self, data: st.DataObject, forgets: bool, deletes: bool) -> None:
        """Delete what was claimed and note that, or die before the one or the other."""
        batch = self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))
        if deletes:
            self.bench.registry.blobs.delete_many([one.location for one in batch])
        if deletes and forgets:
            with self.bench.write() as ctx:
                collection.forget(ctx, batch)

    @rule()
    def sweep(self) -> None:
        """Remove bytes that no row names, however young: nobody is about to name any here."""
        sweep(self.bench.registry, datetime.now(UTC) + timedelta(days=1))

    # --- What always holds ---

    @invariant()
    def says_the_same(self) -> None:
        """The images are those of the model, and each is whole."""
        for model in self.models:
            mine = sa.select(manifests.c.digest).where(manifests.c.repository_id == model.real.id)
            assert {digest for (digest,) in self.bench.rows(mine)} == set(model.stored)
        self.checker.check(self.bench)

    @invariant()
    def keeps_its_promises(self) -> None:
        """What came stays for the grace, and what can be restored has its layers, bytes and all."""
        for model in self.models:
            kept = {digest for digest, until in model.promised.items() if until > self.now}
            for digest, one in model.deleted.items():
                if one.until > self.now:
                    kept |= needs(self.bodies[digest])[0]
            for digest in kept:
                stored = self.bench.stored(digest, model.real)
                assert stored is not None
                assert content.digest_of(stored) == digest

    def teardown(self) -> None:
        """When all is deleted and all times have come, not a byte is left."""
        for _, held, _, _ in self.writing:
            held.close()
        for model in self.models:
            self.drop(model)
        for _ in range(3):
            self.now += timedelta(days=3)
            expire_uploads(self.bench.registry, self.now, Run())
            self.bench.collect()
        sweep(self.bench.registry, datetime.now(UTC) + timedelta(days=1))
        require_nothing_left(self.bench)


def needs(body: bytes) -> tuple[set[str], set[str]]:
    """Return the blobs and the images that a manifest needs."""
    document: dict[str, Any] = json.loads(body)
    described = [document["config"], *document["layers"]] if "config" in document else []
    return {d["digest"] for d in described}, {d["digest"] for d in document.get("manifests", [])}


@contextlib.contextmanager
def opened(data: Path, **more: Any) -> Iterator[Restarted]:
    """Make an installation."""
    chosen = Settings(data=data, account_id=ACCOUNT, region=REGION, gc_grace_minutes=60, undelete_hours=24, **more)
    app.prepare(chosen)
    with Restarted.after(chosen) as bench:
        yield bench


def run(bench: Restarted, examples: int) -> None:
    machine: Any = lambda: Machine(bench)  # noqa: E731 (a class is asked for, and a factory will do)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None))


def test_the_collector_between_pushes(tmp_path: Path) -> None:
    """No order of its steps takes what is needed or promised, and none leaves anything behind."""
    with opened(tmp_path) as bench:
        run(bench, 30)


def test_the_collector_between_pushes_on_postgres(tmp_path: Path, cluster: Cluster) -> None:
    """... nor on PostgreSQL."""
    with opened(tmp_path, database=cluster.migrated()) as bench:
        run(bench, 15)
