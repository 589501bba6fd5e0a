"""Wildcards: what they match, and how many steps that takes at worst."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.domain import filters
from moorage.domain.filters import Wild, any_of, matches_tag_filter, pieces, wildcard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from _typeshed import TraceFunction

LETTERS = st.text("ab*?", max_size=12)
TEXTS = st.text("ab*?", max_size=14)


def naive(pattern: str, text: str, *, question: bool = True) -> bool:
    """The definition of a wildcard, written down."""

    @cache
    def match(at: int, position: int) -> bool:
        if at == len(pattern):
            return position == len(text)
        if pattern[at] == "*":
            return match(at + 1, position) or (position < len(text) and match(at, position + 1))
        if position == len(text):
            return False
        fits = pattern[at] == text[position] or (question and pattern[at] == "?")
        return fits and match(at + 1, position + 1)

    return match(0, 0)


def steps(matches: Callable[[str], bool], text: str) -> int:
    """Count the lines that run while matching: a measure that does not depend on the machine."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal count
        count += event == "line" and frame.f_code.co_filename == filters.__file__
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        matches(text)
    finally:
        sys.settrace(before)
    return count


@given(LETTERS, TEXTS)
@example("ab*ba", "aba")
@example("a*a", "a")
@example("a*b*b", "ab")
@example("*b*aab", "aaab")
@example("a?*?a", "aaa")
def test_matches_as_defined(pattern: str, text: str) -> None:
    """Both ways of matching agree with the definition, for every pattern and text."""
    assert wildcard(pattern)(text) == naive(pattern, text)
    assert wildcard(pattern, question=False)(text) == naive(pattern, text, question=False)


@given(st.lists(LETTERS, max_size=5), TEXTS)
def test_any_of_is_or(patterns: list[str], text: str) -> None:
    """Patterns matched at once give what they give one by one."""
    assert any_of(map(pieces, patterns))(text) == any(naive(pattern, text) for pattern in patterns)


@given(TEXTS, TEXTS)
def test_literal_pieces_are_literal(literal: str, text: str) -> None:
    """An asterisk or question mark in a literal piece is itself."""
    assert any_of([[Wild.RUN, literal]])(text) == text.endswith(literal)
    assert any_of([[literal, Wild.ONE]])(text) == (text[:-1] == literal and text != "")


@pytest.mark.parametrize(
    ("pattern", "text"), [("ecr:BATCH*", "ECR:batchGetImage"), ("EcR:?utImage", "ecr:PutImage"), ("*", ""), ("A", "a")]
)
def test_case_is_ignored_on_request(pattern: str, text: str) -> None:
    """With ``ignore_case`` neither the pattern's nor the text's case counts."""
    assert wildcard(pattern, ignore_case=True)(text)


def test_no_patterns_match_nothing() -> None:
    """An empty disjunction is false."""
    assert not any_of([])("")


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("prod*", "prod", True),
        ("prod*", "prod-1", True),
        ("prod*", "production", True),
        ("prod*", "my-prod", False),
        ("*prod*", "my-prod-1", True),
        ("v1.2", "v1.2", True),
        ("v1.2", "v1.20", False),
        ("v1.2", "v1x2", False),
        ("*.*.*", "1.2.3", True),
        ("*.*.*", "1.2", False),
        ("v?", "v1", False),
        ("v?", "v?", True),
    ],
)
def test_tag_filters(pattern: str, tag: str, expected: bool) -> None:
    """ECR's WILDCARD filters match whole tags, and only ``*`` is special in them."""
    assert matches_tag_filter(pattern, tag) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "a*" * 2_000 + "b",
        "*a" * 2_000 + "*b",
        "*" * 5_000 + "b",
        "*" + "a" * 5_000 + "b",
        "*?" + "a?" * 2_000 + "b",
        "?a*" * 2_000 + "b",
        "a*?" * 2_000 + "b*",
        "*" + "?" * 5_000 + "*b",
    ],
)
def test_no_pattern_is_slow(pattern: str) -> None:
    """Patterns that ruin a backtracking matcher take no more than a few steps a character and a part."""
    text = "a" * 8_000
    matches = wildcard(pattern)
    assert not matches(text)
    assert steps(matches, text) <= 4 * (len(text) + len(pattern))


def test_many_patterns_share_their_steps() -> None:
    """A list of patterns with ``?`` takes as many steps as one of them."""
    text = "a" * 8_000
    one = steps(wildcard("*?a?b*"), text)
    many = steps(any_of(pieces(f"*?a?b{number}*") for number in range(500)), text)
    assert len(text) <= one  # or the counter is blind
    assert many <= one + 1_000
