"""Results as Markdown: a table for each group of workloads, each figure beside those of the same run."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.results import Metric, Outcome, Results


def markdown(results: Results) -> str:
    """Return all tables."""
    return "\n".join([*_about(results), *_tables(results)])


def outcome(results: Results) -> str:
    """Return what became of the aims, one a line: which were reached, and by how much others were not."""
    ours = next(iter(results.named("ours")), "")
    lines = ["| aim | outcome |", "|---|---|"]
    for one in results.outcomes:
        for metric in one.metrics:
            lines += [f"| {one.title}, {_unit(metric)} | {said} |" for said in _aims(one, metric, ours)]
    return "\n".join([*lines, ""])


def _about(results: Results) -> Iterator[str]:
    yield f"Measured on {', '.join(f'{name} {value}' for name, value in results.machine.items())}.\n"
    for name, facts in results.contenders.items():
        yield f"* **{name}** {facts['version']}: {facts['words']}"
    for name, why in results.missing.items():
        yield f"* **{name}** was not measured: {why}"


def _tables(results: Results) -> Iterator[str]:
    for group, outcomes in groupby(results.outcomes, key=lambda outcome: outcome.group):
        listed = list(outcomes)
        names = [name for name in results.contenders if any(name in outcome.samples for outcome in listed)]
        yield f"\n### {group}\n"
        yield "\n".join(_table(results, listed, names))
        failures = [f"* {one.title}: {name}: {why}" for one in listed for name, why in one.failed.items()]
        yield "\n".join(["", *failures] if failures else [])


def _table(results: Results, outcomes: Iterable[Outcome], names: list[str]) -> Iterator[str]:
    yield f"| | {' | '.join(names)} | best peer | aim |"
    yield f"|---|{'---:|' * len(names)}---:|---|"
    for outcome in outcomes:
        for metric in outcome.metrics:
            cells = [cell(outcome.values(name, metric.name)) for name in names]
            yield f"| {outcome.title}, {_unit(metric)} | {' | '.join([*cells, *_compared(results, outcome, metric)])} |"


def _unit(metric: Metric) -> str:
    return metric.unit if metric.name in {"rate", "cpu", "core", "speed", "seconds"} else f"{metric.name} {metric.unit}"


def cell(values: list[float]) -> str:
    """Return the median, and how far the rounds lie apart."""
    if not values:
        return ""
    apart = f" ±{figures.spread(values) * 50:.0f} %" if len(values) > 1 else ""
    return f"{number(figures.median(values))}{apart}"


def number(value: float) -> str:
    """Return a number to three figures, in full where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 (three figures)


def _compared(results: Results, outcome: Outcome, metric: Metric) -> tuple[str, str]:
    ours = next(iter(results.named("ours")), "")
    peers = [name for name in results.named("peer") if name in outcome.samples]
    best = outcome.best(metric, peers)
    ratio = outcome.ratio(metric.name, ours, best) if best else None
    beside = f"{number(ratio)} x {best}" if ratio is not None and math.isfinite(ratio) else ""
    return beside, "; ".join(_aims(outcome, metric, ours))


def _aims(outcome: Outcome, metric: Metric, ours: str) -> Iterator[str]:
    values = outcome.values(ours, metric.name)
    for aim in metric.aims if values else ():
        sign = "≥" if metric.rising else "≤"
        if not aim.of:
            yield f"{sign} {number(aim.factor)} {metric.unit}: {_met(metric, figures.median(values), aim.factor)}"
            continue
        best = outcome.best(metric, aim.of, slowest=aim.slowest)
        ratio = outcome.ratio(metric.name, ours, best) if best else None
        found = f"{_met(metric, ratio, aim.factor)} ({number(ratio)})" if ratio is not None else "not measured"
        yield f"{sign} {aim.factor:g} x {best or ' or '.join(aim.of)}: {found}"


def _met(metric: Metric, value: float, bound: float) -> str:
    return "reached" if (value >= bound if metric.rising else value <= bound) else "**not reached**"
