"""Rounds: one contender after another, again and again, so that what slows the machine slows all of them."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.contenders.servers import Contender, Server
    from benchmarks.workloads.work import Run, Sample, Scale, Workload


def chosen(workloads: Sequence[Workload], only: Sequence[str]) -> list[Workload]:
    """Return the workloads whose names match one of the patterns; all, if there is none."""
    return [one for one in workloads if not only or any(fnmatch(one.name, pattern) for pattern in only)]


def measure(
    group: str,
    workloads: Sequence[Workload],
    contenders: Sequence[Contender],
    scale: Scale,
    rounds: int | None = None,
) -> list[Outcome]:
    """Run workloads on servers started for them, in a folder that is gone when they have ended."""
    if not workloads:
        return []
    apart = [one for one in workloads if one.fresh]
    if apart and len(workloads) > 1:
        together = [one for one in workloads if not one.fresh]
        parts = [together, *([one] for one in apart)]
        return [outcome for part in parts for outcome in measure(group, part, contenders, scale, rounds)]
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as folder, contextlib.ExitStack() as held:
        servers = [held.enter_context(_running(contender, Path(folder))) for contender in contenders]
        return [_measure(group, workload, servers, rounds or workload.rounds or scale.rounds) for workload in workloads]


@contextlib.contextmanager
def _running(contender: Contender, folder: Path) -> Iterator[Server]:
    own = folder / contender.name
    own.mkdir()
    with contender.running(own) as server:
        yield server


def _measure(group: str, workload: Workload, servers: Sequence[Server], rounds: int) -> Outcome:
    begun = time.monotonic()
    outcome = Outcome(workload.name, workload.title, group, workload.metrics)
    _say(f"{workload.name}:")
    runs = _prepared(workload, [server for server in servers if workload.on(server)], outcome)
    for number in range(rounds):
        # Who goes first has the machine as the round before left it: it is somebody else each time.
        order = list(runs)[number % max(1, len(runs)) :] + list(runs)[: number % max(1, len(runs))]
        for name in order:
            server, run = runs[name]
            try:
                outcome.samples.setdefault(name, []).append(_sample(server, run))
            except Exception as failure:  # noqa: BLE001 (whatever it was: one contender less, said in the report)
                _drop(outcome, name, failure)
                del runs[name]
    _say("".join(_short(outcome, name) for name in outcome.samples) + f" ({time.monotonic() - begun:.0f} s)\n")
    return outcome


def _prepared(workload: Workload, servers: Sequence[Server], outcome: Outcome) -> dict[str, tuple[Server, Run]]:
    runs = {}
    for server in servers:
        try:
            runs[server.name] = server, workload.prepare(server)
        except Exception as failure:  # noqa: BLE001 (as above)
            _drop(outcome, server.name, failure)
    return runs


def _sample(server: Server, run: Run) -> dict[str, float]:
    # What others have left for the disk to write is not this one's to wait for.
    os.sync()
    before = server.cpu_seconds()
    sample: Sample = run()
    used = server.cpu_seconds() - before
    if not sample.amount or not used:
        return sample.values
    return sample.values | {"cpu": used / sample.amount * 1e6, "core": sample.amount / used}


def _drop(outcome: Outcome, name: str, failure: Exception) -> None:
    outcome.failed[name] = f"{type(failure).__name__}: {failure}"[:300]
    outcome.samples.pop(name, None)
    _say(f" {name} FAILED ({outcome.failed[name]})")


def _short(outcome: Outcome, name: str) -> str:
    metric = outcome.metrics[0]
    values = sorted(outcome.values(name, metric.name))
    return f" {name} {values[len(values) // 2]:,.4g}" if values else ""


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
