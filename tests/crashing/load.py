"""Clients that push, pull, tag, delete, restore and mount, and know exactly what they were told."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from moorage.domain.errors import DeletedImageNotFound, RequiredLayersNotFound
from moorage.domain.names import Digest, RepositoryName
from moorage.registry import deleted, repositories
from moorage.registry.again import again
from tests import content
from tests.crashing import ledger
from tests.crashing.ledger import Ledger, Place, Wrong
from tests.crashing.wire import Lost, Refused

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tests.crashing.wire import Wire
    from tests.registry.kit import Bench

POOL: Final = tuple(content.layer(b"pool %d " % number * 400) for number in range(6))
"""Layers that all clients push, mount and let go: the collector and they are at the same blobs all the time."""
_TAGS: Final = ("a", "b", "c", "d")
_MOST: Final = 12
"""Images that a client keeps."""
_TRIES: Final = 12
"""Pushes of one image, of which each finds that the collector took a layer meanwhile."""


class Client:
    """One client with a repository of its own, which nobody else changes."""

    def __init__(self, number: int, wire: Wire, bench: Bench, seed: int) -> None:
        self.name = f"load-{number}"
        self.other = f"load-{number + 1}"
        self.wire, self.bench = wire, bench
        self.book = Ledger()
        self.random = random.Random(f"{seed} {number}")  # noqa: S311 (reproducible, hides nothing)
        self.done: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self.indexes: dict[str, str] = {}
        """Indexes, and the image that each names."""
        self.referrers: dict[str, str] = {}
        """What refers to an image, and to which."""
        self._actions: list[tuple[Callable[[], bool], int]] = [
            (self.push, 6),
            (self.pull, 6),
            (self.move_tag, 3),
            (self.delete, 3),
            (self.untag, 2),
            (self.restore, 2),
            (self.push_index, 1),
            (self.refer, 1),
        ]

    def run(self, ended: threading.Event) -> None:
        """Work until the event, looking after each loss what has become of it."""
        while not ended.is_set():
            self.step()

    def step(self) -> None:
        """Do one thing."""
        [(action, _)] = self.random.choices(self._actions, [weight for _, weight in self._actions])
        there = len(self.book.images(self.name))
        if there > _MOST or not there:
            action = self.delete if there else self.push
        try:
            self.done[action.__name__] += bool(action())
        except Lost:
            self.done["lost"] += 1
            self.wire.wait()
            self.look()

    def look(self) -> None:
        """Find out what has become of what was not answered, when the server is there again."""
        while self.book.unsure():
            self.wire.wait()
            try:
                for place in self.book.unsure():
                    self.book.saw(place, self._seen(place))
            except Lost:
                continue

    def _seen(self, place: Place) -> Any:
        try:
            answer = self.wire.ask("HEAD", f"/v2/{place.repository}/manifests/{place.name}")
        except Refused as refused:
            if refused.status != 404:
                raise Wrong(f"{place}: {refused}") from None
            return False if place.is_image else None
        return True if place.is_image else answer.headers["Docker-Content-Digest"]

    # --- What is done ---

    def push(self) -> bool:
        """Push an image of new layers and of the pool's; as all of these, tell whether there was something to do."""
        size = self.random.choice([100, 5_000, 300_000])
        image = content.image(*self.random.sample(POOL, 2), content.layer(self.random.randbytes(size)))
        return self._push(image, self.random.choice(_TAGS))

    def _push(self, image: content.Image, *tags: str) -> bool:
        for _ in range(_TRIES):
            for part in (image.config, *image.layers):
                self._bring(part)
            try:
                self.put(image.manifest, image.media_type, *tags)
            except Refused as refused:
                # The collector is in a hurry here: what was there a moment ago may be gone.
                if "BLOB_UNKNOWN" not in refused.code:
                    raise Wrong(f"a push was refused: {refused}") from None
                self.done["again"] += 1
            else:
                return True
        return False

    def _bring(self, data: bytes) -> None:
        """Upload, from the beginning if no answer came."""
        while True:
            try:
                return self._upload(data)
            except Lost:
                self.done["lost"] += 1
                self.wire.wait()

    def _upload(self, data: bytes) -> None:
        digest, blobs = content.digest_of(data), f"/v2/{self.name}/blobs"
        way = self.random.random()
        if way < 0.3 and self._is_there(digest):
            return
        if way < 0.6 and data in POOL:
            begun = self.wire.ask("POST", f"{blobs}/uploads/?mount={digest}&from={self.other}")
            if begun.status == 201:
                return
        else:
            begun = self.wire.ask("POST", f"{blobs}/uploads/")
        where = begun.headers["Location"]
        half = len(data) // 2 if self.random.random() < 0.5 else 0
        if half:
            where = self.wire.ask("PATCH", where, data[:half]).headers["Location"]
        if self.random.random() < 0.05:
            return  # forgotten by its client
        joint = "&" if "?" in where else "?"
        self.wire.ask("PUT", f"{where}{joint}digest={digest}", data[half:])

    def _is_there(self, digest: str) -> bool:
        try:
            self.wire.ask("HEAD", f"/v2/{self.name}/blobs/{digest}")
        except Refused:
            return False
        return True

    def put(self, body: bytes, media_type: str, *tags: str) -> None:
        """Put a manifest under tags, or under its digest."""
        digest = content.digest_of(body)
        for reference in tags or (digest,):
            named = ledger.tags(self.name, {} if reference == digest else {reference: digest})
            with self.book.change(ledger.images(self.name, digest) | named):
                path = f"/v2/{self.name}/manifests/{reference}"
                self.wire.ask("PUT", path, body, **{"Content-Type": media_type})
        self.bodies[digest] = body

    def push_index(self) -> bool:
        """Push an index of one image, and delete it again: it goes before its image can."""
        if image := self._any_image():
            child = content.Image(self.bodies[image], b"", [])
            index = content.index(child, annotations={"n": str(self.random.random())})
            self.indexes[content.digest_of(index)] = image
            self.put(index, "application/vnd.oci.image.index.v1+json")
            self._delete(content.digest_of(index))
        return image is not None

    def refer(self) -> bool:
        """Push what refers to an image, and delete it again."""
        if image := self._any_image():
            named = content.descriptor(self.bodies[image], "application/vnd.oci.image.manifest.v1+json")
            signature = content.image(POOL[0], subject=named)
            self.referrers[signature.digest] = image
            self._push(signature)
            if Place(self.name, signature.digest) in self.book.places():
                self._delete(signature.digest)
        return image is not None

    def pull(self) -> bool:
        """Pull an image whole."""
        if digest := self._any_image():
            names = [name for name, at in self.book.tags(self.name).items() if at == digest]
            self.pull_one(self.random.choice([digest, *names]), digest)
        return digest is not None

    def pull_one(self, reference: str, digest: str) -> None:
        """Pull an image and hash all that comes; what was acknowledged must be there."""
        try:
            body = self.wire.ask("GET", f"/v2/{self.name}/manifests/{reference}").data
            if content.digest_of(body) != digest:
                raise Wrong(f"{self.name}:{reference} is another image than {digest}")
            for part in _parts(body):
                self.wire.blob(self.name, part)
        except Refused as refused:
            raise Wrong(f"{self.name}:{reference} cannot be pulled: {refused}") from None

    def move_tag(self) -> bool:
        """Let a tag stand on an image that is there."""
        if digest := self._any_image():
            self.put(self.bodies[digest], "application/vnd.oci.image.manifest.v1+json", self.random.choice(_TAGS))
        return digest is not None

    def untag(self) -> bool:
        """Remove a tag, and with its last one the image."""
        tags = self.book.tags(self.name)
        if tags:
            name, digest = self.random.choice(sorted(tags.items()))
            change = ledger.tags(self.name, {name: None})
            if list(tags.values()).count(digest) == 1:
                change |= self._going(digest)
                self.deleted.append(digest)
            with self.book.change(change):
                answer = self.wire.ecr("batch_delete_image", repositoryName=self.name, imageIds=[{"imageTag": name}])
                if answer["failures"]:
                    raise Wrong(f"{name} was not deleted: {answer['failures']}")
        return bool(tags)

    def delete(self) -> bool:
        """Delete an image."""
        digest = self._any_image()
        if digest is not None:
            self._delete(digest)
            self.deleted.append(digest)
        return digest is not None

    def _delete(self, digest: str) -> None:
        with self.book.change(self._going(digest)):
            self.wire.ask("DELETE", f"/v2/{self.name}/manifests/{digest}")

    def _going(self, digest: str) -> dict[Place, ledger.Value]:
        """Delete the indexes of an image, which keep it, and return what goes with it: its tags and its referrers."""
        there = self.book.images(self.name)
        for index in [index for index, child in self.indexes.items() if child == digest and index in there]:
            self._delete(index)
        also = [one for one, subject in self.referrers.items() if subject == digest and one in there]
        gone = [name for name, at in self.book.tags(self.name).items() if at == digest]
        return ledger.images(self.name, gone=[digest, *also]) | ledger.tags(self.name, dict.fromkeys(gone))

    def restore(self) -> bool:
        """Bring an image back that was deleted, as the command does; tags that are free come along."""
        if not self.deleted:
            return False
        digest = self.deleted.pop(self.random.randrange(len(self.deleted)))

        def unit() -> list[deleted.Restored]:
            with self.bench.write() as ctx:
                repository = repositories.get(ctx, RepositoryName(self.name))
                return deleted.restore(ctx, repository, Digest(digest))

        if Place(self.name, digest) in self.book.unsure() or digest in self.book.images(self.name):
            return False
        try:
            restored = again(unit)
        except (DeletedImageNotFound, RequiredLayersNotFound):
            # The window is over for some: `hurry` ends it.
            return False
        for one in restored:
            change = ledger.images(self.name, one.digest) | ledger.tags(self.name, dict.fromkeys(one.tags, one.digest))
            with self.book.change(change):
                pass
        return True

    def _any_image(self) -> str | None:
        others = {*self.indexes, *self.referrers}
        known = [one for one in self.book.images(self.name) if one in self.bodies and one not in others]
        return self.random.choice(known) if known else None

    def pull_all(self) -> int:
        """Pull every image and tag that is there for sure; return how many."""
        for digest in self.book.images(self.name):
            self.pull_one(digest, digest)
        for name, digest in self.book.tags(self.name).items():
            self.pull_one(name, digest)
        return len(self.book.images(self.name))


def _parts(body: bytes) -> list[str]:
    document = json.loads(body)
    return [one["digest"] for one in (*document.get("layers", ()), *filter(None, [document.get("config")]))]
