"""
A lifecycle policy applied to a snapshot of a repository.

All rules see the same images. An image belongs to the first rule that selects
it, by priority, and no other rule acts on it; but every rule counts all images
that it selects, whoever they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from moorage.domain.lifecycle.rules import CountType, StorageClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from moorage.domain.lifecycle.rules import Policy, Rule

_LONGEST: Final = timedelta.max.days
"""Days that can be counted; a policy may name more."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as far as lifecycle rules look at it."""

    digest: str
    tags: Sequence[str]
    pushed_at: datetime
    pulled_at: datetime | None = None
    archived_at: datetime | None = None
    """When it was last archived."""
    activated_at: datetime | None = None
    """When it was last restored from the archive."""
    storage: StorageClass | None = StorageClass.STANDARD
    """None for an image on its way from one class to another: no rule is about it."""
    in_index: bool = False
    """A stored index names it: it stays as long as the index does."""
    follows: bool = False
    """It refers to a stored subject, and goes when that goes and not by a rule of its own."""

    @property
    def since_pushed(self) -> datetime:
        """When its age begins."""
        return self.activated_at or self.pushed_at

    @property
    def since_pulled(self) -> datetime:
        """When it was last wanted: pulled or, if not since then, restored or pushed."""
        began = self.since_pushed
        return began if self.pulled_at is None else max(self.pulled_at, began)

    def since(self, count: CountType) -> datetime:
        """Return the moment from which a rule counts days."""
        if count is CountType.SINCE_PULLED:
            return self.since_pulled
        if count is CountType.SINCE_TRANSITIONED:
            return self.archived_at or self.pushed_at
        return self.since_pushed


class Keeper(Enum):
    """Why an image stays."""

    NO_RULE = "no rule selects it"
    RULE = "the rule that selects it keeps it"
    INDEX = "an index names it"
    SUBJECT = "it goes with its subject"


class Judgement(NamedTuple):
    """What becomes of an image."""

    image: Image
    rule: Rule | None
    """The rule that it belongs to."""
    keeper: Keeper | None
    """Why it stays; None if the rule acts on it."""


def judge(policy: Policy, images: Iterable[Image], now: datetime) -> Iterator[Judgement]:
    """
    Yield what becomes of each image, once: by rule, and within a rule from the oldest to the newest.

    Time is proportional to rules times tags, and to sorting; the images are held once.
    """
    remaining = sorted(images, key=lambda image: (image.since_pushed, image.digest))
    judged: set[str] = set()
    for image in remaining:
        if image.follows:
            judged.add(image.digest)
            yield Judgement(image, None, Keeper.SUBJECT)
    countable = [image for image in remaining if not image.follows]
    for rule in policy:
        selected = [image for image in countable if image.storage is rule.storage and rule.matches(image.tags)]
        newest_kept = _first_kept(rule, selected)
        for place, image in enumerate(selected):
            if image.digest in judged:
                continue
            judged.add(image.digest)
            acts = place < newest_kept and _is_old(rule, image, now)
            yield Judgement(image, rule, _keeper(image, acts=acts))
    for image in countable:
        if image.digest not in judged:
            yield Judgement(image, None, Keeper.NO_RULE)


def select(policy: Policy, images: Iterable[Image], now: datetime) -> list[tuple[Image, Rule]]:
    """Return the images that the policy's rules act on, each with its rule."""
    return [(image, rule) for image, rule, keeper in judge(policy, images, now) if rule is not None and keeper is None]


def _first_kept(rule: Rule, selected: Sequence[Image]) -> int:
    """Return the place, from the oldest on, of the first image that the rule's number of newest ones covers."""
    return max(0, len(selected) - rule.number) if rule.count is CountType.IMAGES else len(selected)


def _is_old(rule: Rule, image: Image, now: datetime) -> bool:
    if rule.count is CountType.IMAGES:
        return True
    return now - image.since(rule.count) > timedelta(days=min(rule.number, _LONGEST))


def _keeper(image: Image, *, acts: bool) -> Keeper | None:
    if not acts:
        return Keeper.RULE
    return Keeper.INDEX if image.in_index else None
