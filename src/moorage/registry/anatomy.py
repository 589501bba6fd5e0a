"""An image taken apart: an index with its images, each with config and layers, and what refers to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain import manifests as documents
from moorage.domain.names import Digest
from moorage.registry import images, layers, listing, sharing
from moorage.registry.batches import batches
from moorage.registry.storage import Missing
from moorage.registry.tables import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.manifests import Descriptor, Manifest
    from moorage.registry.core import Context
    from moorage.registry.listing import Details
    from moorage.registry.repositories import Repository

_DEEPEST: Final = 8
"""Levels of indexes and referrers that are shown."""
_CONFIG: Final = 1 << 20
"""Bytes of the longest config that is looked into for its platform."""


@dataclass(frozen=True, slots=True)
class Part:
    """A config or a layer."""

    kind: str
    digest: Digest
    media_type: str
    size: int
    """Bytes, as the manifest says."""
    own: bool
    """No image but those that are looked at needs it."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One stored manifest and what belongs to it."""

    details: Details
    is_index: bool
    platform: str | None
    """As ``os/architecture/variant``; None where nothing says so."""
    parts: list[Part]
    children: list[Anatomy] = field(default_factory=list)
    referrers: list[Anatomy] = field(default_factory=list)

    def everything(self) -> Iterator[Anatomy]:
        """Yield this and all that belongs to it."""
        yield self
        for one in (*self.children, *self.referrers):
            yield from one.everything()


def of(ctx: Context, repository: Repository, digest: Digest) -> Anatomy:
    """Take an image apart, archived or not; raise `ImageNotFound`."""
    bodies = dict(_bodies(ctx, repository, digest))
    if digest not in bodies:
        raise images.not_found(repository, digest)
    details = {Digest(one.digest): one for one in listing.details_of(ctx, repository, list(bodies))}
    own = set(sharing.only_of(ctx, {repository.id: set(bodies)}))
    return _Building(ctx, repository, bodies, details, own).build(digest, None, 0)


def _bodies(ctx: Context, repository: Repository, digest: Digest) -> Iterator[tuple[Digest, Manifest]]:
    """Yield an image, those of an index, and what refers to them, each once."""
    seen: set[str] = set()
    level = {digest}
    for _ in range(_DEEPEST + 1):
        seen |= level
        following: set[Digest] = set()
        for batch in batches(sorted(level)):
            rows = sa.select(manifests.c.digest, manifests.c.media_type, manifests.c.body).where(
                manifests.c.repository_id == repository.id, manifests.c.digest.in_(batch)
            )
            for row in ctx.tx.execute(rows):
                manifest = documents.parse(row.body, row.media_type)
                yield Digest(row.digest), manifest
                following.update(manifest.required_images)
            named = sa.select(manifests.c.digest).where(
                manifests.c.repository_id == repository.id, manifests.c.subject.in_(batch)
            )
            following.update(map(Digest, ctx.tx.execute(named).scalars()))
        level = following - seen
        if not level:
            return


@dataclass(frozen=True)
class _Building:
    """What a tree is made of, all read before."""

    ctx: Context
    repository: Repository
    bodies: dict[Digest, Manifest]
    details: dict[Digest, Details]
    own: set[str]

    def build(self, digest: Digest, platform: str | None, depth: int) -> Anatomy:
        manifest = self.bodies[digest]
        blobs = [("config", one) for one in (manifest.config,) if one] + [("layer", one) for one in manifest.layers]
        made = Anatomy(
            self.details[digest],
            manifest.media_type in documents.INDEX_TYPES,
            platform or self._platform(manifest.config),
            [Part(kind, one.digest, one.media_type, one.size, one.digest in self.own) for kind, one in blobs],
        )
        if depth < _DEEPEST:
            platforms = _platforms(manifest)
            there = [child for child in manifest.required_images if child in self.bodies]
            made.children.extend(self.build(child, platforms.get(child), depth + 1) for child in there)
            referring = [key for key, one in self.bodies.items() if one.subject and one.subject.digest == digest]
            made.referrers.extend(self.build(one, None, depth + 1) for one in sorted(referring))
        return made

    def _platform(self, config: Descriptor | None) -> str | None:
        """Return what an image's config says that it runs on."""
        if config is None or (".config." not in config.media_type and "container.image" not in config.media_type):
            return None
        layer = layers.find(self.ctx, self.repository.id, config.digest)
        if layer is None or layer.size > _CONFIG:
            return None
        try:
            document = json.loads(b"".join(self.ctx.registry.blobs.read(layer.location, 0, layer.size)))
        except (Missing, OSError, ValueError, RecursionError):
            return None
        return _written(document)


def _platforms(manifest: Manifest) -> dict[str, str | None]:
    """Return the platforms of an index's images by their digests."""
    if manifest.media_type not in documents.INDEX_TYPES:
        return {}
    return {one["digest"]: _written(one.get("platform")) for one in json.loads(manifest.body)["manifests"]}


def _written(platform: object) -> str | None:
    if not isinstance(platform, dict):
        return None
    words = [platform.get(name) for name in ("os", "architecture", "variant")]
    said = [word for word in words if isinstance(word, str) and word.isprintable() and word not in {"", "unknown"}]
    return "/".join(said) or None
