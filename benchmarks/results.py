"""What a run of the benchmarks found: metrics, samples, and the JSON in which they are kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Aim:
    """What a metric is to reach: a multiple of what the best of some others reaches, or of one, a bound."""

    factor: float
    of: tuple[str, ...] = ()
    """Names of contenders; none where the factor is the bound itself."""
    slowest: bool = False
    """Whether the worst of them counts, and not the best: where one of them has to be waited for in any case."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a workload."""

    name: str
    unit: str
    rising: bool = True
    """Whether more is better."""
    aims: tuple[Aim, ...] = ()
    guarded: bool = False
    """Whether a loss fails ``make bench-check``."""


@dataclass(slots=True)
class Outcome:
    """All samples of one workload."""

    name: str
    title: str
    group: str
    metrics: tuple[Metric, ...]
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """Contender -> one sample a round, in the order of the rounds."""
    failed: dict[str, str] = field(default_factory=dict)
    """Contender -> why it was not measured."""

    def values(self, contender: str, metric: str) -> list[float]:
        """Return the values of a metric, round by round; none if the contender was not measured."""
        return [sample[metric] for sample in self.samples.get(contender, []) if metric in sample]

    def ratio(self, metric: str, ours: str, theirs: str) -> float | None:
        """Return the paired ratio of two contenders, None where one was not measured."""
        pair = self.values(ours, metric), self.values(theirs, metric)
        return figures.ratio(*pair) if pair[0] and len(pair[0]) == len(pair[1]) else None

    def best(self, metric: Metric, names: Iterable[str], *, slowest: bool = False) -> str | None:
        """Return who of these has the best median (or the worst), None where none was measured."""
        medians = {name: figures.median(found) for name in names if (found := self.values(name, metric.name))}
        chosen = max if metric.rising != slowest else min
        return chosen(medians, key=lambda name: medians[name]) if medians else None


@dataclass(slots=True)
class Results:
    """A run."""

    machine: dict[str, str]
    contenders: dict[str, dict[str, str]]
    """Name -> role, version, durable, words."""
    outcomes: list[Outcome] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Who could not be measured at all -> why."""

    def named(self, *roles: str) -> list[str]:
        """Return the names of the contenders in these roles."""
        return [name for name, facts in self.contenders.items() if facts["role"] in roles]

    def durable_peers(self) -> list[str]:
        """Return the peers that have a push on the disk when they answer it."""
        return [name for name in self.named("peer") if self.contenders[name]["durable"] == "yes"]

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(path: Path) -> Results:
    """Return what `Results.write` wrote."""
    document = json.loads(path.read_text())
    outcomes = [_outcome(item) for item in document.pop("outcomes")]
    return Results(**document, outcomes=outcomes)


def _outcome(item: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**item, "metrics": tuple(_metric(one) for one in item["metrics"])})


def _metric(item: Mapping[str, Any]) -> Metric:
    aims = tuple(Aim(**{**aim, "of": tuple(aim["of"])}) for aim in item["aims"])
    return Metric(**{**item, "aims": aims})
