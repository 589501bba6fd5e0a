"""All jobs, in one table."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from moorage.jobs.collection import HELP, collect, help_collect
from moorage.jobs.lifecycle import carry_out_lifecycles
from moorage.jobs.recount import recount
from moorage.jobs.sweep import sweep_orphans
from moorage.jobs.uploads import expire_uploads
from moorage.jobs.work import Job

JOBS: Final[tuple[Job, ...]] = (
    Job("expire-uploads", expire_uploads, timedelta(hours=1), "Forget uploads that nobody continued in time."),
    Job("gc", collect, timedelta(minutes=1), "Free what nothing needs any more."),
    Job(HELP, help_collect, None, "Delete bytes beside gc, where it has many to delete."),
    Job("recount", recount, timedelta(days=1), "Compare what is counted for quotas with what there is, and repair it."),
    Job(
        "lifecycle", carry_out_lifecycles, timedelta(minutes=1), "Expire images by the lifecycle policies that are due."
    ),
    Job("sweep", sweep_orphans, timedelta(days=1), "Remove bytes that no row names."),
)


def find(name: str) -> Job | None:
    """Return the job of that name."""
    return next((job for job in JOBS if job.name == name), None)
