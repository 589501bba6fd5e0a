"""``moorage jobs``, and jobs in running servers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from typer.testing import CliRunner, Result

from moorage import app
from moorage.cli.main import app as command
from moorage.config import Settings
from moorage.jobs import leases
from moorage.jobs.table import JOBS
from moorage.registry.tables import uploads
from tests import servers
from tests.registry.kit import ACCOUNT, REGION, Bench

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def jobs(data: Path, *arguments: str) -> Result:
    """Run ``moorage jobs`` over a data folder."""
    return CliRunner().invoke(command, ["jobs", *arguments, "--data", str(data)], env={"COLUMNS": "200"})


def read(data: Path, *arguments: str) -> Any:
    """Run a command that prints JSON."""
    done = jobs(data, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def age_uploads(bench: Bench) -> None:
    """Let all uploads look as if they had been left long ago."""
    with bench.registry.database.write() as tx:
        tx.execute(sa.update(uploads).values(touched_at=LONG_AGO))


def test_all_jobs_are_listed_before_any_ran(bench: Bench) -> None:
    """The list has every job of the table, in words and as JSON."""
    listed = read(bench.settings.data, "list")

    assert [row["name"] for row in listed] == [job.name for job in JOBS]
    assert {row["state"] for row in listed} == {"waiting"}
    assert "expire-uploads" in jobs(bench.settings.data, "list").stdout


def test_a_job_is_run_by_hand(bench: Bench) -> None:
    """``run`` does the work at once and tells what came of it; ``show`` tells it later."""
    bench.begin()
    age_uploads(bench)

    done = jobs(bench.settings.data, "run", "expire-uploads")

    assert (done.exit_code, done.stdout) == (0, "expire-uploads: ok, uploads 1\n")
    assert not bench.rows(sa.select(uploads))
    shown = read(bench.settings.data, "show", "expire-uploads")
    assert (shown["lastOutcome"], shown["progress"], shown["attempts"]) == ("ok", "uploads 1", 0)
    assert "lastOutcome:    ok" in jobs(bench.settings.data, "show", "expire-uploads").stdout


def test_what_a_server_runs_is_not_run_by_hand(bench: Bench) -> None:
    """While somebody holds the lease, ``run`` says so, and runs nothing."""
    now = datetime.now(UTC)
    with bench.registry.database.write() as tx:
        leases.ensure(tx, "expire-uploads", now)
        leases.take(tx, "expire-uploads", "", "node:1:x", now)

    done = jobs(bench.settings.data, "run", "expire-uploads")

    assert done.exit_code == 2
    assert "running elsewhere" in done.stderr
    shown = read(bench.settings.data, "show", "expire-uploads")
    assert (shown["state"], shown["leasedBy"]) == ("running", "node:1:x")


def test_unknown_jobs_are_refused(bench: Bench) -> None:
    """A name that no job has, and a part that a job does not have, end the command with words."""
    assert "there is no job nothing; there are expire-uploads" in jobs(bench.settings.data, "run", "nothing").stderr
    assert "has no part 'x'" in jobs(bench.settings.data, "show", "expire-uploads", "x").stderr


def test_servers_run_jobs(tmp_path: Path) -> None:
    """A server does in the background what is due, and with ``--no-jobs`` leaves it."""
    config = tmp_path / "moorage.toml"
    config.write_text("jobs_poll_seconds = 1\n")
    data = tmp_path / "data"
    settings = Settings(data=data, account_id=ACCOUNT, region=REGION)
    app.prepare(settings)
    bench = Bench(settings, app.open_registry(settings))
    repository = bench.repository("one")
    bench.begin(repository)
    age_uploads(bench)
    with servers.running(data, "--config", str(config), "--no-jobs") as idle:
        assert idle.anonymous("GET", "/healthz").status == 200
    assert read(data, "show", "expire-uploads")["lastStarted"] is None

    with servers.running(data, "--config", str(config)) as working:
        deadline = time.monotonic() + PATIENCE
        while read(data, "show", "expire-uploads")["lastOutcome"] is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert working.stop() == 0

    assert read(data, "show", "expire-uploads")["lastOutcome"] == "ok"
    assert not bench.rows(sa.select(uploads))
    bench.registry.close()
