from __future__ import annotations

import json

from benchmarks import check, rounds
from benchmarks.workloads.table import GROUPS
from benchmarks.workloads.work import FULL, GUARD, NORMAL, QUICK

from tests.benchmarks import samples


def test_a_loss_of_a_quarter_is_too_much() -> None:
    """What is more than 25 % worse than committed is lost."""
    assert list(check.losses({"one": 1.0, "other": 1.0}, {"one": 0.74, "other": 0.76})) == ["one"]


def test_what_was_not_measured_is_lost() -> None:
    """A ratio that is committed and was not found fails the guard."""
    assert check.losses({"one": 1.0}, {}) == {"one": "not measured"}


def test_the_best_of_the_tries_counts() -> None:
    """Another try makes a ratio better or leaves it."""
    assert check.better({"one": 1.0, "other": 2.0}, {"one": 3.0, "new": 4.0}) == {"one": 3.0, "other": 2.0, "new": 4.0}


def test_more_than_one_is_always_better() -> None:
    """Of time that is used, half of the peer's is an advantage of two."""
    rate, cpu = samples.outcome([100], [50], [1]), samples.outcome([10], [20], [1], samples.CPU)
    assert check.advantages([rate, cpu]) == {"manifest-get rate": 2, "manifest-get cpu": 2}


def test_what_is_guarded_is_measured() -> None:
    """The workloads of the guard exist at its scale, and the committed ratios are theirs."""
    names = {one.name for workloads in GROUPS.values() for one in workloads(GUARD)}
    committed = json.loads(check.BASELINE.read_text())
    assert set(check.WORKLOADS) <= names
    assert {name.split(" ")[0] for name in committed} == set(check.WORKLOADS)


def test_workloads_have_names_of_their_own() -> None:
    """At each scale, no two workloads have the same name: the results are found by it."""
    for scale in (QUICK, NORMAL, FULL):
        names = [one.name for workloads in GROUPS.values() for one in workloads(scale)]
        assert len(names) == len(set(names))


def test_patterns_choose_workloads() -> None:
    """``--only`` takes patterns of names; without one, everything is chosen."""
    every = GROUPS["Manifests"](NORMAL)
    assert {one.name for one in rounds.chosen(every, ["*-c128"])} == {"manifest-head-tag-c128", "manifest-get-tag-c128"}
    assert rounds.chosen(every, []) == every
