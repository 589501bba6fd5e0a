"""
A small simulation of many nodes: clients arrive at random, workers compute, PostgreSQL answers, one pool between them.

A request needs its worker's processor, then one of its worker's connections and one of PostgreSQL's processors, then
nothing of ours: layers come from the object store. Everybody waits in turn. What is found is how long requests
take and how busy each part is; nothing here is fitted to a measured time, only to what a request costs.
"""

from __future__ import annotations

import heapq
import random
import statistics
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SEED: Final = 8
MOST: Final = 40_000
"""Requests that are simulated: of a great many a part, on the same part of everything."""


class Cost(NamedTuple):
    """What one request costs, in milliseconds."""

    processor: float
    """Of a worker."""
    database: float
    """Of one of PostgreSQL's processors."""


class Fleet(NamedTuple):
    """What there is to serve."""

    workers: int
    pool: int
    """Connections of a worker."""
    cores: int
    """Processors of PostgreSQL."""


class Outcome(NamedTuple):
    """What came of it."""

    median: float
    p99: float
    """Milliseconds of a request, but for the network and the object store."""
    workers_busy: float
    database_busy: float
    """Parts of the time."""


class Station:
    """Places that serve in turn, each one request at a time."""

    def __init__(self, places: int) -> None:
        self._free = [0.0] * places
        self.worked = 0.0

    def take(self, now: float, length: float) -> float:
        """Serve from the first moment that a place is free; return the end."""
        ended = self.begins(now) + length
        self.worked += length
        self.holds(ended)
        return ended

    def begins(self, now: float) -> float:
        """Return the first moment that a place is free."""
        return max(now, self._free[0])

    def holds(self, until: float) -> None:
        """Keep that place until then."""
        heapq.heapreplace(self._free, until)

    def busy(self, until: float) -> float:
        """Return the part of the time in which a place was at work."""
        return self.worked / (until * len(self._free))


def arrivals(rate: float, mix: Mapping[str, float], chance: random.Random) -> Iterator[tuple[float, str]]:
    """Yield moments (ms) and kinds of requests, at random, ``rate`` a second."""
    now, names, weights = 0.0, list(mix), list(mix.values())
    while True:
        now += chance.expovariate(rate / 1000)
        yield now, chance.choices(names, weights)[0]


def run(rate: float, mix: Mapping[str, float], costs: Mapping[str, Cost], fleet: Fleet) -> Outcome:
    """Let requests come at a rate; ``mix`` says how many of each kind belong to one another."""
    # Nodes do not know of each other. Half of them with half of PostgreSQL at half the rate are as busy.
    share = min(1.0, MOST / (rate * 10))
    workers, cores = max(1, round(fleet.workers * share)), max(1, round(fleet.cores * share))
    chance = random.Random(SEED)  # noqa: S311 (a simulation, and the same at each run)
    processors, database = [Station(1) for _ in range(workers)], Station(cores)
    pools = [Station(fleet.pool) for _ in range(workers)]
    took, now = [], 0.0
    waiting: list[tuple[float, float, int, str]] = []
    coming = arrivals(rate * workers / fleet.workers, mix, chance)
    for _ in range(MOST):
        now, kind = next(coming)
        number = chance.randrange(workers)
        heapq.heappush(waiting, (processors[number].take(now, costs[kind].processor), now, number, kind))
        # What has left its worker by now asks PostgreSQL, in the order of leaving.
        while waiting and waiting[0][0] <= now:
            took.append(_asked(heapq.heappop(waiting), costs, pools, database))
    took += [_asked(heapq.heappop(waiting), costs, pools, database) for _ in range(len(waiting))]
    cuts = statistics.quantiles(took, n=100)
    return Outcome(cuts[49], cuts[98], statistics.mean(one.busy(now) for one in processors), database.busy(now))


def _asked(
    left: tuple[float, float, int, str], costs: Mapping[str, Cost], pools: list[Station], database: Station
) -> float:
    """Return how long a request took in all, once it has been to PostgreSQL over a connection of its worker."""
    moment, came, number, kind = left
    length = costs[kind].database
    ended = database.take(pools[number].begins(moment), length)
    # A connection is held while PostgreSQL is waited for.
    pools[number].holds(ended)
    return ended - came


def size(rate: float, mix: Mapping[str, float], costs: Mapping[str, Cost], *, busy: float, pool: int) -> Fleet:
    """Return the smallest fleet of which nothing is busier than ``busy``."""
    total = sum(mix.values())
    processor = sum(costs[kind].processor * share for kind, share in mix.items()) / total
    database = sum(costs[kind].database * share for kind, share in mix.items()) / total
    return Fleet(_least(rate * processor / 1000 / busy), pool, _least(rate * database / 1000 / busy))


def _least(needed: float) -> int:
    return max(1, -int(-needed // 1))
