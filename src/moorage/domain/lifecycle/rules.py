"""The words of a lifecycle policy, and a rule of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from moorage.domain import filters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class TagStatus(StrEnum):
    """Which images a rule is about."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"
    ANY = "any"


class CountType(StrEnum):
    """What a rule counts."""

    IMAGES = "imageCountMoreThan"
    SINCE_PUSHED = "sinceImagePushed"
    SINCE_PULLED = "sinceImagePulled"
    SINCE_TRANSITIONED = "sinceImageTransitioned"


class StorageClass(StrEnum):
    """Where a rule's images are."""

    STANDARD = "standard"
    ARCHIVE = "archive"


class Action(StrEnum):
    """What a rule does."""

    EXPIRE = "expire"
    TRANSITION = "transition"


@dataclass(frozen=True)
class Rule:
    """One rule. It selects images by their tags and storage class, and acts on those its count is about."""

    priority: int
    status: TagStatus
    prefixes: tuple[str, ...]
    patterns: tuple[str, ...]
    storage: StorageClass
    count: CountType
    number: int
    """Images for `CountType.IMAGES`, else days."""
    action: Action
    description: str | None = field(default=None, compare=False)

    @cached_property
    def _entries(self) -> tuple[Callable[[str], bool], ...]:
        prefixes = (filters.any_of([(prefix, filters.Wild.RUN)]) for prefix in self.prefixes)
        return (*prefixes, *(filters.wildcard(pattern, question=False) for pattern in self.patterns))

    def matches(self, tags: Sequence[str]) -> bool:
        """Tell whether an image with these tags is selected: each entry of the rule's list must match one of them."""
        match self.status:
            case TagStatus.ANY:
                return True
            case TagStatus.UNTAGGED:
                return not tags
            case _:
                return bool(tags) and all(any(map(entry, tags)) for entry in self._entries)


Policy: TypeAlias = tuple[Rule, ...]
"""The rules of a policy, by ascending priority number: the first has the highest priority."""
