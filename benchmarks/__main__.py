"""
Moorage beside other registries: on one machine, in one run, by the same calls: ``make bench``.

    python -m benchmarks [--quick|--full] [--only PATTERN …] [--on NAME …] [--json FILE]

Everything is started here, round by round in turns, and what is not installed is
named and left out. Prints a Markdown table; ``--json`` keeps all samples.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import machine, report, rounds
from benchmarks.contenders import line
from benchmarks.results import Results
from benchmarks.workloads.table import GROUPS
from benchmarks.workloads.work import FULL, NORMAL, QUICK


def arguments() -> argparse.ArgumentParser:
    """Return what the command line may have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="scale", action="store_const", const=QUICK, help="a glance: one short round")
    size.add_argument("--full", dest="scale", action="store_const", const=FULL, help="more rounds, longer, larger")
    parser.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="workloads, such as 'manifest-*'")
    parser.add_argument("--on", nargs="+", default=[], metavar="NAME", help="contenders, such as moorage zot")
    parser.add_argument("--rounds", type=int, help="rounds of each workload")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all samples are written")
    parser.set_defaults(scale=NORMAL)
    return parser


def run(given: argparse.Namespace) -> Results:
    """Measure what was asked for."""
    contenders, missing = line.up(given.on)
    results = Results(machine.facts(), {one.name: line.facts(one) for one in contenders}, missing=missing)
    for name, why in missing.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    for group, workloads in GROUPS.items():
        chosen = rounds.chosen(workloads(given.scale), given.only)
        results.outcomes += rounds.measure(group, chosen, contenders, given.scale, given.rounds)
    return results


def main() -> None:
    """Measure and print."""
    given = arguments().parse_args()
    results = run(given)
    print(report.markdown(results))
    if given.json:
        results.write(given.json)


if __name__ == "__main__":
    main()
