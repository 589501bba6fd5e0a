"""Which repositories would be scanned, and when: the rules of a registry against the name of a repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from moorage.domain.errors import InvalidScanningConfiguration
from moorage.domain.filters import matches_tag_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

BASIC: Final = "BASIC"
ENHANCED: Final = "ENHANCED"
MANUAL: Final = "MANUAL"
ON_PUSH: Final = "SCAN_ON_PUSH"
CONTINUOUS: Final = "CONTINUOUS_SCAN"
_FREQUENCIES: Final = {BASIC: {MANUAL, ON_PUSH}, ENHANCED: {ON_PUSH, CONTINUOUS}}


@dataclass(frozen=True, slots=True)
class Rule:
    """How often repositories of some names are scanned."""

    frequency: str
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is set for a registry."""

    kind: str = BASIC
    """`BASIC` or `ENHANCED`."""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Effective:
    """What follows for one repository."""

    frequency: str
    filters: tuple[str, ...] = field(default=())
    """Those of the rule that decides which the name matches."""


def check(configuration: Configuration) -> None:
    """Raise `InvalidScanningConfiguration` for frequencies that repeat, or that the type of scan does not have."""
    frequencies = [rule.frequency for rule in configuration.rules]
    if repeated := sorted({one for one in frequencies if frequencies.count(one) > 1}):
        raise InvalidScanningConfiguration(
            reason=f"Invalid input. Contains duplicate scan frequencies: [{', '.join(repeated)}]"
        )
    for frequency in frequencies:
        if frequency not in _FREQUENCIES[configuration.kind]:
            problem = f"Invalid scan frequency for scanType {configuration.kind}: {frequency}"
            raise InvalidScanningConfiguration(reason=f"Invalid parameter failed to satisfy constraint: '{problem}'")


def effective(configuration: Configuration, name: str, *, own: bool) -> Effective:
    """
    Return how often a repository is scanned.

    Rules of the registry go before what the repository has set itself
    (``own``, scan on push), and the most frequent of them before the others.
    """
    for frequency in (CONTINUOUS, ON_PUSH, MANUAL):
        for rule in configuration.rules:
            matching = tuple(pattern for pattern in rule.filters if matches(pattern, name))
            if rule.frequency == frequency and matching:
                return Effective(frequency, matching)
    if configuration.rules:
        return Effective(MANUAL)
    if configuration.kind == ENHANCED:
        return Effective(CONTINUOUS)
    return Effective(ON_PUSH if own else MANUAL)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a filter is about a name: with ``*`` it is matched whole, without it is looked for in the name."""
    return matches_tag_filter(pattern, name) if "*" in pattern else pattern in name


def read(kind: str | None, rules: Sequence[dict[str, object]] | None) -> Configuration:
    """Return a configuration as it was written by `written`; None means the default."""
    return Configuration(
        kind or BASIC,
        tuple(Rule(str(rule["frequency"]), tuple(map(str, _list(rule["filters"])))) for rule in rules or ()),
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def written(configuration: Configuration) -> list[dict[str, object]]:
    """Return the rules as a database keeps them."""
    return [{"frequency": rule.frequency, "filters": list(rule.filters)} for rule in configuration.rules]
