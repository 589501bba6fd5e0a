"""Images copied from one repository to another: no bytes move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.domain import manifests as documents
from moorage.domain.names import Digest
from moorage.registry import images, layers, uploads
from moorage.registry.tables import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.domain.manifests import Manifest
    from moorage.domain.names import Tag
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


def copy(
    ctx: Context, source: Repository, digest: Digest, target: Repository, *, tags: Sequence[Tag] = ()
) -> list[Digest]:
    """
    Copy an image with the images of an index and with what refers to them, all or nothing; return their digests.

    The caller may pull from the one repository and push to the other. Raises
    `ImageNotFound` (also for an archived image) and what `images.put` raises.
    """
    copied: list[Digest] = []
    for one, manifest in in_order(ctx, source, digest):
        for wanted in layers.missing(ctx, target, manifest.required_layers):
            layer = layers.find(ctx, source.id, wanted)
            if layer is not None:  # without it, `put` says what is missing
                uploads.mount(ctx, target, layer)
        images.put(ctx, target, manifest, tags=tags if one == digest else (), digest=one)
        copied.append(one)
    return copied


def in_order(ctx: Context, source: Repository, digest: Digest) -> Iterator[tuple[Digest, Manifest]]:
    """Yield an image and what belongs to it, each once and after the images that it names."""
    seen: set[Digest] = set()
    subjects = [digest]
    while subjects:
        waiting: list[tuple[Digest, Manifest | None]] = [(subjects.pop(), None)]
        while waiting:
            one, read = waiting.pop()
            if read is not None:
                yield one, read
                # Later: a referrer may itself name images that are still to come.
                subjects += _followers(ctx, source, one)
            elif one not in seen:
                seen.add(one)
                image = images.get(ctx, source, one)
                manifest = documents.parse(image.body, image.media_type)
                waiting.append((one, manifest))
                waiting += [(child, None) for child in manifest.required_images]


def _followers(ctx: Context, source: Repository, digest: Digest) -> list[Digest]:
    """Return what refers to an image; of archived ones, none."""
    named = sa.select(manifests.c.digest).where(manifests.c.repository_id == source.id, manifests.c.subject == digest)
    found = [Digest(one) for one in ctx.tx.execute(named.order_by(manifests.c.digest)).scalars()]
    return [one for one in found if images.find(ctx, source, one) is not None]
