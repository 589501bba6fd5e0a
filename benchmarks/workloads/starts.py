"""From the command to the first answer: of a new registry, and of one that holds a million tags."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import filling
from benchmarks.results import Aim, Metric
from benchmarks.workloads.work import Sample, Workload, only_ours

if TYPE_CHECKING:
    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale


def workloads(scale: Scale) -> list[Workload]:
    """Return both."""
    metrics = (Metric("ready", "s", rising=False, aims=(Aim(1),)),)
    rows = max(scale.rows)
    held = Workload(
        "start-full", f"start to ready, {rows:,} tags held", metrics, partial(_prepare, rows=rows), on=only_ours
    )
    return [Workload("start-empty", "start to ready, nothing held", metrics, partial(_prepare, rows=0)), held]


def _prepare(server: Server, *, rows: int) -> Run:
    folder = server.folder / f"start-{rows}"
    folder.mkdir()
    if rows:
        with server.contender.running(folder) as first, filling.opened(first) as opened:
            first.create("bench/held")
            filling.images(opened, "bench/held", rows // 10, 10)

    def run() -> Sample:
        held = folder if rows else Path(tempfile.mkdtemp(dir=folder))
        with server.contender.running(held) as started:
            return Sample({"ready": started.ready})

    return run
