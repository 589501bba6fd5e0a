"""A workload: what it is called, what it measures, who takes part, and how one round of it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.contenders.servers import Role, Server
from benchmarks.results import Aim, Metric

PEERS: Final = ("distribution", "zot", "zot-commit")
ZOTS: Final = ("zot", "zot-commit")
DURABLE: Final = ("distribution", "zot-commit")
NGINX: Final = ("nginx",)
HARDWARE: Final = ("sha256", "dd")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round found: values by the names of metrics, and how much was done for the processor time used."""

    values: dict[str, float]
    amount: float = 0
    """Requests, or MB, as the metric ``cpu`` says; nothing where processor time is not reported."""


Run = Callable[[], Sample]
"""One round; all that is not to be timed has been done."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how much, for all workloads."""

    rounds: int
    seconds: float
    """Of a round of requests."""
    largest: int
    """Bytes of the largest layer that is pushed and pulled."""
    upload: int
    """Bytes of the push during which memory is watched."""
    rows: tuple[int, ...]
    """Sizes of the repositories whose lists are read."""
    quick: bool = False


MB: Final = 1_000_000
QUICK: Final = Scale(1, 1.0, 10 * MB, 100 * MB, (1_000,), quick=True)
NORMAL: Final = Scale(3, 2.0, 1000 * MB, 2000 * MB, (1_000, 100_000, 1_000_000))
GUARD: Final = Scale(3, 2.0, 10 * MB, 100 * MB, (1_000,), quick=True)
FULL: Final = Scale(5, 5.0, 1000 * MB, 10_000 * MB, (1_000, 100_000, 1_000_000))


def registries(server: Server) -> bool:
    """Take whatever is a registry."""
    return server.contender.role is not Role.LIMIT


def only_ours(server: Server) -> bool:
    """Take Moorage alone."""
    return server.contender.role is Role.OURS


def everyone(server: Server) -> bool:
    """Take all that can be asked for something, nginx too."""
    return server.name not in HARDWARE


def everything(_server: Server) -> bool:
    """Take all, with the machine's own tools."""
    return True


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to measure."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    prepare: Callable[[Server], Run]
    """Make what the rounds need and return a round; not timed."""
    rounds: int | None = None
    """Where it differs from the scale's."""
    fresh: bool = False
    """Whether it runs on servers of its own, whose data is gone when it has ended."""
    on: Callable[[Server], bool] = field(default=registries)
    """Who takes part."""


def requests(*aims: Aim) -> Metric:
    """Return the metric of requests a second."""
    return Metric("rate", "/s", aims=aims, guarded=True)


def speed(*aims: Aim) -> Metric:
    """Return the metric of MB a second."""
    return Metric("speed", "MB/s", aims=aims, guarded=True)


def processor(amount: str) -> Metric:
    """Return the metric of processor time that the server used for a request or a MB."""
    return Metric("cpu", f"µs/{amount}", rising=False, guarded=True)


def a_core(*aims: Aim) -> Metric:
    """Return the metric of requests that the server answers in a second of processor time."""
    return Metric("core", "/s a core", aims=aims)


def latency(name: str, *aims: Aim) -> Metric:
    """Return a metric of milliseconds."""
    return Metric(name, "ms", rising=False, aims=aims)
