"""How much a long job does at once, and when it rests."""

from __future__ import annotations

import pytest

from moorage.jobs import Run
from moorage.jobs.pacing import Pace
from moorage.jobs.work import Stopped


class Watched(Run):
    """A run that notes how long it was to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        """Note it."""
        self.waits.append(seconds)


def somebody() -> bool:
    """Somebody is there."""
    return True


@pytest.mark.parametrize(("percent", "rest"), [(25, 3.0), (50, 1.0), (80, 0.25)])
def test_the_rest_is_in_proportion(percent: int, rest: float) -> None:
    """Who works for a quarter of the time rests three times as long as it has worked."""
    run = Watched()
    Pace(run, percent, somebody).rest(1.0)
    assert run.waits == [pytest.approx(rest)]


def test_all_of_the_time_is_without_rest() -> None:
    """At 100 percent nothing is waited for."""
    run = Watched()
    Pace(run, 100, somebody).rest(1.0)
    assert run.waits == []


def test_nobody_is_waited_for() -> None:
    """While nobody is there it does not rest and takes more at once, and does both again when somebody comes."""
    run, there = Watched(), [False]
    pace = Pace(run, 25, lambda: there[0])
    pace.rest(1.0)
    assert run.waits == []
    for _ in range(100):
        pace.learn(pace.rows, 0.02)
    assert pace.rows == 1000
    there[0] = True
    pace.rest(1.0)
    assert run.waits == [pytest.approx(3.0)]
    pace.learn(pace.rows, 0.04)
    assert pace.rows == 500


def test_a_rest_ends_with_its_run() -> None:
    """A run that must end does so in its rest."""
    run = Run()
    run.stop()
    with pytest.raises(Stopped):
        Pace(run, 1, somebody).rest(3600)


def test_slow_rows_are_fewer_the_next_time() -> None:
    """What takes long is done in smaller parts, and never in none."""
    pace = Pace(Run(), 25, somebody)
    before = pace.rows
    pace.learn(pace.rows, 1.0)
    assert 0 < pace.rows < before
    for _ in range(100):
        pace.learn(pace.rows, 1.0)
    assert pace.rows > 0


def test_quick_rows_are_more_the_next_time() -> None:
    """What takes no time is done in larger parts, up to a bound."""
    pace = Pace(Run(), 25, somebody)
    for _ in range(100):
        pace.learn(pace.rows, 0.0001)
    assert pace.rows == 1000


def test_the_last_few_teach_nothing() -> None:
    """Few rows that were quick say nothing of many."""
    pace = Pace(Run(), 25, somebody)
    before = pace.rows
    pace.learn(1, 0.0001)
    assert pace.rows == before


@pytest.mark.parametrize(
    ("rows", "taken", "expected"),
    [
        (1000, 0.2, 1250),
        (1000, 10.0, 500),
        (1000, 0.0, 1500),
        (1000, 0.25, 1000),
        (8000, 0.1, 10_000),
        (12, 60.0, 10),
    ],
)
def test_rows_that_fit_a_turn(rows: int, taken: float, expected: int) -> None:
    """As many rows as take a quarter of a second, in steps of at most a half more or less, never none or too many."""
    pace = Pace(Run(), 25, somebody, turns=(0.25, 1.0), rows=rows, most=10_000)
    pace.learn(rows, taken)
    assert pace.rows == expected
