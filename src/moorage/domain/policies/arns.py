"""ARN patterns: six parts, each matched on its own, so that a ``*`` never reaches past its colon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.domain import filters
from moorage.domain.filters import Piece, Wild
from moorage.domain.policies.model import PolicyError
from moorage.domain.policies.reading import show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_ARN_PARTS: Final = 6
_LONGEST: Final = 2_048
"""Characters in an ARN; a longer value of a request is none."""


def check(pattern: str) -> None:
    """Raise `PolicyError` for a pattern that can match no ARN."""
    # A pattern of fewer parts can match only if it ends in a run that stands for the rest.
    if pattern.count(":") < _ARN_PARTS - 1 and not pattern.endswith("*") and "${" not in pattern:
        raise PolicyError(f"not an ARN: {show(pattern)}")


def any_of(patterns: Iterable[Sequence[Piece]]) -> Callable[[str], bool]:
    """Compile patterns into a function that says whether at least one matches an ARN."""
    matchers = [_matcher(pattern) for pattern in patterns]
    return lambda given: len(given) <= _LONGEST and any(matches(given) for matches in matchers)


def _matcher(pattern: Sequence[Piece]) -> Callable[[str], bool]:
    parts = _parts(pattern)
    if len(parts) < _ARN_PARTS and parts[-1][-1:] == [Wild.RUN]:
        parts += [[Wild.RUN]] * (_ARN_PARTS - len(parts))
    matchers = [filters.any_of([part]) for part in parts]

    def matches(given: str) -> bool:
        found = given.split(":", _ARN_PARTS - 1)
        return len(found) == len(matchers) and all(match(part) for match, part in zip(matchers, found, strict=True))

    return matches


def _parts(pattern: Sequence[Piece]) -> list[list[Piece]]:
    parts: list[list[Piece]] = [[]]
    for piece in pattern:
        if isinstance(piece, Wild):
            parts[-1].append(piece)
            continue
        first, *more = piece.split(":", _ARN_PARTS - len(parts))
        parts[-1].append(first)
        parts += [[text] for text in more]
    return parts
