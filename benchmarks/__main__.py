"""
Moorage beside other registries: on one machine, in one run, by the same calls: ``make bench``.

    python -m benchmarks [--quick|--full] [--only PATTERN …] [--on NAME …] [--stack production] [--json FILE]

Everything is started here, round by round in turns, and what is not installed is named and
left out. Prints Markdown; a run of everything also keeps all samples in benchmarks/results/
and writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine, page, report, rounds
from benchmarks.contenders import line
from benchmarks.results import Results
from benchmarks.workloads.table import GROUPS
from benchmarks.workloads.work import FULL, NORMAL, QUICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders.servers import Contender


def arguments() -> argparse.ArgumentParser:
    """Return what the command line may have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="scale", action="store_const", const=QUICK, help="a glance: one short round")
    size.add_argument("--full", dest="scale", action="store_const", const=FULL, help="more rounds, longer, larger")
    parser.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="workloads, such as 'manifest-*'")
    parser.add_argument("--on", nargs="+", default=[], metavar="NAME", help="contenders, such as moorage zot")
    parser.add_argument("--rounds", type=int, help="rounds of each workload")
    parser.add_argument("--stack", choices=line.STACKS, default="default", help="what the registries stand on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all samples are written")
    parser.set_defaults(scale=NORMAL)
    return parser


def run(given: argparse.Namespace) -> Results:
    """Measure what was asked for."""
    with line.standing(given.stack) as found:
        return measured(given, *line.chosen(given.stack, found, given.on))


def measured(given: argparse.Namespace, contenders: Sequence[Contender], missing: dict[str, str]) -> Results:
    """Measure contenders."""
    results = Results(machine.facts(), {one.name: line.facts(one) for one in contenders}, missing=missing)
    for name, why in missing.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    for group, workloads in GROUPS.items():
        if given.stack != "default" and group in line.ONLY_DEFAULT:
            continue
        chosen = rounds.chosen(workloads(given.scale), given.only)
        results.outcomes += rounds.measure(group, chosen, contenders, given.scale, given.rounds)
    return results


def main() -> None:
    """Measure and print."""
    given = arguments().parse_args()
    # What is started has its modules compiled, as where it was installed.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Told to end, it ends what it has started and takes its folders along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    results = run(given)
    print(report.markdown(results))
    whole = not given.only and not given.on and not given.scale.quick
    if given.json:
        results.write(given.json)
    if whole:
        results.write(page.kept(given.stack))
        page.write(results, stack=given.stack)


if __name__ == "__main__":
    main()
