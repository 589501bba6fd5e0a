"""
Clients that work at the same time, each on a connection of its own, for as long as a round takes.

Threads: what they wait for (sockets, large copies) holds no lock of Python's.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks import figures
from benchmarks.workloads.work import MB, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.client import Connection
    from benchmarks.contenders.servers import Server

    Act = Callable[[Connection, int], int]
    """What a client of this number does once; the bytes that it moved."""

_PATIENCE: Final = 600


@dataclass(frozen=True, slots=True)
class Until:
    """When a round is over: after so many seconds, or so often by each client; once, at least."""

    seconds: float
    times: float = float("inf")


@dataclass(slots=True)
class Crowd:
    """What the clients have done."""

    seconds: float = 0.0
    moved: int = 0
    latencies: list[float] = field(default_factory=list)

    def transfers(self) -> Sample:
        """Return the sample of a workload whose figure is MB/s."""
        amount = self.moved / MB
        return Sample({"speed": amount / self.seconds, **self._latencies()}, amount)

    def acts(self) -> Sample:
        """Return the sample of a workload whose figure is how often a thing is done in a second."""
        done = len(self.latencies)
        return Sample({"rate": done / self.seconds, **self._latencies()}, done)

    def _latencies(self) -> dict[str, float]:
        return {f"p{part}": figures.percentile(self.latencies, part) * 1000 for part in (50, 99)}


class _Client(threading.Thread):
    def __init__(self, server: Server, number: int, act: Act, until: Until, gate: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self._server, self._number, self._act, self._until, self._gate = server, number, act, until, gate
        self.found = Crowd()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with self._server.connect() as connection:
                self._gate.wait()
                self._work(connection)
        except BaseException as failure:  # noqa: BLE001 (raised where the crowd is waited for)
            self.failure = failure
            self._gate.abort()

    def _work(self, connection: Connection) -> None:
        clock, found = time.perf_counter, self.found
        end = clock() + self._until.seconds
        while True:
            begun = clock()
            found.moved += self._act(connection, self._number)
            now = clock()
            found.latencies.append(now - begun)
            if now > end or len(found.latencies) >= self._until.times:
                return


def crowd(server: Server, clients: int, act: Act, until: Until) -> Crowd:
    """Let so many clients do one thing again and again until the round is over; the first failure of one is raised."""
    gate = threading.Barrier(clients + 1, timeout=_PATIENCE)
    everyone = [_Client(server, number, act, until, gate) for number in range(clients)]
    for one in everyone:
        one.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        gate.wait()
    begun = time.perf_counter()
    for one in everyone:
        one.join()
    seconds = time.perf_counter() - begun
    failures = [one.failure for one in everyone if one.failure is not None]
    if failures:
        raise next((one for one in failures if not isinstance(one, threading.BrokenBarrierError)), failures[0])
    latencies = [one for client in everyone for one in client.found.latencies]
    return Crowd(seconds, sum(one.found.moved for one in everyone), latencies)
