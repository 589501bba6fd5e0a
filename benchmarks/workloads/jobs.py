"""The registry's own work: images that a lifecycle policy expires, and objects that the collector takes away."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import collection, lifecycle
from benchmarks.results import Metric
from benchmarks.workloads.work import Sample, Workload, only_ours
from moorage import app
from moorage.config import Settings
from moorage.jobs import Run as Job
from moorage.jobs.lifecycle import carry_out
from moorage.registry import lifecycle as policies

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale
    from moorage.registry.core import Registry


def workloads(scale: Scale) -> list[Workload]:
    """Return a run of each job, in a process of its own without clients."""
    images = 5_000 if scale.quick else 100_000
    objects = 2_000 if scale.quick else 20_000
    return [
        _workload("job-lifecycle", f"lifecycle: images expired, of {images:,}, all but 1,000", images, _expire),
        _workload("job-collection", f"collector: objects freed, of {objects:,}, rows and bytes", objects, _collect),
    ]


def _workload(name: str, title: str, count: int, act: Callable[[Registry, int], Sample]) -> Workload:
    return Workload(
        name=name,
        title=title,
        metrics=(Metric("rate", "/s"), Metric("seconds", "s", rising=False)),
        prepare=partial(_prepare, count=count, act=act),
        rounds=1,
        on=only_ours,
    )


def _prepare(_server: Server, *, count: int, act: Callable[[Registry, int], Sample]) -> Run:
    def run() -> Sample:
        with TemporaryDirectory(prefix="moorage-bench-") as folder:
            settings = Settings(data=Path(folder))
            app.prepare(settings)
            registry = app.open_registry(settings)
            registry.is_anybody = lambda: False
            try:
                return act(registry, count)
            finally:
                registry.close()

    return run


def _expire(registry: Registry, count: int) -> Sample:
    repository = lifecycle.fill(registry, count)
    with registry.write(registry.system()) as ctx:
        policies.put(ctx, repository, lifecycle.POLICY)
        due = policies.due_now(ctx, repository)
    begun = time.perf_counter()
    acted = carry_out(registry, due, Job())
    seconds = time.perf_counter() - begun
    return Sample({"rate": sum(acted.values()) / seconds, "seconds": seconds})


def _collect(registry: Registry, count: int) -> Sample:
    collection.fill(registry, count, absent=False, clock=registry.clock() - timedelta(days=2))
    seconds = sum(collection.collected_here(registry).values())
    return Sample({"rate": count / seconds, "seconds": seconds})
