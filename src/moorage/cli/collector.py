"""``moorage gc``: space that comes back, what comes back next, and what keeps the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli import jobs
from moorage.cli.managing import Commands
from moorage.cli.opened import opened, reading
from moorage.cli.output import print_json, show, show_one, size_text, wants_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from moorage.registry.core import Context, Registry

app = Commands(help="Garbage collection. It runs by itself, beside pushes and pulls.", no_args_is_help=True)
_PAGE: Final = 1000


@app.command()
def status() -> None:
    """Tell what waits to be looked at and to be deleted, and how far the last run has come."""
    from moorage.registry import collection  # noqa: PLC0415 (as in `opened`)

    with opened() as registry:
        with registry.read(registry.system()) as ctx:
            waiting = collection.status(ctx)
        run = _last_run(registry)
    show_one({**waiting, **run})


DryRun = Annotated[bool, typer.Option("--dry-run", help="Delete nothing: tell what would go and what stays.")]


@app.command()
def run(*, dry_run: DryRun = False) -> None:
    """Collect now what is due, beside running servers."""
    if not dry_run:
        jobs.run("gc")
        return
    columns = ["repository", "digest", "size", "dueAt", "fate", "neededBy"]
    with reading(any_account=True) as ctx:
        rows = list(_outlook(ctx))
    if wants_json.get():
        print_json(rows)
        return
    show(rows, columns)
    going = [row for row in rows if row["fate"] == "goes now"]
    typer.echo(f"{len(going)} of {len(rows)} layers would go now, {size_text(sum(row['size'] for row in going))}")


def _outlook(ctx: Context) -> Iterator[dict[str, Any]]:
    from moorage.registry import collection  # noqa: PLC0415 (as in `opened`)

    page = collection.outlook(ctx, limit=_PAGE)
    while page:
        for one in page:
            yield {
                "repository": one.repository,
                "digest": one.digest,
                "size": one.size,
                "dueAt": one.due_at,
                "fate": _fate(one.needed_by, one.due_at, ctx.now),
                "neededBy": one.needed_by,
            }
        page = collection.outlook(ctx, after=(page[-1].repository_id, page[-1].digest), limit=_PAGE)


def _fate(needed_by: str | None, due_at: datetime, now: datetime) -> str:
    if needed_by is not None:
        return "stays"
    return "goes now" if due_at <= now else "waits"


def _last_run(registry: Registry) -> dict[str, Any]:
    """Return what the job's row tells of its run, with its rate and, while it runs, how long it still takes."""
    row = next((row for row in jobs.rows(registry, "gc") if row["argument"] == ""), None)
    if row is None or row["started_at"] is None:
        return {"run": "never"}
    progress, running = row["progress"] or {}, row["leased_until"] is not None
    ended = registry.clock() if running or row["finished_at"] is None else row["finished_at"]
    seconds = max((ended - row["started_at"]).total_seconds(), 0.001)
    done, total = progress.get("done", 0), progress.get("total")
    told = {
        "run": "running" if running else row["outcome"],
        "startedAt": row["started_at"],
        "seconds": round(seconds, 1),
        "objectsDeleted": done,
        "bytesFreed": progress.get("bytes", 0),
        "objectsPerSecond": round(done / seconds, 1),
    }
    if running and total and done:
        told["secondsLeft"] = round((total - done) * seconds / done)
    return told
