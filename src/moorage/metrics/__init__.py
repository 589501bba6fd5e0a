"""
What the registry counts, for `GET /metrics`.

Each worker counts in plain dictionaries of its own (under two microseconds a
request, where prometheus-client's files shared between processes take ten times
that) and writes them about once a second to a file in a folder that the workers
share. A scrape sums the files, so any worker tells of all of them.
"""

from __future__ import annotations

from moorage.metrics.counts import Counts
from moorage.metrics.folder import Folder, shared

__all__ = ["Counts", "Folder", "shared"]
