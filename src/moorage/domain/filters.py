"""
Wildcards, in linear time.

A pattern is a sequence of pieces: literal text, `Wild.RUN` (``*``: any run of
characters, also none) and `Wild.ONE` (``?``: exactly one character). Patterns
come from users, so no input may make matching slow: nothing here backtracks.

* Without ``?`` the texts between the ``*`` are searched for from left to right.
  The leftmost place is always a right one, so there is nothing to go back to.
* With ``?`` all positions that the pattern can be in are the bits of one
  integer, which is moved once for each character of the text (the shift-and
  method of Baeza-Yates and Gonnet). Any number of patterns share that integer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Wild(Enum):
    """What a pattern may hold beside literal text."""

    RUN = "*"
    ONE = "?"


Piece: TypeAlias = str | Wild
"""A part of a pattern; the ``*`` in a ``str`` is a literal asterisk."""

_WITH_QUESTION: Final = re.compile(r"[*?]|[^*?]+")
_STARS_ONLY: Final = re.compile(r"\*|[^*]+")


def pieces(pattern: str, *, question: bool = True) -> tuple[Piece, ...]:
    """Read a written pattern: ``*`` is a run; ``?`` is one character if ``question``, else itself."""
    if question:
        return tuple(Wild(part) if part in "*?" else part for part in _WITH_QUESTION.findall(pattern))
    return tuple(Wild.RUN if part == "*" else part for part in _STARS_ONLY.findall(pattern))


def wildcard(pattern: str, *, question: bool = True, ignore_case: bool = False) -> Callable[[str], bool]:
    """
    Compile a pattern into a function that says whether it matches a whole text.

    ``*`` matches any run of characters, ``?`` any one character unless
    ``question`` is false. The time is proportional to pattern plus text, in the
    worst case (with ``?``) to text times pattern / 64.
    """
    if not ignore_case:
        return any_of([pieces(pattern, question=question)])
    matches = any_of([pieces(pattern.lower(), question=question)])
    return lambda text: matches(text.lower())


def any_of(patterns: Iterable[Sequence[Piece]]) -> Callable[[str], bool]:
    """Compile several patterns into one function that says whether at least one matches a whole text."""
    exact: set[str] = set()
    others: list[Callable[[str], bool]] = []
    positional: list[Sequence[Piece]] = []
    for pattern in patterns:
        if Wild.ONE in pattern:
            positional.append(pattern)
        elif Wild.RUN not in pattern:
            exact.add(_text(pattern))
        elif all(piece in ("", Wild.RUN) for piece in pattern):
            return _anything
        else:
            others.append(_sections(pattern))
    if positional:
        others.append(_positions(positional))
    return _first_of(frozenset(exact), others)


def shortest(pattern: Iterable[Piece]) -> int:
    """Return the length of the shortest text that a pattern matches."""
    return sum(len(piece) if isinstance(piece, str) else piece is Wild.ONE for piece in pattern)


@lru_cache(maxsize=1024)
def _tag_filter(pattern: str) -> Callable[[str], bool]:
    return wildcard(pattern, question=False)


def matches_tag_filter(pattern: str, tag: str) -> bool:
    """Say whether one of ECR's ``WILDCARD`` filters matches: the whole tag, and only ``*`` is special."""
    return _tag_filter(pattern)(tag)


# --- How ------------------------------------------------------------------------


def _text(pattern: Iterable[Piece]) -> str:
    return "".join(piece for piece in pattern if isinstance(piece, str))


def _anything(_text: str) -> bool:
    return True


def _first_of(exact: frozenset[str], others: list[Callable[[str], bool]]) -> Callable[[str], bool]:
    if not others:
        return exact.__contains__
    if not exact and len(others) == 1:
        return others[0]
    return lambda text: text in exact or any(matches(text) for matches in others)


def _sections(pattern: Sequence[Piece]) -> Callable[[str], bool]:
    """Match a pattern of text and runs: first and last text stand fast, those between are searched."""
    sections: list[list[Piece]] = [[]]
    for piece in pattern:
        if piece is Wild.RUN:
            sections.append([])
        else:
            sections[-1].append(piece)
    head, *between, tail = map(_text, sections)
    inner = tuple(filter(None, between))
    shortest = len(head) + len(tail) + sum(map(len, inner))

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(head) or not text.endswith(tail):
            return False
        at, end = len(head), len(text) - len(tail)
        for part in inner:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return matches


def _positions(patterns: Iterable[Sequence[Piece]]) -> Callable[[str], bool]:
    """
    Match several patterns of any kind at once.

    Bit i says "the characters so far lead to position i". A character moves a
    position to the next if the pattern has that character or ``?`` there; a
    position before a ``*`` also stays where it is.
    """
    starts: list[int] = []
    accepts: list[int] = []
    stays: list[int] = []
    moves: defaultdict[Piece, list[int]] = defaultdict(list)
    position = 0
    for pattern in patterns:
        starts.append(position)
        for symbol in _symbols(pattern):
            if symbol is Wild.RUN:
                stays.append(position)
            else:
                position += 1
                moves[symbol].append(position)
        accepts.append(position)
        position += 1
    start, accept, stay, anything = map(_bits, (starts, accepts, stays, moves.pop(Wild.ONE, [])))
    table = {character: _bits(positions) | anything for character, positions in moves.items()}

    def matches(text: str) -> bool:
        at = start
        for character in text:
            at = (at << 1) & table.get(character, anything) | (at & stay)
            if not at:
                return False
        return bool(at & accept)

    return matches


def _bits(positions: list[int]) -> int:
    """Make the integer with these bits, given in ascending order, in linear time."""
    octets = bytearray(positions[-1] // 8 + 1 if positions else 0)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")


def _symbols(pattern: Iterable[Piece]) -> Iterable[Piece]:
    for piece in pattern:
        if isinstance(piece, Wild):
            yield piece
        else:
            yield from piece
