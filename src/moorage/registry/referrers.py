"""Referrers: the artifacts whose ``subject`` is an image (signatures, SBOMs, attestations)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.domain.manifests import INDEX_TYPES
from moorage.domain.names import Tag
from moorage.registry import images
from moorage.registry.tables import manifests

if TYPE_CHECKING:
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
    Return descriptors of what refers to ``subject``, by digest.

    What a client without this API recorded under the fallback tag
    (distribution-spec: referrers tag schema) closes the list.
    """
    items: list[dict[str, Any]] = []
    size = 0
    for row in ctx.tx.execute(_statement(repository, subject, artifact_type, after)):
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


def _statement(
    repository: Repository, subject: Digest, artifact_type: str | None, after: str
) -> sa.Select[tuple[Any, ...]]:
    statement = sa.select(
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.size,
        manifests.c.artifact_type,
        manifests.c.annotations,
    ).where(manifests.c.repository_id == repository.id, manifests.c.subject == subject, manifests.c.digest > after)
    if artifact_type is not None:
        statement = statement.where(manifests.c.artifact_type == artifact_type)
    return statement.order_by(manifests.c.digest).limit(PAGE + 1)


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
