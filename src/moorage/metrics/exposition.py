"""From sums to the text that Prometheus reads."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from moorage.metrics.counts import BUCKETS, FIRST, RECEIVED, SECONDS, SENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "job_runs": ("Runs of jobs that have ended.", ("job", "outcome")),
    "job_seconds": ("Seconds that runs of jobs took.", ("job",)),
    "store_errors": ("Calls of the store of layers that failed.", ("operation",)),
    "process_cpu_seconds": ("Processor time of all workers.", ()),
    "audit_events_lost": ("Events that did not get into the audit trail.", ()),
    "layers_missing": ("Layers whose bytes were not there when they were to be sent.", ()),
    "throttled": ("Requests that were refused because there were too many.", ("group",)),
}
_GAUGES: Final[Mapping[str, str]] = {
    "requests_in_progress": "Requests that have not ended.",
    "workers": "Processes that answer requests.",
    "units_running": "Units of work that threads are at.",
    "units_waiting": "Units of work that wait for a thread.",
    "transfers_running": "Pieces of layers that threads are moving.",
    "transfers_waiting": "Pieces of layers that wait for a thread.",
    "database_connections": "Connections to the database that are open.",
    "database_connections_in_use": "Connections to the database that somebody is using.",
    "process_resident_memory_bytes": "Memory of all workers; what they share is counted in each.",
    "process_open_fds": "Open files of all workers.",
    "free_bytes": "Bytes free on the fullest of the disks of layers and database.",
    "refuses_writes": "1 while there is less free than the reserve, and nothing more is taken in.",
    "damaged": "Layers and manifests that were found damaged and have not been pushed again.",
    "uploads_open": "Uploads that have neither ended nor expired, of the whole installation.",
}
_JOB_TIMES: Final = {
    "succeeded_at": ("job_last_success_timestamp_seconds", "When a job last went well, on any node."),
    "finished_at": ("job_last_run_timestamp_seconds", "When a run of a job last ended, on any node."),
}


def text(total: Mapping[str, Any], facts: Mapping[str, float], jobs: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return sums, facts of the whole installation, and its jobs' rows, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once([*_families(total, facts), *_of_jobs(jobs), _build(version)]))
    return generate_latest(registry).decode()


class _Once(Collector):
    """A collector of what has been collected."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(total: Mapping[str, Any], facts: Mapping[str, float]) -> Iterator[Metric]:
    yield from _of_requests(total["requests"])
    for name, (description, labels) in _COUNTERS.items():
        family = CounterMetricFamily(_named(name), description, labels=labels)
        for (which, *values), value in total["others"]:
            if which == name:
                family.add_metric(values, value)
        yield family
    gauges = {**total["gauges"], **facts}
    for name, description in _GAUGES.items():
        if name in gauges:
            yield GaugeMetricFamily(_named(name), description, value=gauges[name])


def _named(name: str) -> str:
    """Return a metric's name: what every process has goes by the name that it has everywhere."""
    return name if name.startswith("process_") else f"moorage_{name}"


def _of_requests(cells: Sequence[tuple[list[str], list[float]]]) -> Iterator[Metric]:
    requests = CounterMetricFamily("moorage_requests", "Requests answered.", labels=("door", "operation", "status"))
    seconds = HistogramMetricFamily("moorage_request_seconds", "Seconds to the end of an answer.", labels=_BY)
    received = CounterMetricFamily("moorage_received_bytes", "Bytes of bodies received.", labels=_BY)
    sent = CounterMetricFamily("moorage_sent_bytes", "Bytes of bodies sent.", labels=_BY)
    by_operation: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * (FIRST + len(BUCKETS) + 1))
    for (door, operation, status), cell in sorted(cells):
        requests.add_metric((door, operation, status), sum(cell[FIRST:]))
        whole = by_operation[door, operation]
        whole[:] = [a + b for a, b in zip(whole, cell, strict=True)]
    for labels, cell in by_operation.items():
        bounds = [*map(str, BUCKETS), "+Inf"]
        seconds.add_metric(labels, list(zip(bounds, itertools.accumulate(cell[FIRST:]), strict=True)), cell[SECONDS])
        received.add_metric(labels, cell[RECEIVED])
        sent.add_metric(labels, cell[SENT])
    yield from (requests, seconds, received, sent)


_BY: Final = ("door", "operation")


def _of_jobs(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    for column, (name, description) in _JOB_TIMES.items():
        family = GaugeMetricFamily(_named(name), description, labels=("job",))
        for row in rows:
            if row[column] is not None:
                family.add_metric((row["name"],), row[column].timestamp())
        yield family
    failing = GaugeMetricFamily("moorage_job_failing", "Rows of a job whose last run failed.", labels=("job",))
    for row in rows:
        failing.add_metric((row["name"],), row["failing"])
    yield failing


def _build(version: str) -> Metric:
    build = GaugeMetricFamily("moorage_build_info", "The version that is running.", labels=("version",))
    build.add_metric((version,), 1)
    return build
