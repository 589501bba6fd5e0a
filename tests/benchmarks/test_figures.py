from __future__ import annotations

import pytest
from benchmarks import figures


def test_ratios_are_of_rounds() -> None:
    """A machine that is ten times slower in one round leaves the ratio as it is."""
    assert figures.ratio([100, 10, 100], [50, 5, 50]) == 2


def test_one_odd_round_does_not_count() -> None:
    """A round in which one contender was held up is not the median."""
    assert figures.ratio([100, 100, 1], [50, 50, 50]) == 2


def test_spread_is_a_part_of_the_median() -> None:
    """The spread is the distance of the extremes, in medians."""
    assert figures.spread([90, 100, 120]) == pytest.approx(0.3)


@pytest.mark.parametrize(("hundredth", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_measured_values(hundredth: int, value: int) -> None:
    """A percentile is the smallest value that so many do not exceed."""
    assert figures.percentile(range(1, 101), hundredth) == value


def test_the_percentile_of_one_value_is_that_value() -> None:
    """One value is each of its percentiles."""
    assert figures.percentile([7], 99) == 7
