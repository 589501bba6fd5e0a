from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import results

from tests.benchmarks import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Results come back from their file as they were."""
    found = samples.results(samples.outcome([3, 4], [1, 1], [2, 2]))
    found.write(tmp_path / "new" / "results.json")
    assert results.read(tmp_path / "new" / "results.json") == found


def test_the_best_of_a_rising_metric_has_most() -> None:
    """Of requests a second, more is better."""
    assert samples.outcome([1], [5], [9]).best(samples.RATE, ["distribution", "zot"]) == "zot"


def test_the_best_of_a_falling_metric_has_least() -> None:
    """Of processor time, less is better."""
    assert samples.outcome([1], [5], [9], samples.CPU).best(samples.CPU, ["distribution", "zot"]) == "distribution"


def test_the_slowest_can_be_asked_for() -> None:
    """Where one of several limits has to be waited for in any case, the lowest counts."""
    assert samples.outcome([1], [5], [9]).best(samples.RATE, ["distribution", "zot"], slowest=True) == "distribution"


def test_there_is_no_best_of_nobody() -> None:
    """Where nobody was measured nobody is best."""
    assert samples.outcome([1], [], []).best(samples.RATE, ["distribution", "zot"]) is None


def test_there_is_no_ratio_to_who_was_not_measured() -> None:
    """A ratio needs both sides."""
    assert samples.outcome([1], [], [2]).ratio("rate", "moorage", "distribution") is None
