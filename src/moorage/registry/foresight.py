"""What a lifecycle policy would do at a moment: to each image and why, and the bytes that come back."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.domain import lifecycle
from moorage.registry import lifecycle as policies
from moorage.registry import sharing
from moorage.registry.tables import manifests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from moorage.domain.lifecycle import Judgement
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


@dataclass(frozen=True)
class Outlook:
    """What becomes of the images of a repository in one run."""

    repository: Repository
    judgements: list[Judgement]
    sizes: dict[str, int]
    """Bytes of each image, as DescribeImages tells them."""
    going: set[str]
    """Digests of the images that expire, and of those that go with their subjects."""

    @cached_property
    def counts(self) -> Counter[str]:
        """How many images are expired, archived (``transition``) or kept by rules of their own."""
        return Counter(action_of(one) for one in self.judgements)


def action_of(judgement: Judgement) -> str:
    """Return what becomes of an image: ``expire``, ``transition`` or ``keep``."""
    if judgement.rule is None or judgement.keeper is not None:
        return "keep"
    return judgement.rule.action.value


def outlook(ctx: Context, repository: Repository, text: str, at: datetime) -> Outlook:
    """
    Return what a policy would do to the images of now if it were carried out ``at`` a moment.

    An image that an index names is kept also where the same run takes the
    index: it is free in the next one.
    """
    found = policies.snapshot(ctx, repository)
    judgements = list(lifecycle.judge(lifecycle.parse(text), found, at))
    expiring = {one.image.digest for one in judgements if action_of(one) == "expire"}
    named = {image.digest for image in found if image.in_index}
    rows = ctx.tx.execute(
        sa.select(manifests.c.digest, manifests.c.image_size, manifests.c.subject)
        .where(manifests.c.repository_id == repository.id)
        .execution_options(yield_per=1000)
    )
    sizes: dict[str, int] = {}
    followers: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        sizes[row.digest] = row.image_size
        if row.subject is not None and row.digest not in named:
            followers[row.subject].append(row.digest)
    return Outlook(repository, judgements, sizes, _with_followers(expiring, followers))


def _with_followers(expiring: Collection[str], followers: dict[str, list[str]]) -> set[str]:
    going: set[str] = set()
    waiting = list(expiring)
    while waiting:
        one = waiting.pop()
        if one not in going:
            going.add(one)
            waiting += followers.get(one, [])
    return going


def freed(ctx: Context, outlooks: Iterable[Outlook]) -> dict[str, int]:
    """Return the layers, each once with its bytes, that no image of the installation needs after these runs."""
    return sharing.only_of(ctx, {one.repository.id: one.going for one in outlooks if one.going})
