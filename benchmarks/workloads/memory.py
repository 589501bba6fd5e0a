"""Memory: at rest, under a load of small requests, and what one long push adds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import registry
from benchmarks.beside import Beside
from benchmarks.blobs import MANIFEST, Blob, image
from benchmarks.load import Ask, load
from benchmarks.results import Aim, Metric
from benchmarks.workloads import sizes
from benchmarks.workloads.placing import place_image
from benchmarks.workloads.work import MB, Sample, Workload

if TYPE_CHECKING:
    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale

REPOSITORY: Final = "bench/memory"
_EVERY: Final = 0.05
_CONNECTIONS: Final = 128


def workloads(scale: Scale) -> list[Workload]:
    """Return the one workload: its figures follow from each other."""
    metrics = (
        Metric("idle", "MB", rising=False),
        Metric("worker", "MB", rising=False, aims=(Aim(120),)),
        Metric("loaded", "MB", rising=False),
        Metric("growth", "MB", rising=False, aims=(Aim(64),)),
    )
    size = sizes.words(scale.upload)
    return [
        Workload(
            name="memory",
            title=f"memory (idle: all processes, worker: the largest process at rest; growth: in a push of {size})",
            metrics=metrics,
            prepare=partial(_prepare, scale=scale),
            rounds=1,
            fresh=True,
        )
    ]


class Watched(Beside):
    """The most memory that a server has while a block runs."""

    def __init__(self, server: Server) -> None:
        super().__init__(_EVERY)
        self._server = server
        self.most = 0

    def turn(self) -> None:
        """Look once."""
        self.most = max(self.most, self._server.memory())


def _prepare(server: Server, *, scale: Scale) -> Run:
    ask = Ask("GET", f"/v2/{REPOSITORY}/manifests/v1", {"Accept": MANIFEST})

    def run() -> Sample:
        idle, worker = server.memory(), max(server.sizes())
        with server.connect() as connection, Watched(server) as loaded:
            place_image(server, connection, REPOSITORY, "v1", image(1000))
            load(server, [ask], _CONNECTIONS, scale.seconds)
        before = server.memory()
        with server.connect() as connection, Watched(server) as pushing:
            registry.push_blob(connection, REPOSITORY, Blob(scale.upload))
        found = {"idle": idle, "worker": worker, "loaded": loaded.most, "growth": max(0, pushing.most - before)}
        return Sample({name: value / MB for name, value in found.items()})

    return run
