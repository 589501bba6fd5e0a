"""
What a lifecycle policy costs where there is much, and what others notice of it.

    python -m benchmarks.lifecycle --images 100000 [--database sqlite|postgres] [--beside]

Rows are made directly, in one repository; then two previews and a run of the job, in process and alone.

With ``--beside`` a server with two workers carries the policy out, while one client pulls and one pushes, in another
repository, as in `benchmarks.collection`. The ratios to the same requests before the run are the figures. Absolute
numbers are of a shared machine, good for comparing two runs on it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from benchmarks import collection
from moorage import app
from moorage.config import Settings
from moorage.domain import manifests as documents
from moorage.domain.names import Digest, RepositoryName
from moorage.jobs import Run, leases
from moorage.jobs.lifecycle import carry_out
from moorage.registry import foresight, lifecycle, previews, repositories
from moorage.registry import usage as counting
from moorage.registry.tables import blobs, edges, lifecycle_policies, manifests, repository_blobs, tags
from tests import postgres, servers

if TYPE_CHECKING:
    from moorage.registry.core import Registry
    from moorage.registry.repositories import Repository

POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1000},
                "action": {"type": "expire"},
            }
        ]
    }
)
BATCH = 5_000
IDLE = 15.0
"""Seconds of requests before the run."""


def fill(registry: Registry, count: int) -> Repository:
    """Make a repository of images, the newest last: each with a tag, a layer of its own and two that ten share."""
    began = datetime.now(UTC) - timedelta(days=30)
    with registry.write(registry.system()) as ctx:
        made = repositories.create(ctx, RepositoryName("bench"))
    for start in range(0, count, BATCH):
        rows, named, naming = [], [], []
        stored: dict[str, Any] = {}
        for n in range(start, min(start + BATCH, count)):
            layers = [Digest.of(f"{n // 10 if m else n}/{m}".encode()) for m in range(3)]
            body = json.dumps({"schemaVersion": 2, "layers": [_descriptor(one) for one in layers]}).encode()
            digest = Digest.of(body)
            row = {"repository_id": made.id, "digest": digest, "media_type": documents.OCI_IMAGE, "image_size": 1000}
            more = {"size": len(body), "pushed_at": began + timedelta(seconds=n), "tagged": True, "body": body}
            rows.append(row | more)
            named.append({"repository_id": made.id, "name": f"v{n}", "digest": digest, "tagged_at": began})
            naming += [{"repository_id": made.id, "parent": digest, "child": one, "kind": "layer"} for one in layers]
            stored |= {one: {"digest": one, "size": 1000, "location": one, "created_at": began} for one in layers}
        links = [{"repository_id": made.id, "digest": one, "linked_at": began} for one in stored]
        with registry.write(registry.system()) as ctx:
            ctx.tx.execute(sa.insert(blobs), list(stored.values()))
            ctx.tx.execute(sa.insert(repository_blobs), links)
            ctx.tx.execute(sa.insert(manifests), rows)
            ctx.tx.execute(sa.insert(tags), named)
            ctx.tx.execute(sa.insert(edges), naming)
    with registry.write(registry.system()) as ctx:
        counting.recount(ctx.tx, made.id)
    return made


def _descriptor(digest: str) -> dict[str, object]:
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1000}


def measure(registry: Registry, count: int) -> None:
    """Print figures with their names, each when it is known: a run that is cut short has told something."""
    repository = fill(registry, count)

    def timed(what: str, begun: float) -> None:
        print(f"| {what} | {time.perf_counter() - begun:.1f} s |", flush=True)

    with registry.write(registry.system()) as ctx:
        lifecycle.put(ctx, repository, POLICY)
        due = lifecycle.due_now(ctx, repository)
        preview_id = previews.begin(ctx, repository, due.text)
    begun = time.perf_counter()
    previews.compute(ctx, repository, preview_id, due.text)
    timed("preview (StartLifecyclePolicyPreview)", begun)
    begun = time.perf_counter()
    with registry.read(registry.system()) as ctx:
        found = foresight.outlook(ctx, repository, due.text, ctx.now)
        foresight.freed(ctx, [found])
    timed("preview of the command, with bytes freed", begun)

    begun = time.perf_counter()
    acted = carry_out(registry, due, Run())
    timed(f"run, {sum(acted.values())} expired", begun)


def measure_beside(registry: Registry, data: Path, flags: list[str], count: int) -> None:
    """Print how long the job of a server takes, and how much longer requests take meanwhile."""
    repository = fill(registry, count)
    server = servers.start(data, *flags, variables={"MOORAGE_JOBS_POLL_SECONDS": "1"})
    with contextlib.ExitStack() as held:
        held.callback(server.stop)
        units = collection.clients(server)
        with collection.measured(units, 0.02) as idle:
            time.sleep(IDLE)
        with collection.measured(units, 0.02) as busy:
            taken = _carried_out(registry, repository)
    print(f"| run of a server's job | {taken:.1f} s |")
    for name in units:
        for what, figure in collection.ratios(f"{name} beside the run", idle[name], busy[name]):
            print(f"| {what} | {figure} |", flush=True)


def _carried_out(registry: Registry, repository: Repository) -> float:
    """Ask the server for a run of the policy, and wait for its end; return the seconds."""
    began = time.perf_counter()
    with registry.write(registry.system()) as ctx:
        lifecycle.put(ctx, repository, POLICY)
        ctx.tx.execute(sa.update(lifecycle_policies).values(due_at=ctx.now))
        leases.ask(ctx.tx, "lifecycle", "", ctx.now)
    while not _is_done(registry, repository):
        time.sleep(0.2)
    return time.perf_counter() - began


def _is_done(registry: Registry, repository: Repository) -> bool:
    with registry.read(registry.system()) as ctx:
        return lifecycle.get(ctx, repository).evaluated_at is not None


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1], prog="python -m benchmarks.lifecycle")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--beside", action="store_true", help="in a server, beside clients that pull and push")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held:
        # A cluster that waits for the disk, as one that serves would.
        url = held.enter_context(postgres.running()).migrated() if given.database == "postgres" else None
        flags = ["--database", url] if url else []
        settings = Settings(data=Path(folder), database=url, account_id=servers.ACCOUNT, region=servers.REGION)
        app.prepare(settings)
        registry = app.open_registry(settings)
        registry.is_anybody = lambda: False
        print(
            f"| {given.images} images, {given.database}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |",
            "|---|---|",
            sep="\n",
            flush=True,
        )
        try:
            if given.beside:
                measure_beside(registry, settings.data, flags, given.images)
            else:
                measure(registry, given.images)
        finally:
            registry.close()


if __name__ == "__main__":
    main()
