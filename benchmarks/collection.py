"""
What collecting costs: blobs that nothing needs, from rows to bytes, and what pulls and pushes notice of it.

    python -m benchmarks.collection --rows 100000 [--storage disk|s3] [--database sqlite|postgres] [--absent]

A server with two workers answers one client that pulls and one that pushes, each with a short pause between two
units of work: first with its collector idle, then while it takes away rows, then while it takes away bytes. The
ratios of these are the figures; absolute times are those of the machine. As a control, two processes that do nothing
but compute, in turns and with rests as the collector has them, take its place. With ``--no-load`` one process collects,
and knows that nobody else is there: how fast it can be. ``--pace`` is the setting ``gc_pace``.

The store holds one byte for each blob, or with ``--absent`` nothing: then only rows and the calls to the store are
measured.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import sqlalchemy as sa

from benchmarks.beside import Beside
from moorage import app
from moorage.config import Settings
from moorage.domain.names import RepositoryName
from moorage.jobs import Run, leases
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
_LOOK: Final = 0.2
_WORKERS: Final = 2
"""Of the server that tests start."""
PHASES: Final = ("rows", "bytes")
_CONTROL: Final = "computing processes"
_COMPUTE: Final = """
import sys, time
percent = int(sys.argv[1])
while True:
    until = time.perf_counter() + 0.01
    while time.perf_counter() < until:
        pass
    time.sleep(0.01 * (100 - percent) / percent)
"""


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


class Requests(Beside):
    """One client that asks for the same thing again and again, and how long each answer took."""

    def __init__(self, ask: Callable[[], object], think: float) -> None:
        super().__init__(think)
        self._ask = ask
        self.seconds: list[float] = []

    def turn(self) -> None:
        """Ask once."""
        began = time.perf_counter()
        self._ask()
        self.seconds.append(time.perf_counter() - began)


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
def measured(units: dict[str, Callable[[], object]], think: float) -> Iterator[dict[str, list[float]]]:
    """Let all clients work for the length of a block, and give their times when it has ended."""
    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as held:
        asking = {name: held.enter_context(Requests(unit, think)) for name, unit in units.items()}
        yield found
    found |= {name: one.seconds for name, one in asking.items()}


def tail(seconds: Sequence[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return statistics.quantiles(seconds, n=100)[98] * 1000


def collected_here(registry: Registry) -> dict[str, float]:
    """Collect all, in the two runs that it takes; return the seconds of each."""
    taken: dict[str, float] = {}
    for phase in PHASES:
        began = time.perf_counter()
        collect(registry, registry.clock(), Run())
        taken[phase] = time.perf_counter() - began
        hasten(registry)
    return taken


def hasten(registry: Registry) -> None:
    """Make bytes due, which outlive their rows for a while that is not waited for here."""
    now = registry.clock()
    some = sa.select(condemned.c.id).where(condemned.c.due_at > now).limit(_BATCH)
    changed = _BATCH
    while changed:
        # In parts: SQLite remembers every row of one statement, in memory that is measured here.
        with registry.database.write() as tx:
            changed = tx.execute(sa.update(condemned).where(condemned.c.id.in_(some)).values(due_at=now)).rowcount


def postpone(registry: Registry) -> None:
    """Have the server's collector wait until it is asked."""
    with registry.database.write() as tx:
        leases.ensure(tx, "gc", registry.clock() + timedelta(days=1))


def collected_there(registry: Registry) -> float:
    """Ask the server's collector for a run, and wait for its end; return the seconds."""
    began = time.perf_counter()
    with registry.database.write() as tx:
        leases.ask(tx, "gc", "", registry.clock())
    while _is_at_work(registry):
        time.sleep(_LOOK)
    return time.perf_counter() - began


def _is_at_work(registry: Registry) -> bool:
    with registry.database.read() as tx:
        (row,) = leases.rows(tx, "gc")
        waiting = tx.execute(sa.select(condemned.c.id).where(condemned.c.due_at <= registry.clock()).limit(1)).first()
    return row["leased_by"] is not None or row["again"] or row["next_run_at"] <= registry.clock() or waiting is not None


def peaks(server: servers.Server) -> float:
    """Return the most that any worker has held, in MiB (Linux)."""
    pid = server.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (
        max(float(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{one}/status").read_text())[0]) for one in workers) / 1024
    )


def own_peak() -> float:
    """Return the most that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def opened(given: argparse.Namespace, data: Path, flags: list[str]) -> Registry:
    """Make an installation of what the flags name."""
    words = {name.removeprefix("--"): value for name, value in zip(*[iter(flags)] * 2, strict=True)}
    chosen: Any = {"data": data, "account_id": servers.ACCOUNT, "region": servers.REGION, **words}
    settings = Settings(gc_pace=given.pace, **chosen)
    app.prepare(settings)
    return app.open_registry(settings)


def measure(given: argparse.Namespace, data: Path, flags: list[str]) -> list[tuple[str, str]]:
    """Fill, measure idle, collect under the same load, and return rows of a table."""
    with contextlib.closing(opened(given, data, flags)) as registry:
        fill(registry, given.rows, absent=given.absent, clock=registry.clock() - _BEFORE)
        if given.no_load:
            registry.is_anybody = lambda: False
            before = own_peak()
            taken = collected_here(registry)
            return speeds(given.rows, taken, own_peak() - before)
        return under_load(given, registry, data, flags)


def under_load(given: argparse.Namespace, registry: Registry, data: Path, flags: list[str]) -> list[tuple[str, str]]:
    """Let the server's own collector do it while clients are at work."""
    postpone(registry)
    variables = {"MOORAGE_JOBS_POLL_SECONDS": "1", "MOORAGE_GC_PACE": str(given.pace)}
    server, taken, busy = servers.start(data, *flags, variables=variables), {}, {}
    with contextlib.ExitStack() as held:
        held.callback(server.stop)
        units = clients(server)
        with measured(units, given.think) as idle:
            time.sleep(_MEASURED)
        before = peaks(server)
        for phase in PHASES:
            with measured(units, given.think) as busy[phase]:
                taken[phase] = collected_there(registry)
            hasten(registry)
        grown = peaks(server) - before
        with computing(given.pace), measured(units, given.think) as busy[_CONTROL]:
            time.sleep(_MEASURED)
    return speeds(given.rows, taken, grown) + [
        row
        for phase in busy
        for name in units
        for row in ratios(f"{name} while {phase} go", idle[name], busy[phase][name])
    ]


@contextlib.contextmanager
def computing(percent: int) -> Iterator[None]:
    """Have as many processes as there are workers use the processors as a collector may, and nothing else."""
    command = [sys.executable, "-c", _COMPUTE, str(percent)]
    found = [subprocess.Popen(command) for _ in range(_WORKERS)]
    try:
        yield
    finally:
        for process in found:
            process.kill()
            process.wait()


def speeds(count: int, taken: dict[str, float], grown: float) -> list[tuple[str, str]]:
    """Return what was done in which time."""
    return [
        ("objects a second, rows and bytes", f"{count / sum(taken.values()):,.0f}"),
        *((f"{phase} alone", f"{count / taken[phase]:,.0f}/s") for phase in PHASES),
        ("memory grown while collecting", f"{grown:.1f} MiB"),
    ]


def ratios(what: str, idle: Sequence[float], busy: Sequence[float]) -> list[tuple[str, str]]:
    """Return how much longer the same took."""
    half = statistics.median(busy) / statistics.median(idle)
    return [
        (f"{what}: p99", f"{tail(idle):.0f} ms, {tail(busy):.0f} ms: {tail(busy) / tail(idle):.2f}"),
        (f"{what}: median, ratio (requests)", f"{half:.2f} ({len(idle)}, {len(busy)})"),
    ]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--storage", choices=["disk", "s3"], default="disk")
    parser.add_argument("--s3", choices=objects.SERVERS, default="rclone", help="which S3 server")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--absent", action="store_true", help="rows whose bytes are not there")
    parser.add_argument("--pace", type=int, default=25, help="percent of its time in which it works")
    parser.add_argument("--think", type=float, default=0.05, help="seconds between two units of a client's work")
    parser.add_argument("--no-load", action="store_true", help="no clients meanwhile")
    given = parser.parse_args()
    credentials = mock.patch.dict(os.environ, servers.S3_CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held, credentials:
        data = Path(folder) / "data"
        rows = measure(given, data, stack(given, held, data))
    store = given.storage if given.storage == "disk" else given.s3
    how = "alone" if given.no_load else f"pace {given.pace}"
    where = f"{given.rows:,} rows, {given.database}, {store}{', bytes absent' if given.absent else ''}, {how}"
    sys.stdout.write(f"| {where}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |\n|---|---|\n")
    for what, figure in rows:
        sys.stdout.write(f"| {what} | {figure} |\n")


if __name__ == "__main__":
    main()
