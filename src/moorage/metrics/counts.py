"""What one process has counted since its start."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of durations in seconds: a manifest is some milliseconds, a layer may be minutes."""
SECONDS, RECEIVED, SENT, FIRST = range(4)
"""Where a request's cell has its sums, and the first of its buckets."""

COUNTED_ELSEWHERE: Final = ("process_cpu_seconds", "audit_events_lost")
"""Counters that are read as gauges are."""

Key = tuple[str, ...]


class Counts:
    """
    Counters by their labels.

    Labels come from tables of ours, never from a request: what is counted by
    stays a few hundred keys, whatever is sent.
    """

    def __init__(self) -> None:
        self.requests: dict[Key, list[float]] = {}
        """By door, operation and class of status: seconds, bytes received and sent, then requests by bucket."""
        self.in_progress = 0
        """Requests that have not ended. Only the event loop's thread counts requests."""
        self._others: dict[Key, float] = {}
        self._gauges: list[Callable[[], Mapping[str, float]]] = []
        self._lock = threading.Lock()

    def request(self, key: tuple[str, str, str], seconds: float, received: int, sent: int) -> None:
        """Count a request that has ended, by door, operation and class of status."""
        cell = self.requests.get(key)
        if cell is None:
            cell = self.requests[key] = [0.0] * (FIRST + len(BUCKETS) + 1)
        cell[SECONDS] += seconds
        cell[RECEIVED] += received
        cell[SENT] += sent
        cell[FIRST + bisect_left(BUCKETS, seconds)] += 1

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to another counter, from any thread."""
        with self._lock:
            self._others[name, *labels] = self._others.get((name, *labels), 0.0) + by

    def job(self, name: str, outcome: str, seconds: float) -> None:
        """Count a run of a job that has ended."""
        self.add("job_runs", name, outcome)
        self.add("job_seconds", name, by=seconds)

    def gauge(self, read: Callable[[], Mapping[str, float]]) -> None:
        """Have gauges read whenever what was counted is written."""
        self._gauges.append(read)

    def snapshot(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        with self._lock:
            others = [[list(key), value] for key, value in self._others.items()]
        gauges: dict[str, float] = {"requests_in_progress": self.in_progress}
        for read in self._gauges:
            gauges.update(read())
        # Counters, and not gauges: what a worker that has ended used was used.
        others += [[[name], gauges.pop(name)] for name in COUNTED_ELSEWHERE if name in gauges]
        requests = [[list(key), list(cell)] for key, cell in list(self.requests.items())]
        return {"requests": requests, "others": others, "gauges": gauges}
