"""All workloads, in the order in which they are run and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.workloads import control, jobs, lists, manifests, memory, pulls, pushes, starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads.work import Scale, Workload

GROUPS: Final[dict[str, Callable[[Scale], list[Workload]]]] = {
    "Manifests": manifests.workloads,
    "Pulls": pulls.workloads,
    "Pushes": pushes.workloads,
    "Lists": lists.workloads,
    "The control plane": control.workloads,
    "Jobs": jobs.workloads,
    "Start": starts.workloads,
    "Memory": memory.workloads,
}
"""The head of a chapter of the report -> its workloads, which share servers that were started for them."""
