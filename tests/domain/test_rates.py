"""Rates and their buckets: how many requests, of whom, and when again."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from moorage.domain import rates
from moorage.domain.errors import Throttled


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def passed(buckets: rates.Buckets, times: int, who: str = "alice", operation: str = "PutImage") -> int:
    """Make requests, and return how many were let through."""
    through = 0
    for _ in range(times):
        try:
            buckets.take(who, operation)
            through += 1
        except Throttled:
            pass
    return through


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("PutImage=50", {"PutImage": 50.0}),
        (" PutImage=0.5 , *=100,", {"PutImage": 0.5, "*": 100.0}),
        ("ecr", dict(rates.ECR)),
        ("ecr,PutImage=50", {**rates.ECR, "PutImage": 50.0}),
    ],
)
def test_limits_are_read(text: str, expected: dict[str, float]) -> None:
    """Limits are ECR's, or given by operation; a later one comes before an earlier one."""
    assert rates.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["PutImage", "PutImage=", "PutImage=0", "PutImage=-1", "PutImage=1e9", "=5", "ECR", "a=1=2"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """A limit that would have no meaning is refused."""
    with pytest.raises(ValueError, match="is neither"):
        rates.parse(text)


def test_a_burst_and_then_the_rate() -> None:
    """Two seconds' worth pass at once, and then as many a second as the rate says."""
    clock = Clock()
    buckets = rates.Buckets({"PutImage": 10}, clock)

    assert passed(buckets, 100) == 20
    clock.now += 0.5
    assert passed(buckets, 100) == 5
    clock.now += 3600
    assert passed(buckets, 100) == 20


def test_over_a_long_time_the_rate_holds() -> None:
    """Who asks all the time gets the rate, to the request."""
    clock = Clock()
    buckets = rates.Buckets({"PutImage": 7}, clock)
    through = 0
    for _ in range(10_000):
        through += passed(buckets, 1)
        clock.now += 0.01
    assert through == math.floor(7 * (99.99 + 2))


def test_callers_and_operations_do_not_share() -> None:
    """One caller's requests take nothing from another's, and those for one operation nothing from another one."""
    buckets = rates.Buckets({"PutImage": 1, "*": 1}, Clock())
    assert passed(buckets, 9) == 2
    assert passed(buckets, 9, who="bob") == 2
    # All without a rate of their own share one.
    assert passed(buckets, 9, operation="ListImages") + passed(buckets, 9, operation="DescribeImages") == 2


def test_without_a_rate_there_is_no_limit() -> None:
    """Operations that nothing was said of are not limited."""
    assert passed(rates.Buckets({"PutImage": 1}, Clock()), 1000, operation="ListImages") == 1000


def test_a_refusal_says_when_to_come_again() -> None:
    """After ``Retry-After`` seconds, and not a second before, the next request passes; refusals are counted."""
    clock, refused = Clock(), Counter[str]()
    buckets = rates.Buckets({"PutImage": 0.2}, clock)
    buckets.refused = lambda name: refused.update([name])
    assert passed(buckets, 1) == 1

    with pytest.raises(Throttled, match="Rate exceeded") as caught:
        buckets.take("alice", "PutImage")

    wait = int(caught.value.headers["Retry-After"])
    clock.now += wait - 1
    assert passed(buckets, 1) == 0
    clock.now += 1
    assert passed(buckets, 1) == 1
    assert refused == {"PutImage": 2}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many callers those are forgotten that asked longest ago."""
    monkeypatch.setattr(rates, "_MAX_BUCKETS", 3)
    buckets = rates.Buckets({"PutImage": 1}, Clock())
    for who in ("a", "b", "c", "a", "d"):
        buckets.take(who, "PutImage")
    assert passed(buckets, 5, who="a") == 0
    assert passed(buckets, 5, who="b") == 2
