"""
The five kinds of constraint of the service model, as checks on one value.

botocore's own validator looks at ``required``, types and ``min`` only: it is
a courtesy to a client, not a server's guard.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from moorage.aws.faults import Broken
from moorage.aws.patches import ENUM_ORDER, NUL_PATTERN, OWN_LENGTH, PATTERNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    Check: TypeAlias = Callable[[Any], None]

Shape: TypeAlias = "Mapping[str, Any]"
"""A shape of the service model, as botocore stores it."""


def text_checks(name: str, shape: Shape) -> tuple[Check, ...]:
    """Return the checks on a string of that shape, in the order in which they are reported."""
    checks = [] if name in OWN_LENGTH else [*length_checks(shape)]
    if "pattern" in shape:
        checks.append(_pattern(name, shape["pattern"]))
    if "enum" in shape:
        checks.append(_enum(ENUM_ORDER.get(name, ()), shape["enum"]))
    else:
        # Last, so that a member with a pattern of its own is refused in its own words.
        checks.append(_no_nul)
    return tuple(checks)


def length_checks(shape: Shape) -> tuple[Check, ...]:
    """Return the checks on the length of a string (characters), a blob (bytes), a list or a map (members)."""
    checks: list[Check] = []
    if shape.get("min", 0) > 0:
        checks.append(_shortest(shape["min"]))
    if "max" in shape:
        checks.append(_longest(shape["max"]))
    return tuple(checks)


def value_checks(shape: Shape) -> tuple[Check, ...]:
    """Return the checks on a number."""
    checks: list[Check] = []
    if "min" in shape:
        checks.append(_least(shape["min"]))
    if "max" in shape:
        checks.append(_most(shape["max"]))
    return tuple(checks)


def _shortest(limit: int) -> Check:
    def check(value: Sized) -> None:
        if len(value) < limit:
            raise Broken("min_length", limit)

    return check


def _longest(limit: int) -> Check:
    def check(value: Sized) -> None:
        if len(value) > limit:
            raise Broken("max_length", limit)

    return check


def _least(limit: float) -> Check:
    def check(value: float) -> None:
        if value < limit:
            raise Broken("min_value", limit)

    return check


def _most(limit: float) -> Check:
    def check(value: float) -> None:
        if value > limit:
            raise Broken("max_value", limit)

    return check


def _pattern(name: str, published: str) -> Check:
    # The model's patterns are Java's: \w and \s mean ASCII there. Some have ^ and $ and some have not, and all are
    # meant for the whole string; `fullmatch` also keeps `$` from overlooking a newline at the end.
    matches = re.compile(PATTERNS.get(name, published), re.ASCII).fullmatch

    def check(value: str) -> None:
        if matches(value) is None:
            raise Broken("pattern", published)

    return check


def _enum(order: tuple[str, ...], published: list[str]) -> Check:
    allowed: Final = frozenset(published)
    # A value that a newer model adds is listed after those whose order we know.
    listed = ", ".join([*(value for value in order if value in allowed), *(v for v in published if v not in order)])

    def check(value: str) -> None:
        if value not in allowed:
            raise Broken("enum", listed)

    return check


def _no_nul(value: str) -> None:
    if "\0" in value:
        raise Broken("pattern", NUL_PATTERN)
