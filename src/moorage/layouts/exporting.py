"""Images on their way out: what an export holds, planned in one transaction, and written piece by piece."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.domain.names import Digest
from moorage.layouts.format import INDEX, LARGEST_INDEX, MOST_IMAGES, REPOSITORY, TAG, LayoutError
from moorage.registry import archive, copying, images, sharing
from moorage.registry.batches import batches
from moorage.registry.storage import Missing
from moorage.registry.tables import blobs, edges, manifests, tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from moorage.domain.names import Tag
    from moorage.layouts.sinks import Sink
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@dataclass
class Plan:
    """What goes out."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    """Of the index: a descriptor for each tag, and for each image that is named by nothing else."""
    bodies: dict[Digest, tuple[Repository, int]] = field(default_factory=dict)
    """The manifests, with their bytes, and a repository that has each."""
    blobs: dict[Digest, tuple[int, str]] = field(default_factory=dict)
    """Configs and layers, with their bytes and where they are."""
    archived: int = 0
    """Images that are left out because they are archived."""

    @property
    def bytes(self) -> int:
        """Bytes that go out."""
        return sum(size for size, _place in self.blobs.values()) + sum(size for _of, size in self.bodies.values())

    def add(self, ctx: Context, repository: Repository, wanted: Sequence[tuple[Digest, Tag | None]] | None) -> None:
        """Add images of a repository with what belongs to them, or (None) all that are not archived."""
        chosen = _all(ctx, repository) if wanted is None else _closure(ctx, repository, wanted)
        found = {row.digest: row for row in chosen}
        if wanted is None:
            active = set(found)
            count = sa.select(sa.func.count()).where(manifests.c.repository_id == repository.id)
            self.archived += ctx.tx.execute(count).scalar_one() - len(active)
            named = _tags(ctx, repository, active)
        else:
            named = [(tag, digest) for digest, tag in wanted if tag is not None]
        self.bodies |= {Digest(row.digest): (repository, row.size) for row in found.values()}
        self._add_blobs(ctx, repository, found)
        alone = set(found) - {digest for _tag, digest in named} - _children(ctx, repository, found)
        for digest, row in found.items():
            described = _descriptor(row, repository)
            for tag, of in named:
                if of == digest:
                    annotations = described["annotations"] | {TAG: str(tag)}
                    self.entries.append(described | {"annotations": annotations})
            if digest in alone:
                self.entries.append(described)

    def _add_blobs(self, ctx: Context, repository: Repository, found: Iterable[str]) -> None:
        needed = sorted(sharing.layers_of(ctx, repository.id, list(found)))
        for batch in batches(needed):
            rows = sa.select(blobs.c.digest, blobs.c.size, blobs.c.location).where(blobs.c.digest.in_(batch))
            self.blobs |= {Digest(row.digest): (row.size, row.location) for row in ctx.tx.execute(rows)}


_ROWS = sa.select(
    manifests.c.digest, manifests.c.media_type, manifests.c.artifact_type, manifests.c.size, manifests.c.subject
)


def _all(ctx: Context, repository: Repository) -> Sequence[Any]:
    """Return the images of a repository, the oldest first: where they come in they have the same order again."""
    rows = _ROWS.where(manifests.c.repository_id == repository.id, archive.has_status(manifests, archive.ACTIVE))
    return ctx.tx.execute(rows.order_by(manifests.c.pushed_at, manifests.c.digest)).all()


def _closure(ctx: Context, repository: Repository, wanted: Iterable[tuple[Digest, Tag | None]]) -> list[Any]:
    digests: dict[Digest, None] = {}
    for digest, _tag in wanted:
        digests |= dict.fromkeys(one for one, _manifest in copying.in_order(ctx, repository, digest))
    found: list[Any] = []
    for batch in batches(list(digests)):
        rows = _ROWS.where(manifests.c.repository_id == repository.id, manifests.c.digest.in_(batch))
        found += ctx.tx.execute(rows.order_by(manifests.c.pushed_at, manifests.c.digest)).all()
    return found


def _tags(ctx: Context, repository: Repository, active: set[str]) -> list[tuple[str, str]]:
    rows = sa.select(tags.c.name, tags.c.digest).where(tags.c.repository_id == repository.id).order_by(tags.c.name)
    return [(name, digest) for name, digest in ctx.tx.execute(rows) if digest in active]


def _children(ctx: Context, repository: Repository, found: Iterable[str]) -> set[str]:
    """Return what indexes among the images name."""
    named = sa.select(edges.c.child).where(edges.c.repository_id == repository.id, edges.c.kind == "image")
    children: set[str] = set()
    for batch in batches([Digest(digest) for digest in found]):
        children.update(ctx.tx.execute(named.where(edges.c.parent.in_(batch))).scalars())
    return children


def _descriptor(row: Any, repository: Repository) -> dict[str, Any]:
    described = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type and row.subject:
        described["artifactType"] = row.artifact_type
    return described | {"annotations": {REPOSITORY: repository.name}}


def index_of(plan: Plan) -> bytes:
    """Return ``index.json``; raises `LayoutError` for more than a layout may hold."""
    entries = plan.entries
    if len({entry["annotations"][REPOSITORY] for entry in entries}) > 1:
        # A tag alone would be ambiguous then.
        for entry in entries:
            annotations = entry["annotations"]
            if TAG in annotations:
                annotations[TAG] = f"{annotations[REPOSITORY]}:{annotations[TAG]}"
    media_type = "application/vnd.oci.image.index.v1+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) > LARGEST_INDEX or len(entries) > MOST_IMAGES:
        raise LayoutError(f"{INDEX} would have {len(entries)} entries: export fewer images at a time")
    return text


def export(ctx: Context, plan: Plan, sink: Sink, advance: Callable[[float], None]) -> int:
    """
    Write what was planned, outside of transactions, and return how many blobs had to be written.

    What the sink has already is left. Raises `LayoutError`, also where something was deleted meanwhile.
    """
    index = index_of(plan)
    written = 0
    for digest, (size, location) in plan.blobs.items():
        if not sink.has(digest, size):
            try:
                sink.put(digest, size, ctx.registry.blobs.read(location, 0, size))
            except Missing:
                raise LayoutError(f"{digest} was deleted meanwhile: begin again") from None
            written += 1
        advance(size)
    for digest, (repository, size) in plan.bodies.items():
        if not sink.has(digest, size):
            with ctx.read() as reading:
                image = images.find(reading, repository, digest)
            if image is None:
                raise LayoutError(f"{digest} was deleted or archived meanwhile: begin again")
            sink.put(digest, size, [image.body])
            written += 1
        advance(size)
    sink.finish(index)
    return written
