"""Layers as a repository sees them: config and layer blobs, each linked to the repositories that may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.domain.errors import LayerDamaged, LayerInaccessible, LayerNotFound, LayerReferenced
from moorage.domain.names import Digest
from moorage.registry import archive, collection, repositories
from moorage.registry.auth import token_claims
from moorage.registry.batches import batches
from moorage.registry.prepared import Prepared
from moorage.registry.tables import archivals, blobs, edges, loose_layers, repository_blobs
from moorage.registry.tables import repositories as repositories_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

URL_LIFETIME: Final = 3600
"""Seconds for which a download URL can be used."""

"""Values in one IN list: well under the parameter limits of every database."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A stored blob that a repository may see."""

    digest: Digest
    size: int
    """Length in bytes."""
    location: str
    media_type: str | None
    """As the first manifest that named it said; unknown before that."""


_FIND: Final = Prepared(
    sa.select(blobs.c.digest, blobs.c.size, blobs.c.location, repository_blobs.c.media_type)
    .join_from(repository_blobs, blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(
        repository_blobs.c.repository_id == sa.bindparam("repository"),
        repository_blobs.c.digest == sa.bindparam("wanted"),
        blobs.c.damaged_at.is_(None),
    )
)


def find(ctx: Context, repository_id: str, digest: str) -> Layer | None:
    """Return the layer, or None if the repository does not have it, or it is damaged and must be pushed again."""
    row = _FIND.first(ctx.tx, {"repository": repository_id, "wanted": digest})
    return None if row is None else Layer(Digest(row.digest), row.size, row.location, row.media_type)


def get(ctx: Context, repository: Repository, digest: str) -> Layer:
    """Return the layer; raise `LayerNotFound`, or `LayerDamaged` of one that is there and of no use."""
    layer = find(ctx, repository.id, digest)
    if layer is None:
        raise absent(ctx, repository.id, digest)(
            digest=digest, name=repository.name, registry_id=repository.registry_id
        )
    return layer


def absent(ctx: Context, repository_id: str, digest: str) -> type[LayerNotFound]:
    """Return the failure for a layer that `find` does not find."""
    linked = sa.select(repository_blobs.c.digest).where(
        repository_blobs.c.repository_id == repository_id, repository_blobs.c.digest == digest
    )
    return LayerNotFound if ctx.tx.execute(linked).first() is None else LayerDamaged


_LOOSE: Final = Prepared(
    sa.select(loose_layers.c.due_at).where(
        loose_layers.c.repository_id == sa.bindparam("repository"), loose_layers.c.digest == sa.bindparam("wanted")
    )
)


def is_available(ctx: Context, repository: Repository, digest: str) -> bool:
    """
    Tell whether whoever pushes may count on a layer that is there.

    Not on one that no image needs and whose time has nearly come: it may be
    gone before the image comes. Uploaded once more, it begins to wait anew.
    """
    loose = _LOOSE.first(ctx.tx, {"repository": repository.id, "wanted": digest})
    is_safe = loose is None or loose.due_at - ctx.now > collection.grace(ctx) / 2
    return is_safe or _is_referenced(ctx, repository, digest)


def unlink(ctx: Context, repository: Repository, layer: Layer) -> None:
    """Take a layer away from a repository; raise `LayerReferenced` while an image of it needs the layer."""
    repositories.lock(ctx, repository)
    if _is_referenced(ctx, repository, layer.digest):
        raise LayerReferenced(digest=layer.digest)
    collection.unlink(ctx, repository.id, [layer.digest], ctx.now + collection.grace(ctx))


_ANY_ARCHIVED: Final = Prepared(
    sa.select(sa.literal(1))
    .where(archivals.c.repository_id == sa.bindparam("repository"), archivals.c.status == archive.ARCHIVED)
    .limit(1)
)
_NAMING = (
    sa.select(edges.c.repository_id, edges.c.parent.label("digest"))
    .where(
        edges.c.repository_id == sa.bindparam("repository"),
        edges.c.child == sa.bindparam("wanted"),
        edges.c.kind == "layer",
    )
    .subquery()
)
_NAMED = sa.select(sa.literal(1)).select_from(_NAMING).limit(1)
_FIRST_NAMING: Final = Prepared(_NAMED)
_FIRST_ACTIVE: Final = Prepared(_NAMED.where(archive.has_status(_NAMING, archive.ACTIVE)))


def is_archived(ctx: Context, repository: Repository, digest: str) -> bool:
    """Tell whether every image of the repository that needs the layer is archived (False if none needs it)."""
    given = {"repository": repository.id, "wanted": digest}
    # Most repositories have no archive, and most layers an image in use: a pull asks once, or twice.
    if _ANY_ARCHIVED.first(ctx.tx, given) is None or _FIRST_ACTIVE.first(ctx.tx, given) is not None:
        return False
    return _FIRST_NAMING.first(ctx.tx, given) is not None


def require_active(ctx: Context, repository: Repository, digest: str) -> None:
    """Raise `LayerInaccessible` for a layer that only archived images need."""
    if is_archived(ctx, repository, digest):
        raise LayerInaccessible(digest=digest, name=repository.name, registry_id=repository.registry_id)


def require_referenced(ctx: Context, repository: Repository, digest: str) -> None:
    """Raise `LayerInaccessible` unless an image of the repository that is not archived refers to the layer."""
    if not _is_referenced(ctx, repository, digest) or is_archived(ctx, repository, digest):
        raise LayerInaccessible(digest=digest, name=repository.name, registry_id=repository.registry_id)


def _is_referenced(ctx: Context, repository: Repository, digest: str) -> bool:
    return _FIRST_NAMING.first(ctx.tx, {"repository": repository.id, "wanted": digest}) is not None


def holders(ctx: Context, digest: str, *, limit: int) -> list[str]:
    """Return names of repositories of the registry that have the layer. Decides nothing about access."""
    names = (
        sa.select(repositories_table.c.name)
        .join_from(repository_blobs, repositories_table, repository_blobs.c.repository_id == repositories_table.c.id)
        .where(
            repository_blobs.c.digest == digest,
            repositories_table.c.account_id == ctx.registry_id,
            repositories_table.c.region == ctx.region,
        )
    )
    return list(ctx.tx.execute(names.limit(limit)).scalars())


_PRESENT: Final = (
    sa.select(repository_blobs.c.digest)
    .join_from(repository_blobs, blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(
        repository_blobs.c.repository_id == sa.bindparam("repository"),
        repository_blobs.c.digest.in_(sa.bindparam("wanted", expanding=True)),
        blobs.c.damaged_at.is_(None),
    )
)


def missing(ctx: Context, repository: Repository, wanted: Sequence[Digest]) -> list[Digest]:
    """Return those of the digests that the repository does not have, or only damaged, in the order given."""
    present: set[str] = set()
    for batch in batches(wanted):
        present.update(ctx.tx.execute(_PRESENT, {"repository": repository.id, "wanted": batch}).scalars())
    return [digest for digest in wanted if digest not in present]


_LEARN: Final = Prepared(
    sa.update(repository_blobs)
    .where(
        repository_blobs.c.repository_id == sa.bindparam("repository"),
        repository_blobs.c.digest == sa.bindparam("wanted"),
        repository_blobs.c.media_type.is_(None),
    )
    .values(media_type=sa.bindparam("type"))
)


def learn_media_types(ctx: Context, repository: Repository, types: Iterable[tuple[str, str]]) -> None:
    """Record the media types of layers (digest, type) where none is known yet."""
    rows = [{"repository": repository.id, "wanted": digest, "type": media_type} for digest, media_type in types]
    _LEARN.run_all(ctx.tx, rows)


def download_url(ctx: Context, repository: Repository, layer: Layer) -> str:
    """Return a URL that serves the layer's bytes to whoever holds it, for an hour."""
    claims = {
        **token_claims(ctx.identity),
        "registry": repository.registry_id,
        "region": repository.region,
        "repository": repository.id,
        "digest": layer.digest,
    }
    token = ctx.registry.keyring.sign("download", claims, lifetime=URL_LIFETIME)
    return f"{ctx.settings.base_url}/layers/{token}"
