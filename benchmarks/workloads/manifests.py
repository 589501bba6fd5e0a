"""Manifests: what a cluster asks for all day, by tag and by digest, one connection to many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import blobs
from benchmarks.client import Refused
from benchmarks.load import Ask, load
from benchmarks.results import Aim
from benchmarks.workloads.placing import place_image
from benchmarks.workloads.work import PEERS, ZOTS, Workload, everyone, latency, processor, requests

if TYPE_CHECKING:
    from benchmarks.contenders.servers import Server
from benchmarks.workloads.work import Run, Scale

REPOSITORY: Final = "bench/manifests"
_CASES: Final = (
    ("HEAD", "tag", (1, 16, 128)),
    ("GET", "tag", (1, 16, 128)),
    ("HEAD", "digest", (16,)),
    ("GET", "digest", (16,)),
)
_TIMES: Final = (Aim(5, ("distribution",)), Aim(5, ZOTS))
_TAIL: Final = Aim(0.5, PEERS)


def workloads(scale: Scale) -> list[Workload]:
    """Return HEAD and GET of one manifest of three layers."""
    return [_workload(scale, method, by, count) for method, by, counts in _CASES for count in counts]


def _workload(scale: Scale, method: str, by: str, connections: int) -> Workload:
    times = _TIMES if by == "tag" and connections > 1 else ()
    tail = (_TAIL,) if by == "tag" and connections == 16 else ()  # noqa: PLR2004 (as the aim says)
    return Workload(
        name=f"manifest-{method.lower()}-{by}-c{connections}",
        title=f"manifest {method} by {by}, {connections} connection{'s' if connections > 1 else ''}",
        metrics=(requests(*times), latency("p50"), latency("p99", *tail), processor("request")),
        prepare=partial(_prepare, method=method, by=by, connections=connections, seconds=scale.seconds),
        on=everyone,
    )


def _prepare(server: Server, *, method: str, by: str, connections: int, seconds: float) -> Run:
    image = blobs.image(1000, 1000, 1000)
    reference = "v1" if by == "tag" else image.digest
    target = f"/v2/{REPOSITORY}/manifests/{reference}"
    with server.connect() as connection:
        place_image(server, connection, REPOSITORY, "v1", image)
        if connection.request("GET", target, headers={"Accept": blobs.MANIFEST}).body != image.manifest:
            raise Refused("another manifest than was pushed")
    ask = Ask(method, target, {"Accept": blobs.MANIFEST})
    return partial(load, server, [ask], connections, seconds)
