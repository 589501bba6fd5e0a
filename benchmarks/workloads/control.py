"""The control plane: tokens and images by ECR's own operations, every request with a signature that is verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.blobs import image
from benchmarks.load import load
from benchmarks.results import Aim
from benchmarks.signing import signed
from benchmarks.workloads.placing import place_image
from benchmarks.workloads.work import Workload, a_core, latency, only_ours, processor, requests

if TYPE_CHECKING:
    from typing import Any

    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale

REPOSITORY: Final = "bench/control"
_CONNECTIONS: Final = 16
_AIM: Final = Aim(2000)
_MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "GetAuthorizationToken": {},
    "BatchGetImage": {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "v1"}]},
    "BatchCheckLayerAvailability": {"repositoryName": REPOSITORY},
}


def workloads(scale: Scale) -> list[Workload]:
    """Return one workload for each operation."""
    return [_workload(scale, operation) for operation in _MEMBERS]


def _workload(scale: Scale, operation: str) -> Workload:
    return Workload(
        name=f"control-{operation.lower()}",
        title=f"{operation} with SigV4, {_CONNECTIONS} connections",
        metrics=(a_core(_AIM), requests(), latency("p50"), latency("p99"), processor("request")),
        prepare=partial(_prepare, operation=operation, seconds=scale.seconds),
        on=only_ours,
    )


def _prepare(server: Server, *, operation: str, seconds: float) -> Run:
    pushed = image(1000)
    with server.connect() as connection:
        place_image(server, connection, REPOSITORY, "v1", pushed)
    members = dict(_MEMBERS[operation])
    if operation == "BatchCheckLayerAvailability":
        members["layerDigests"] = [pushed.layers[0].digest]
    return lambda: load(server, [signed(server, operation, **members)], _CONNECTIONS, seconds)
