"""
From what a request costs to what an installation needs: ``python -m benchmarks.scale`` writes ``docs/scale.md``.

Costs are measured here, in this process and in PostgreSQL's, with layers in a bucket to which clients are redirected,
and kept in ``benchmarks/results/scale.json``; ``--kept`` takes them from there. Sizes and times are of
`benchmarks.simulation`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from benchmarks.calls import Calls
from benchmarks.control import user
from benchmarks.simulation import Cost, run, size
from moorage import app
from moorage.config import Settings
from moorage.domain.names import RepositoryName
from moorage.registry import repositories
from tests import content, objects, postgres, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.core import Registry

KEPT: Final = Path(__file__).parent / "results" / "scale.json"
PAGE: Final = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
RATES: Final = (1_000, 100_000, 10_000_000)
"""Pulls an hour."""
PEAK: Final = 3
"""How many times the mean an hour's busiest minutes are."""
BUSY: Final = 0.6
POOL: Final = 8
WORKERS_A_NODE: Final = 4
LARGEST: Final = 32
"""Processors of the largest PostgreSQL server that one wants to run: beyond it there are several."""
PULL: Final = {"token": 0.1, "manifest": 2.0, "blob": 4.0}
"""Requests of a pull: a token lasts 12 hours; an index and a manifest; a config and three new layers."""
PUSHES: Final = 0.05
"""Pushes for each pull."""
IMAGE: Final = 60e6
"""Bytes of the layers that a pull gets."""
_TIMES: Final = 500
_ROUNDS: Final = 5
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def seconds_of(cluster: postgres.Cluster) -> float:
    """Return the processor's seconds that a PostgreSQL server has used, with all of its processes."""
    master = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            if master in {int(stat.parent.name), int(fields[1])}:
                total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def requests(calls: Calls) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is done of each kind, with its name."""
    image = content.image(b"x" * 1024)
    push(calls, image)
    token, manifest = calls.signed("GetAuthorizationToken"), calls.at_v2(f"/v2/scale/manifests/{image.digest}")
    blob = calls.at_v2(f"/v2/scale/blobs/{content.digest_of(image.layers[0])}")
    yield "token", lambda: calls.send(token)
    yield "manifest", lambda: calls.send(manifest)
    yield "blob", lambda: calls.send(blob)
    yield "push", lambda: push(calls, content.image())


def push(calls: Calls, image: content.Image) -> None:
    """Push an image of one layer."""
    for part in (*image.layers, image.config):
        begun = calls.send(calls.at_v2("/v2/scale/blobs/uploads/", "POST"))
        path = begun.headers["location"].removeprefix(calls.registry.settings.base_url)
        calls.send(calls.at_v2(f"{path}?digest={content.digest_of(part)}", "PUT", part))
    calls.send(calls.at_v2("/v2/scale/manifests/v1", "PUT", image.manifest, Content_Type=image.media_type))


@contextlib.contextmanager
def opened() -> Iterator[tuple[Registry, postgres.Cluster]]:
    """Open an installation on PostgreSQL, which waits for the disk, and a bucket."""
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        held.enter_context(mock.patch.dict(os.environ, servers.S3_CREDENTIALS))
        cluster = held.enter_context(postgres.running())
        bucket = held.enter_context(objects.running(objects.preferred(), folder / "s3")).bucket()
        settings = Settings(data=folder / "data", database=cluster.migrated(), storage=bucket.url("layers"))
        app.prepare(settings)
        registry = app.open_registry(settings)
        held.callback(registry.close)
        with registry.write(registry.system()) as ctx:
            repositories.create(ctx, RepositoryName("scale"))
        yield registry, cluster


def cost(cluster: postgres.Cluster, act: Callable[[], object], times: int) -> list[float]:
    """Return the milliseconds of our processor and of PostgreSQL's that something takes, done many times."""
    ours, theirs, each = time.process_time(), seconds_of(cluster), 1000 / times
    for _ in range(times):
        act()
    return [round((time.process_time() - ours) * each, 3), round((seconds_of(cluster) - theirs) * each, 3)]


def measured() -> dict[str, Any]:
    """Return what requests of a user with a policy cost, in milliseconds."""
    costs = {}
    with opened() as (registry, cluster), Calls(registry, user(registry)) as calls:
        for name, act in requests(calls):
            times = _TIMES // 3 if name == "push" else _TIMES
            for _ in range(10):
                act()
            # The cheapest of some rounds: others on the machine only make it dearer.
            costs[name] = min(cost(cluster, act, times) for _ in range(_ROUNDS))
    return {"costs": costs, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def figures(kept: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the page's tables."""
    costs = {name: Cost(*cost) for name, cost in kept["costs"].items()}
    yield f"Measured on {kept['cores']} processors at a load of {kept['load']}, in milliseconds of processor time:\n"
    yield "| request | worker | PostgreSQL |\n|---|---|---|"
    for name, cost in costs.items():
        yield f"| {name} | {cost.processor:.2f} | {cost.database:.2f} |"
    mix = PULL | {"push": PUSHES}
    columns = ["pulls an hour", "requests/s at the peak", "workers (nodes)", "PostgreSQL's processors (servers)"]
    columns += ["GETs of the store", "p50, p99", "workers, PostgreSQL busy"]
    yield f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    for pulls in RATES:
        peak = pulls / 3600 * PEAK
        rate = peak * sum(mix.values())
        fleet = size(rate, mix, costs, busy=BUSY, pool=POOL)
        came = run(rate, mix, costs, fleet)
        nodes, servers_ = -(-fleet.workers // WORKERS_A_NODE), -(-fleet.cores // LARGEST)
        store = f"{peak * PULL['blob']:,.0f}/s, {peak * IMAGE * 8 / 1e9:,.1f} Gbit/s"
        yield (
            f"| {pulls:,} | {rate:,.0f} | {fleet.workers} ({max(nodes, 2)}) | {fleet.cores} ({servers_}) | {store}"
            f" | {came.median:.1f} ms, {came.p99:.1f} ms | {came.workers_busy:.0%}, {came.database_busy:.0%} |"
        )


def write(kept: dict[str, Any]) -> None:
    """Put the figures in their place on the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    text = "\n".join(figures(kept))
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def main() -> None:
    """Measure, keep, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--kept", action="store_true", help="measure nothing: what was measured last")
    given = parser.parse_args()
    if not given.kept:
        KEPT.write_text(json.dumps(measured(), indent=2) + "\n")
    write(json.loads(KEPT.read_text()))


if __name__ == "__main__":
    main()
