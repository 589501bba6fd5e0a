"""
What collecting costs: blobs that nothing needs, from rows to bytes, and what pulls and pushes notice of it.

    python -m benchmarks.collection --rows 100000 [--storage disk|s3] [--database sqlite|postgres] [--absent]

One process collects. Beside it, a server with two workers over the same rows
answers one client that pulls and one that pushes: first with the collector idle,
then while it runs. The ratio of the two is the figure; absolute times are those of
the machine. The store holds one byte for each blob, or with ``--absent`` nothing:
then only rows and the calls to the store are measured.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

import sqlalchemy as sa

from moorage import app
from moorage.config import Settings
from moorage.domain.names import RepositoryName
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.registry import repositories
from moorage.registry.tables import blobs, condemned, loose_layers, repository_blobs
from tests import content, objects, postgres, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from moorage.registry.core import Registry

_BATCH: Final = 5000
_MEASURED: Final = 15.0
"""Seconds of requests with the collector idle."""
_BEFORE: Final = timedelta(days=2)


def stack(given: argparse.Namespace, held: contextlib.ExitStack, data: Path) -> list[str]:
    """Start what the registry stands on, and return the flags that name it."""
    flags: list[str] = []
    if given.database == "postgres":
        # A cluster that waits for the disk, as one that serves would.
        flags += ["--database", held.enter_context(postgres.running()).migrated()]
    if given.storage == "s3":
        server = held.enter_context(objects.running(given.s3, data.parent / "s3"))
        flags += ["--storage", server.bucket().url("layers")]
    return flags


def fill(registry: Registry, count: int, *, absent: bool, clock: datetime) -> None:
    """Make blobs of one byte each that are in a repository and that no image needs."""
    with registry.write(registry.system()) as ctx:
        repository = repositories.create(ctx, RepositoryName("big"))
    with ThreadPoolExecutor(8) as threads:
        for first in range(0, count, _BATCH):
            ids = [str(uuid.uuid4()) for _ in range(first, min(first + _BATCH, count))]
            named = {one: f"sha256:{hashlib.sha256(one.encode()).hexdigest()}" for one in ids}
            where = dict(zip(ids, threads.map(lambda one: _bytes(registry, one, absent=absent), ids), strict=True))
            rows = [
                {"digest": named[one], "size": 1, "location": where[one], "created_at": clock, "upload_id": one}
                for one in ids
            ]
            mine = [{"repository_id": repository.id, "digest": named[one]} for one in ids]
            with registry.database.write() as tx:
                tx.execute(sa.insert(blobs), rows)
                tx.execute(sa.insert(repository_blobs), [{**row, "linked_at": clock} for row in mine])
                tx.execute(sa.insert(loose_layers), [{**row, "due_at": clock} for row in mine])


def _bytes(registry: Registry, upload_id: str, *, absent: bool) -> str:
    store = registry.blobs
    where = store.new_location(upload_id)
    if absent:
        # As the store would have named it.
        return f"{where}.{upload_id.replace('-', '')[:16]}-1" if hasattr(store, "stream") else where
    with contextlib.closing(store.open(where, 0)) as writer:
        writer.write(b"x")
        return writer.flush()


class Requests:
    """One client that asks for the same thing again and again, and how long each answer took."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self.seconds: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            self._ask()
            self.seconds.append(time.perf_counter() - began)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()


def clients(server: servers.Server) -> dict[str, Callable[[], object]]:
    """Return what a pull does, and a push."""
    server.client().create_repository(repositoryName="busy")
    image, token = content.push(server, "busy", "v1"), server.token()
    layer = content.digest_of(image.layers[0])

    def pull() -> None:
        for path in ("manifests/v1", f"blobs/{layer}"):
            server.request("GET", f"/v2/busy/{path}", token=token)

    def push() -> None:
        pushed = content.image(image.layers[0])
        content.push_blob(server, "busy", pushed.config, token)
        content.put_manifest(server, "busy", "v2", pushed.manifest, pushed.media_type, token)

    return {"pull": pull, "push": push}


@contextlib.contextmanager
def measured(units: dict[str, Callable[[], object]]) -> Iterator[dict[str, list[float]]]:
    """Let all clients work for the length of a block, and give their times when it has ended."""
    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as held:
        asking = {name: held.enter_context(Requests(unit)) for name, unit in units.items()}
        yield found
    found |= {name: one.seconds for name, one in asking.items()}


def tail(seconds: Sequence[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return statistics.quantiles(seconds, n=100)[98] * 1000


def run_collector(registry: Registry) -> dict[str, float]:
    """Collect all, in the two runs that it takes; return the seconds of each and what it came to."""
    told: dict[str, float] = {}
    for name in ("rows", "bytes"):
        now, run, began = registry.clock(), Run(), time.perf_counter()
        collect(registry, now, run)
        told[name] = time.perf_counter() - began
        with registry.database.write() as tx:
            # Bytes outlive their rows for a while, which is not waited for here.
            tx.execute(sa.update(condemned).values(due_at=now))
    told["objects"] = run.facts["objects"]
    return told


def memory() -> float:
    """Return the most that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(given: argparse.Namespace, data: Path, flags: list[str]) -> list[tuple[str, str]]:
    """Fill, measure idle, collect under the same load, and return rows of a table."""
    words = {name.removeprefix("--"): value for name, value in zip(*[iter(flags)] * 2, strict=True)}
    chosen: Any = {"data": data, "account_id": servers.ACCOUNT, "region": servers.REGION, **words}
    settings = Settings(**chosen)
    app.prepare(settings)
    registry = app.open_registry(settings)
    clock = registry.clock() - _BEFORE
    try:
        fill(registry, given.rows, absent=given.absent, clock=clock)
        before, idle, busy = memory(), {}, {}
        if given.no_load:
            told = run_collector(registry)
        else:
            # The server's own runs would take part in what is measured.
            server = servers.start(data, *flags, variables={"MOORAGE_JOBS": "false"})
            with contextlib.ExitStack() as held:
                held.callback(server.stop)
                units = clients(server)
                with measured(units) as idle:
                    time.sleep(_MEASURED)
                with measured(units) as busy:
                    told = run_collector(registry)
        grown = memory() - before
    finally:
        registry.close()
    taken = told["rows"] + told["bytes"]
    rows = [
        ("objects", f"{told['objects']:,.0f}"),
        ("objects a second, rows and bytes", f"{told['objects'] / taken:,.0f}"),
        ("rows alone", f"{told['objects'] / told['rows']:,.0f}/s"),
        ("bytes alone", f"{told['objects'] / told['bytes']:,.0f}/s"),
        ("memory grown while collecting", f"{grown:.1f} MiB"),
    ]
    for name in idle:
        ratio = tail(busy[name]) / tail(idle[name])
        rows.append(
            (f"{name}, p99 idle, collecting", f"{tail(idle[name]):.0f} ms, {tail(busy[name]):.0f} ms: {ratio:.2f}")
        )
        half = statistics.median(busy[name]) / statistics.median(idle[name])
        rows.append((f"{name}, median, ratio (requests)", f"{half:.2f} ({len(idle[name])}, {len(busy[name])})"))
    return rows


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--storage", choices=["disk", "s3"], default="disk")
    parser.add_argument("--s3", choices=objects.SERVERS, default="rclone", help="which S3 server")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--absent", action="store_true", help="rows whose bytes are not there")
    parser.add_argument("--no-load", action="store_true", help="no clients meanwhile")
    given = parser.parse_args()
    credentials = mock.patch.dict(os.environ, servers.S3_CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held, credentials:
        data = Path(folder) / "data"
        rows = measure(given, data, stack(given, held, data))
    where = f"{given.database}, {given.storage}{', bytes absent' if given.absent else ''}"
    sys.stdout.write(f"| {where}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |\n|---|---|\n")
    for what, figure in rows:
        sys.stdout.write(f"| {what} | {figure} |\n")


if __name__ == "__main__":
    main()
