"""Work that no request waits for: plain functions, leased rows, one runner a worker."""

from __future__ import annotations

from moorage.jobs.work import Job, Run, Stopped

__all__ = ["Job", "Run", "Stopped"]
