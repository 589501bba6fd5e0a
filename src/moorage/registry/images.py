"""Images: stored manifests and the tags that point to them. One `put` and one `delete` for every door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.domain import filters
from moorage.domain.errors import (
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageReferencedByManifestList,
    ImageTagAlreadyExists,
    LimitExceeded,
    ReferencedImagesNotFound,
    RequiredLayersNotFound,
)
from moorage.domain.manifests import MANIFEST_TYPES, Manifest
from moorage.domain.names import Digest, Tag
from moorage.registry import archive, damage, layers, removal, repositories, usage
from moorage.registry.among import among
from moorage.registry.batches import batches
from moorage.registry.prepared import Prepared
from moorage.registry.tables import edges, manifests, tags
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@dataclass(frozen=True, slots=True)
class Image:
    """One stored manifest, as it is served."""

    digest: Digest
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """What `put` did."""

    digest: Digest
    unchanged: bool
    """The very same image was there, under all of these tags."""


_BY_DIGEST: Final = Prepared(
    sa.select(manifests.c.digest, manifests.c.media_type, manifests.c.body).where(
        manifests.c.repository_id == sa.bindparam("repository"),
        manifests.c.digest == sa.bindparam("reference"),
        manifests.c.damaged_at.is_(None),
        archive.has_status(manifests, archive.ACTIVE),
    )
)
_BY_TAG: Final = Prepared(
    sa.select(manifests.c.digest, manifests.c.media_type, manifests.c.body)
    .join_from(
        tags,
        manifests,
        sa.and_(manifests.c.repository_id == tags.c.repository_id, manifests.c.digest == tags.c.digest),
    )
    .where(
        tags.c.repository_id == sa.bindparam("repository"),
        tags.c.name == sa.bindparam("reference"),
        manifests.c.damaged_at.is_(None),
        archive.has_status(tags, archive.ACTIVE),
    )
)
_DIGEST_OF_TAG: Final = Prepared(
    sa.select(tags.c.digest).where(
        tags.c.repository_id == sa.bindparam("repository"), tags.c.name == sa.bindparam("reference")
    )
)
_EXISTS: Final = Prepared(
    sa.select(sa.literal(1)).where(
        manifests.c.repository_id == sa.bindparam("repository"), manifests.c.digest == sa.bindparam("reference")
    )
)
_INSERT: Final = Prepared(
    sa.insert(manifests),
    [
        "repository_id",
        "digest",
        "media_type",
        "artifact_type",
        "subject",
        "image_size",
        "size",
        "annotations",
        "pushed_at",
        "tagged",
        "body",
    ],
)
_INSERT_EDGE: Final = Prepared(sa.insert(edges), ["repository_id", "parent", "child", "kind"])
_COUNT_TAGS: Final = Prepared(
    sa.select(sa.func.count().label("count")).where(
        tags.c.repository_id == sa.bindparam("repository"), tags.c.digest == sa.bindparam("reference")
    )
)
_NOTE_TAGGED: Final = Prepared(
    sa.update(manifests)
    .where(manifests.c.repository_id == sa.bindparam("repository"), manifests.c.digest == sa.bindparam("reference"))
    .values(tagged=sa.bindparam("has_tags"))
)


def find(ctx: Context, repository: Repository, reference: Tag | Digest) -> Image | None:
    """Return the image that a tag points to or that has a digest; None also for one that is archived or damaged."""
    statement = _BY_DIGEST if isinstance(reference, Digest) else _BY_TAG
    row = statement.first(ctx.tx, {"repository": repository.id, "reference": reference})
    return None if row is None else Image(Digest(row.digest), row.media_type, row.body)


def get(ctx: Context, repository: Repository, reference: Tag | Digest) -> Image:
    """Return the image; raise `ImageNotFound`."""
    image = find(ctx, repository, reference)
    if image is None:
        raise not_found(repository, reference)
    return image


def not_found(repository: Repository, reference: Tag | Digest) -> ImageNotFound:
    """Return the failure for a reference that leads nowhere."""
    is_digest = isinstance(reference, Digest)
    return ImageNotFound(
        digest=reference if is_digest else None,
        tag=None if is_digest else reference,
        name=repository.name,
        registry_id=repository.registry_id,
    )


def digest_of_tag(ctx: Context, repository: Repository, tag: str) -> Digest | None:
    """Return the digest that a tag points to."""
    found = _DIGEST_OF_TAG.first(ctx.tx, {"repository": repository.id, "reference": tag})
    return None if found is None else Digest(found.digest)


def exists(ctx: Context, repository: Repository, digest: str) -> bool:
    """Tell whether the repository has the image, archived or not."""
    return _EXISTS.first(ctx.tx, {"repository": repository.id, "reference": digest}) is not None


def beginning(ctx: Context, repository: Repository, prefix: str) -> list[Digest]:
    """Return the digests of two images at most that begin with a text: one if it names an image."""
    found = sa.select(manifests.c.digest).where(
        manifests.c.repository_id == repository.id, manifests.c.digest.startswith(prefix, autoescape=True)
    )
    return [Digest(digest) for digest in ctx.tx.execute(found.order_by(manifests.c.digest).limit(2)).scalars()]


def tags_of(ctx: Context, repository: Repository, digest: str) -> list[str]:
    """Return the tags of an image, in order."""
    named = sa.select(tags.c.name).where(tags.c.repository_id == repository.id, tags.c.digest == digest)
    return list(ctx.tx.execute(named.order_by(tags.c.name)).scalars())


# --- put ---------------------------------------------------------------------------


def put(
    ctx: Context, repository: Repository, manifest: Manifest, *, tags: Sequence[Tag] = (), digest: Digest | None = None
) -> Put:
    """
    Store a manifest, and point tags at it: all of them or, with any failure, none.

    Raises `ImageDigestDoesNotMatch`, `ImageTagAlreadyExists` (the tag is
    immutable and stands on another image), `RequiredLayersNotFound`,
    `ReferencedImagesNotFound` or `LimitExceeded`; then nothing is stored.
    """
    computed = Digest.of(manifest.body, digest.algorithm if digest else "sha256")
    if digest is not None and digest != computed:
        raise ImageDigestDoesNotMatch(digest=digest, name=repository.name, registry_id=repository.registry_id)
    repository = repositories.lock(ctx, repository)
    stored, revived = exists(ctx, repository, computed), False
    before = {tag: digest_of_tag(ctx, repository, tag) for tag in tags}
    moving = {tag: digest for tag, digest in before.items() if digest != computed}
    for tag, target in moving.items():
        if target is not None and is_immutable(repository, tag):
            raise ImageTagAlreadyExists(tag=tag, name=repository.name)
    if not ctx.settings.sparse_manifests:
        # Of one that is stored, too: a layer may have been damaged since.
        _require_layers(ctx, repository, manifest)
    if not stored:
        if not ctx.settings.sparse_manifests:
            _require_images(ctx, repository, manifest)
        _insert(ctx, repository, manifest, computed)
    else:
        revived = damage.heal_manifest(ctx, repository.id, computed, manifest.body)
        if archive.status(ctx, repository, computed) != archive.ACTIVE:
            archive.revive(ctx, repository, computed)
            revived = True
    for tag, target in moving.items():
        _point(ctx, repository, tag, computed, target)
    return Put(computed, unchanged=stored and not revived and not moving)


def is_immutable(repository: Repository, tag: str) -> bool:
    """Tell whether a tag, once set, stays where it is (``imageTagMutability`` and its exclusion filters)."""
    excluded = any(filters.matches_tag_filter(pattern, tag) for pattern in repository.mutability_filters)
    return repository.tag_mutability.startswith("IMMUTABLE") != excluded


def _require_layers(ctx: Context, repository: Repository, manifest: Manifest) -> None:
    if absent := layers.missing(ctx, repository, manifest.required_layers):
        raise RequiredLayersNotFound(
            digests=", ".join(absent), name=repository.name, registry_id=repository.registry_id
        )


def _require_images(ctx: Context, repository: Repository, manifest: Manifest) -> None:
    children = manifest.required_images
    present: set[str] = set()
    for batch in batches(children):
        found = sa.select(manifests.c.digest).where(
            manifests.c.repository_id == repository.id,
            manifests.c.digest.in_(batch),
            manifests.c.damaged_at.is_(None),
            archive.has_status(manifests, archive.ACTIVE),
        )
        present.update(ctx.tx.execute(found).scalars())
    if lost := [digest for digest in children if digest not in present]:
        raise ReferencedImagesNotFound(
            digests=", ".join(lost), name=repository.name, registry_id=repository.registry_id
        )


def _insert(ctx: Context, repository: Repository, manifest: Manifest, digest: Digest) -> None:
    row = {
        "repository_id": repository.id,
        "digest": digest,
        "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type,
        "subject": manifest.subject.digest if manifest.subject else None,
        "image_size": _image_size(ctx, repository, manifest),
        "size": len(manifest.body),
        "annotations": dict(manifest.annotations) or None,
        "pushed_at": ctx.now,
        "tagged": False,
        "body": manifest.body,
    }
    _INSERT.run(ctx.tx, row)
    usage.add(ctx, repository, images=1, size=len(manifest.body))
    _INSERT_EDGE.run_all(
        ctx.tx, [{"repository_id": repository.id, "parent": digest, **edge} for edge in _edges(manifest)]
    )
    described = [*([manifest.config] if manifest.config else []), *manifest.layers]
    layers.learn_media_types(ctx, repository, {d.digest: d.media_type for d in described}.items())


def _edges(manifest: Manifest) -> list[dict[str, str]]:
    named = [{"child": digest, "kind": "layer"} for digest in manifest.required_layers]
    named += [{"child": digest, "kind": "image"} for digest in manifest.required_images]
    if manifest.subject:
        named.append({"child": manifest.subject.digest, "kind": "subject"})
    return named


def _image_size(ctx: Context, repository: Repository, manifest: Manifest) -> int:
    """Return the declared size of an image; of an index, that of its largest child (DescribeImages)."""
    children = [d.digest for d in manifest.children if d.media_type in MANIFEST_TYPES]
    sizes = [manifest.size]
    for batch in batches(children):
        largest = sa.select(sa.func.max(manifests.c.image_size)).where(
            manifests.c.repository_id == repository.id, manifests.c.digest.in_(batch)
        )
        sizes.append(ctx.tx.execute(largest).scalar() or 0)
    return max(sizes)


def _point(ctx: Context, repository: Repository, tag: Tag, digest: Digest, before: Digest | None) -> None:
    limit, this = ctx.settings.tags_per_image, {"repository": repository.id, "reference": digest}
    if limit and (counted := _COUNT_TAGS.first(ctx.tx, this)) and counted[0] >= limit:
        raise LimitExceeded(reason=f"The maximum number of tags per image has been exceeded: {limit}")
    values = {"repository_id": repository.id, "name": tag, "digest": digest, "tagged_at": ctx.now}
    insert_or_update(ctx.tx, tags, values, key=["repository_id", "name"])
    _note_tagged(ctx, repository, digest, tagged=True)
    if before is not None:
        _note_tagged(ctx, repository, before, tagged=bool(tags_of(ctx, repository, before)))


def _note_tagged(ctx: Context, repository: Repository, digest: str, *, tagged: bool) -> None:
    # Kept on the row (under the repository's lock) so that untagged images are
    # listed from an index, however many tagged ones there are.
    _NOTE_TAGGED.run(ctx.tx, {"repository": repository.id, "reference": digest, "has_tags": tagged})


# --- delete ------------------------------------------------------------------------


def delete(ctx: Context, repository: Repository, digest: Digest) -> list[str]:
    """
    Delete an image with all its tags, and return those. What refers to it as its subject goes with it.

    Raises `ImageNotFound`, or `ImageReferencedByManifestList` while an index
    of the repository names it.
    """
    repositories.lock(ctx, repository)
    if not exists(ctx, repository, digest):
        raise not_found(repository, digest)
    _require_unreferenced(ctx, repository, digest)
    names = removal.tags_of(ctx, repository, [digest])[digest]
    removal.remove(ctx, repository, with_referrers(ctx, repository, {digest}))
    return names


def delete_unneeded(ctx: Context, repository: Repository, digests: Collection[str]) -> set[str]:
    """Delete those of the images that are there and that no index of the repository names; return which."""
    repositories.lock(ctx, repository)
    going = _unnamed(ctx, repository, _found(ctx, repository, manifests.c.digest, digests))
    removal.remove(ctx, repository, with_referrers(ctx, repository, going))
    return going


def with_referrers(ctx: Context, repository: Repository, digests: Collection[str]) -> set[str]:
    """Return the images and what goes with them: all that refers to one of them, unless an index names it."""
    going: set[str] = set()
    waiting = set(digests)
    while waiting:
        going |= waiting
        following = _found(ctx, repository, manifests.c.subject, waiting)
        waiting = _unnamed(ctx, repository, following - going)
    return going


def _found(ctx: Context, repository: Repository, column: sa.Column[Any], values: Collection[str]) -> set[str]:
    """Return the images of which a column has one of the values."""
    if not values:
        return set()
    having = sa.select(manifests.c.digest).where(
        manifests.c.repository_id == repository.id, among(ctx.tx, column, values)
    )
    return set(ctx.tx.execute(having).scalars().all())


def _unnamed(ctx: Context, repository: Repository, digests: set[str]) -> set[str]:
    """Return those of the images that no index of the repository names."""
    if not digests:
        return set()
    naming = sa.select(edges.c.child).where(
        edges.c.repository_id == repository.id, edges.c.kind == "image", among(ctx.tx, edges.c.child, digests)
    )
    return digests.difference(ctx.tx.execute(naming).scalars())


def untag(ctx: Context, repository: Repository, tag: Tag, *, keep_children: bool = False) -> Digest:
    """
    Remove a tag, and with its last tag the image; return the digest it pointed to.

    The last tag of an image that an index names stays (BatchDeleteImage:
    `ImageReferencedByManifestList`), or with ``keep_children`` goes alone
    (distribution-spec: deleting a tag removes the tag).
    """
    repositories.lock(ctx, repository)
    digest = digest_of_tag(ctx, repository, tag)
    if digest is None:
        raise not_found(repository, tag)
    is_last = tags_of(ctx, repository, digest) == [tag]
    if is_last and not (keep_children and parents(ctx, repository, digest)):
        delete(ctx, repository, digest)
        return digest
    ctx.tx.execute(sa.delete(tags).where(tags.c.repository_id == repository.id, tags.c.name == tag))
    if is_last:
        _note_tagged(ctx, repository, digest, tagged=False)
    return digest


def _require_unreferenced(ctx: Context, repository: Repository, digest: Digest) -> None:
    if naming := parents(ctx, repository, digest):
        raise ImageReferencedByManifestList(parents=", ".join(naming))


def parents(ctx: Context, repository: Repository, digest: str) -> Sequence[str]:
    """Return the indexes of the repository that name an image."""
    naming = sa.select(edges.c.parent).where(
        edges.c.repository_id == repository.id, edges.c.child == digest, edges.c.kind == "image"
    )
    return ctx.tx.execute(naming.order_by(edges.c.parent)).scalars().all()
