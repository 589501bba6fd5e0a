"""Which repositories a registry's scanning rules are about, and which rules will not do."""

from __future__ import annotations

import pytest

from moorage.domain.errors import InvalidScanningConfiguration
from moorage.domain.scanning import Configuration, Effective, Rule, check, effective, matches, read, written

NAMES = ["prod", "repo-prod", "prod-repo", "repo-prod-repo", "prodrepo"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("prod", NAMES),
        ("*prod", ["prod", "repo-prod"]),
        ("prod*", ["prod", "prod-repo", "prodrepo"]),
        ("*prod*", NAMES),
        ("prod*repo", ["prod-repo", "prodrepo"]),
    ],
)
def test_filters_match_as_ecr_documents(pattern: str, expected: list[str]) -> None:
    """Without a star a filter is looked for in the name; with one it is matched whole: ECR's own examples."""
    assert [name for name in NAMES if matches(pattern, name)] == expected


BROKEN = "Invalid parameter failed to satisfy constraint"
PUSH, ALWAYS, BY_HAND = "SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"


@pytest.mark.parametrize(
    ("kind", "rules", "own", "expected"),
    [
        ("BASIC", [], False, Effective(BY_HAND)),
        ("BASIC", [], True, Effective(PUSH)),
        ("BASIC", [Rule(PUSH, ("a*", "x"))], False, Effective(PUSH, ("a*",))),
        ("BASIC", [Rule(PUSH, ("x",))], True, Effective(BY_HAND)),
        ("ENHANCED", [], False, Effective(ALWAYS)),
        ("ENHANCED", [Rule(PUSH, ("*",)), Rule(ALWAYS, ("ab", "b*", "a"))], True, Effective(ALWAYS, ("ab", "a"))),
        ("ENHANCED", [Rule(PUSH, ("*",)), Rule(ALWAYS, ("x",))], False, Effective(PUSH, ("*",))),
        ("ENHANCED", [Rule(ALWAYS, ())], True, Effective(BY_HAND)),
    ],
)
def test_the_most_frequent_rule_decides(kind: str, rules: list[Rule], own: bool, expected: Effective) -> None:
    """Rules go before the repository's own setting, continuous before on push; without any the type decides."""
    assert effective(Configuration(kind, tuple(rules)), "abc", own=own) == expected


def test_a_configuration_survives_the_database() -> None:
    """What is written is read again as it was, and nothing is read as the default."""
    configuration = Configuration("ENHANCED", (Rule(PUSH, ("a", "b*")), Rule(ALWAYS, ())))
    assert read(configuration.kind, written(configuration)) == configuration
    assert read(None, None) == Configuration("BASIC", ())


@pytest.mark.parametrize(
    ("kind", "frequencies", "message"),
    [
        (
            "BASIC",
            [ALWAYS],
            f"{BROKEN}: 'Invalid scan frequency for scanType BASIC: CONTINUOUS_SCAN'",
        ),
        ("BASIC", [PUSH, PUSH], "Invalid input. Contains duplicate scan frequencies: [SCAN_ON_PUSH]"),
        (
            "ENHANCED",
            [BY_HAND],
            f"{BROKEN}: 'Invalid scan frequency for scanType ENHANCED: MANUAL'",
        ),
    ],
)
def test_frequencies_are_held_to_the_type(kind: str, frequencies: list[str], message: str) -> None:
    """A frequency that a type does not have, or that comes twice, is refused in ECR's words."""
    with pytest.raises(InvalidScanningConfiguration) as caught:
        check(Configuration(kind, tuple(Rule(frequency, ("*",)) for frequency in frequencies)))
    assert caught.value.message == message
