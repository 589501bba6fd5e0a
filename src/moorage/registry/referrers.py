"""Referrers: the artifacts whose ``subject`` is an image (signatures, SBOMs, attestations)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.domain.manifests import INDEX_TYPES
from moorage.domain.names import Tag
from moorage.registry import archive, images, paging
from moorage.registry.tables import archivals, manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.domain.names import Digest
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

PAGE: Final = 100
MAX_BYTES: Final = 3 * 1024 * 1024
"""Annotations of one page, in bytes: an index of referrers stays under the 4 MiB that clients accept."""


class Found(NamedTuple):
    """Some referrers as descriptors, and the digest after which the next page begins."""

    items: list[dict[str, Any]]
    after: str | None


def referrers(ctx: Context, repository: Repository, subject: Digest, *, artifact_type: str | None, after: str) -> Found:
    """
    Return descriptors of what refers to ``subject``, by digest; not those of archived images.

    What a client without this API recorded under the fallback tag
    (distribution-spec: referrers tag schema) closes the list.
    """
    items: list[dict[str, Any]] = []
    size = 0
    wanted = Wanted(() if artifact_type is None else (artifact_type,))
    for row in ctx.tx.execute(_statement(repository, subject, wanted, after).limit(PAGE + 1)):
        if len(items) >= PAGE or size > MAX_BYTES:
            return Found(items, items[-1]["digest"])
        items.append(_descriptor(row))
        size += len(json.dumps(row.annotations))
    known = sa.select(manifests.c.digest).where(
        manifests.c.repository_id == repository.id, manifests.c.subject == subject
    )
    listed = set(ctx.tx.execute(known).scalars())
    fallback = [d for d in _fallback(ctx, repository, subject) if d["digest"] not in listed]
    items += [d for d in fallback if artifact_type is None or d.get("artifactType") == artifact_type]
    return Found(items, None)


class Wanted(NamedTuple):
    """Which referrers a list is about."""

    artifact_types: Sequence[str] = ()
    """Any of these; empty: of all types."""
    status: str | None = archive.ACTIVE
    """None: whatever their status."""


def page(
    ctx: Context, repository: Repository, subject: Digest, wanted: Wanted, *, limit: int, next_token: str | None
) -> paging.Page[dict[str, Any]]:
    """Return the next of what refers to ``subject``, each with its status, by digest (ListImageReferrers)."""
    listing = f"referrers:{repository.id}:{subject}:{wanted.status}:{':'.join(sorted(wanted.artifact_types))}"
    after = paging.position(ctx, listing, next_token)
    rows = ctx.tx.execute(_statement(repository, subject, wanted, after[0] if after else "").limit(limit + 1)).all()
    items = [{**_descriptor(row), "artifactStatus": row.status} for row in rows[:limit]]
    token = paging.token(ctx, listing, [items[-1]["digest"]]) if len(rows) > limit else None
    return paging.Page(items, token)


def _statement(repository: Repository, subject: Digest, wanted: Wanted, after: str) -> sa.Select[tuple[Any, ...]]:
    same = sa.and_(archivals.c.repository_id == manifests.c.repository_id, archivals.c.digest == manifests.c.digest)
    statement = (
        sa.select(
            manifests.c.digest,
            manifests.c.media_type,
            manifests.c.size,
            manifests.c.artifact_type,
            manifests.c.annotations,
            sa.func.coalesce(archivals.c.status, archive.ACTIVE).label("status"),
        )
        .join_from(manifests, archivals, same, isouter=True)
        .where(manifests.c.repository_id == repository.id, manifests.c.subject == subject, manifests.c.digest > after)
    )
    if wanted.status is not None:
        statement = statement.where(archive.has_status(manifests, wanted.status))
    if wanted.artifact_types:
        statement = statement.where(manifests.c.artifact_type.in_(wanted.artifact_types))
    return statement.order_by(manifests.c.digest)


def _descriptor(row: Any) -> dict[str, Any]:
    described = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type:
        described["artifactType"] = row.artifact_type
    if row.annotations:
        described["annotations"] = row.annotations
    return described


def _fallback(ctx: Context, repository: Repository, subject: Digest) -> list[dict[str, Any]]:
    """Return the descriptors of the index under the subject's fallback tag (``sha256-<hex>``)."""
    algorithm, _, encoded = subject.partition(":")
    image = images.find(ctx, repository, Tag(f"{algorithm[:32]}-{encoded[:64]}"))
    if image is None or image.media_type not in INDEX_TYPES:
        return []
    descriptors: list[dict[str, Any]] = json.loads(image.body)["manifests"]
    return descriptors
