"""All jobs, in one table."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moorage.jobs.collection import HELP, collect, help_collect
from moorage.jobs.lifecycle import carry_out_lifecycles
from moorage.jobs.recount import recount
from moorage.jobs.sweep import sweep_orphans
from moorage.jobs.uploads import expire_uploads
from moorage.jobs.verify import VERIFY, verify
from moorage.jobs.work import Job

if TYPE_CHECKING:
    from moorage.registry.core import Registry

JOBS: Final[tuple[Job, ...]] = (
    Job("expire-uploads", expire_uploads, timedelta(hours=1), "Forget uploads that nobody continued in time."),
    Job("gc", collect, timedelta(minutes=1), "Free what nothing needs any more."),
    Job(HELP, help_collect, None, "Delete bytes beside gc, where it has many to delete."),
    Job("recount", recount, timedelta(days=1), "Compare what is counted for quotas with what there is, and repair it."),
    Job(
        "lifecycle", carry_out_lifecycles, timedelta(minutes=1), "Expire images by the lifecycle policies that are due."
    ),
    Job("sweep", sweep_orphans, timedelta(days=1), "Remove bytes that no row names."),
    Job(VERIFY, verify, None, "Read stored bytes again, and mark what is damaged."),
)


def jobs_of(registry: Registry) -> tuple[Job, ...]:
    """Return all jobs, those too whose schedule is a setting."""
    return tuple(_scheduled(registry, job) for job in JOBS)


def _scheduled(registry: Registry, job: Job) -> Job:
    days = registry.settings.verify_interval_days
    return dataclasses.replace(job, every=timedelta(days=days)) if job.name == VERIFY and days else job


def find(name: str, registry: Registry | None = None) -> Job | None:
    """Return the job of that name; with its schedule where a registry is given."""
    return next((job for job in (JOBS if registry is None else jobs_of(registry)) if job.name == name), None)
