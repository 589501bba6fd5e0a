"""``moorage jobs``: the registry's own work, what became of it, and how to do some of it now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.managing import Commands
from moorage.cli.opened import Data, opened
from moorage.cli.options import fail
from moorage.cli.output import Json, say, show

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moorage.jobs import Job, Run
    from moorage.registry.core import Registry

app = Commands(help="The registry's own work: expired uploads and the like.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The job's name.")]
Argument = Annotated[str, typer.Argument(help="Which part of the work, for a job that is split.")]
_LOOK: Final = 0.1
"""Seconds between two looks at a run, for its bar."""


@app.command("list")
def list_(data: Data = None, *, as_json: Json = False) -> None:
    """List all jobs: when they run next, and how their last run ended."""
    with opened(data) as registry:
        rows = _described(registry)
    show(rows, ["name", "argument", "state", "lastOutcome", "lastFinished", "nextRun", "progress"], as_json=as_json)


@app.command("show")
def show_(name: Name, argument: Argument = "", data: Data = None, *, as_json: Json = False) -> None:
    """Tell everything about one job."""
    _known(name)
    with opened(data) as registry:
        found = [row for row in _described(registry, name) if row["argument"] == argument]
    if not found:
        fail(f"job {name} has no part {argument!r}")
    text = "\n".join(f"{key + ':':<16}{value}" for key, value in found[0].items() if value not in {None, ""})
    say(text, found[0], as_json=as_json)


@app.command()
def run(name: Name, argument: Argument = "", data: Data = None, *, as_json: Json = False) -> None:
    """Run a job now, beside running servers: under the same lease, so that it still runs once at a time."""
    from moorage.jobs import leases  # noqa: PLC0415 (as in `opened`)

    _known(name)
    with opened(data) as registry:
        outcome, error, state = carried_out(registry, name, argument)
    done = {"name": name, "argument": argument, "outcome": outcome, "error": error, **state}
    say(f"{name}: {outcome}{_progress(state)}" + (f" ({error})" if error else ""), done, as_json=as_json)
    raise typer.Exit(0 if outcome == leases.OK else 1)


def carried_out(registry: Registry, name: str, argument: str = "") -> tuple[str, str | None, dict[str, Any]]:
    """Run a job here, under its lease, with a bar; return the outcome, the error, and how far it has come."""
    from moorage.jobs import Run, leases, table  # noqa: PLC0415 (as in `opened`)
    from moorage.jobs.carrying import carry_out, holder  # noqa: PLC0415

    job, now = table.find(name, registry) or _known(name), registry.clock()
    with registry.database.write() as tx:
        leases.ensure(tx, name, now, argument)
        lease = leases.take(tx, name, argument, holder(registry), now, early=True)
    if lease is None:
        fail(f"job {name} is running elsewhere: see `moorage jobs show {name}`")
    work = Run(lease.argument, lease.cursor)
    outcome = _watched(job, work, lambda: carry_out(registry, job, lease, work))
    error = next((row["error"] for row in rows(registry, name) if row["argument"] == argument), None)
    return outcome, error, work.state()


def _known(name: str) -> Job:
    from moorage.jobs import table  # noqa: PLC0415 (as in `opened`)

    job = table.find(name)
    if job is None:
        fail(f"there is no job {name}; there are {', '.join(job.name for job in table.JOBS)}")
    return job


def _watched(job: Job, work: Run, carry: Callable[[], str]) -> str:
    """Run a job in a thread and show how far it is; the first interrupt lets it stop in good order."""
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.progress import Progress  # noqa: PLC0415

    with ThreadPoolExecutor(1) as threads, Progress(console=Console(stderr=True), transient=True) as bar:
        task, ending = bar.add_task(job.name, total=None), threads.submit(carry)
        while not ending.done():
            try:
                wait([ending], _LOOK)
            except KeyboardInterrupt:
                work.stop()
            bar.update(task, completed=work.done, total=work.total)
        return ending.result()


def rows(registry: Registry, name: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of jobs, of one or of all."""
    from moorage.jobs import leases  # noqa: PLC0415 (as in `opened`)

    with registry.database.read() as tx:
        return leases.rows(tx, name)


def _described(registry: Registry, name: str | None = None) -> list[dict[str, Any]]:
    """Return jobs as people and programs read them, those without a row too: no server has run them yet."""
    from moorage.jobs import table  # noqa: PLC0415 (as in `opened`)

    found, now = rows(registry, name), registry.clock()
    jobs = [job for job in table.jobs_of(registry) if name in {None, job.name}]
    described = []
    for job in jobs:
        mine = [row for row in found if row["name"] == job.name]
        described += [_of_row(job, row, now) for row in mine] or [_of_row(job, None, now)]
    return described


def _of_row(job: Job, row: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    known = row or {"argument": ""}
    return {
        "name": job.name,
        "argument": known["argument"],
        "description": job.description,
        "every": str(job.every) if job.every else None,
        "state": _state(known, now),
        "leasedBy": known.get("leased_by"),
        "attempts": known.get("attempts", 0),
        "nextRun": known.get("next_run_at"),
        "lastStarted": known.get("started_at"),
        "lastFinished": known.get("finished_at"),
        "lastSucceeded": known.get("succeeded_at"),
        "lastOutcome": known.get("outcome"),
        "error": known.get("error"),
        "progress": _progress(known.get("progress") or {}).removeprefix(", "),
    }


def _state(known: dict[str, Any], now: datetime) -> str:
    if known.get("leased_until") is None:
        return "waiting"
    return "running" if known["leased_until"] > now else "abandoned"


def _progress(state: dict[str, Any]) -> str:
    """Return progress in words, after a comma; nothing if a run told none."""
    facts = {key: value for key, value in state.items() if key not in {"done", "total"}}
    told = [f"{key} {value}" for key, value in facts.items()]
    if state.get("total") is not None:
        told.insert(0, f"{state['done']} of {state['total']}")
    return "".join(f", {one}" for one in told)
