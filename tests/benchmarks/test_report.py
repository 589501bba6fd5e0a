from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from benchmarks import page, plots, report
from benchmarks.results import Aim, Metric

from tests.benchmarks import samples


def test_an_aim_that_is_reached_is_said_to_be() -> None:
    """The report says by how much Moorage is ahead of the best peer that the aim names."""
    told = report.markdown(samples.results(samples.outcome([100, 100], [10, 10], [20, 20])))
    assert "≥ 5 x zot: reached (5)" in told


def test_an_aim_that_is_missed_is_said_to_be() -> None:
    """The report does not keep quiet about what Moorage does worse."""
    told = report.markdown(samples.results(samples.outcome([10, 10], [10, 10], [20, 20])))
    assert "≥ 5 x zot: **not reached** (0.5)" in told


def test_a_bound_needs_no_peer() -> None:
    """An aim may be a figure of its own."""
    metric = Metric("p50", "ms", rising=False, aims=(Aim(10),))
    told = report.markdown(samples.results(samples.outcome([8], [], [], metric)))
    assert "≤ 10 ms: reached" in told


def test_who_is_missing_is_named() -> None:
    """Nobody is left out without a word."""
    assert "**zot-commit** was not measured: not built" in report.markdown(samples.results())


def test_a_failure_is_named() -> None:
    """What a contender could not do is in the report, and not an empty cell alone."""
    failed = samples.outcome([1], [2], [])
    failed.failed["zot"] = "Refused: no ranges"
    assert "manifest GET: zot: Refused: no ranges" in report.markdown(samples.results(failed))


def test_rounds_that_lie_apart_are_seen_to() -> None:
    """A cell is the median with half the spread."""
    assert report.cell([90, 100, 110]) == "100 ±10 %"


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (0.01234, "0.0123"), (12.34, "12.3")])
def test_numbers_have_three_figures(value: float, text: str) -> None:
    """More figures than three are noise."""
    assert report.number(value) == text


def test_the_text_around_the_figures_stays() -> None:
    """Only what stands between the markers of a name is replaced."""
    text = "before <!-- a -->old<!-- /a --> between <!-- b -->kept<!-- /b --> after"
    assert (
        page.between(text, "a", "new") == "before <!-- a -->\nnew\n<!-- /a --> between <!-- b -->kept<!-- /b --> after"
    )


def test_a_page_without_a_place_is_refused() -> None:
    """Figures are not written where they are not expected."""
    with pytest.raises(ValueError, match="no place for a"):
        page.between("text", "a", "new")


def test_pictures_are_well_formed() -> None:
    """A picture is XML with a bar for each contender that was measured, the longest for the highest figure."""
    drawn = plots.drawn(samples.results(samples.outcome([100], [10], [20])))
    bars = ET.fromstring(drawn["manifests.svg"]).findall("{*}rect[@height='11']")  # noqa: S314 (made here)
    assert max(float(bar.get("width", 0)) for bar in bars) == float(bars[0].get("width", 0))
    assert len(bars) == 3


def test_nothing_is_drawn_of_nothing() -> None:
    """Where nothing was measured there is no picture."""
    assert plots.drawn(samples.results()) == {}
