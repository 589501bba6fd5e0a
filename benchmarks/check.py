"""
The guard: fails where Moorage has lost against its peers since ratios were last committed: ``make bench-check``.

    python -m benchmarks.check [--write]

A ratio is compared, not a figure, so that it may run on another machine; and the best of
some tries, since a busy machine makes a ratio worse more often than better.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import rounds
from benchmarks.contenders import line
from benchmarks.contenders.ours import NAME
from benchmarks.workloads.table import GROUPS
from benchmarks.workloads.work import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.results import Outcome

BASELINE: Final = Path(__file__).parent / "results" / "baseline.json"
PEER: Final = "distribution"
"""Always the same one: who is best may be somebody else next time."""
LOSS: Final = 0.25
TRIES: Final = 3
WORKLOADS: Final = (
    "manifest-get-tag-c16",
    "manifest-head-tag-c16",
    "pull-10mb",
    "push-1kb-unique-monolithic",
    "push-10mb-unique-monolithic",
    "push-image-c10",
)

Ratios = dict[str, float]
"""``workload metric`` -> how many times better than the peer Moorage was."""


def advantages(outcomes: Iterable[Outcome]) -> Ratios:
    """Return the ratios that are guarded: more than one where Moorage is better, whatever the metric counts."""
    found = {}
    for outcome in outcomes:
        for metric in outcome.metrics:
            ratio = outcome.ratio(metric.name, NAME, PEER) if metric.guarded else None
            if ratio:
                found[f"{outcome.name} {metric.name}"] = ratio if metric.rising else 1 / ratio
    return found


def better(one: Mapping[str, float], other: Mapping[str, float]) -> Ratios:
    """Return the better of two tries, ratio by ratio."""
    return {name: max(tries[name] for tries in (one, other) if name in tries) for name in {**one, **other}}


def losses(baseline: Mapping[str, float], found: Mapping[str, float]) -> dict[str, str]:
    """Return what was lost, in words, by the ratio's name: more than may be, or all of it."""
    lost = {}
    for name, committed in baseline.items():
        if name not in found:
            lost[name] = "not measured"
        elif found[name] < committed * (1 - LOSS):
            lost[name] = f"{found[name]:.3g} times as good as {PEER}, was {committed:.3g}"
    return lost


def measure(names: Sequence[str]) -> Ratios:
    """Return the ratios of some workloads, measured now."""
    outcomes = []
    with line.standing("default") as found:
        contenders, missing = line.chosen("default", found, [NAME, PEER])
        if missing:
            raise SystemExit(f"nothing to compare with: {missing}")
        for group, workloads in GROUPS.items():
            outcomes += rounds.measure(group, rounds.chosen(workloads(GUARD), names), contenders, GUARD)
    return advantages(outcomes)


def check() -> dict[str, str]:
    """Compare with what is committed; what seems lost is measured again."""
    baseline: Ratios = json.loads(BASELINE.read_text())
    found: Ratios = {}
    lost = dict.fromkeys(baseline, "not measured")
    for _ in range(TRIES):
        found = better(found, measure(sorted({name.split(" ")[0] for name in lost})))
        lost = losses(baseline, found)
        if not lost:
            break
    for name, committed in baseline.items():
        print(f"{name:<44} {found.get(name, 0):8.3g}  committed {committed:8.3g}  {lost.get(name, '')}")
    return lost


def main() -> None:
    """Compare, or write what is to be compared with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check")
    parser.add_argument("--write", action="store_true", help="commit to the ratios of this machine, now")
    if parser.parse_args().write:
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(measure(WORKLOADS), indent=1, sort_keys=True) + "\n")
    elif check():
        sys.exit(f"lost more than {LOSS:.0%} against {PEER}")


if __name__ == "__main__":
    main()
