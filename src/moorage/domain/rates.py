"""
How many requests a caller may make: rates by operation, and buckets that hold them to those.

The names are those of IAM actions, which both doors share: pulling a manifest by
docker and `BatchGetImage` are one operation here, as at ECR.
"""

from __future__ import annotations

import math
import re
import threading
import time
from typing import TYPE_CHECKING, Final

from moorage.domain.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ECR: Final[Mapping[str, float]] = {
    "GetAuthorizationToken": 500,
    "BatchCheckLayerAvailability": 1000,
    "InitiateLayerUpload": 100,
    "UploadLayerPart": 500,
    "CompleteLayerUpload": 100,
    "PutImage": 10,
    "BatchGetImage": 2000,
    "GetDownloadUrlForLayer": 3000,
}
"""Requests a second, as ECR's table of quotas has them; it says nothing of the other operations."""
OTHERS: Final = "*"
_RATE: Final = re.compile(r"([A-Za-z]+|\*)=(\d{1,9}(?:\.\d{1,3})?)")
_BURST: Final = 2.0
"""Seconds' worth of requests that a caller who was quiet may make at once."""
_ROUNDING: Final = 1e-9
_MAX_BUCKETS: Final = 10_000


def parse(text: str) -> dict[str, float]:
    """
    Return requests a second by operation: ``ecr``, and ``Operation=rate`` (``*`` for all others), with commas between.

    Empty for no limits. Raises `ValueError`.
    """
    rates: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        match = _RATE.fullmatch(part)
        if part == "ecr":
            rates |= ECR
        elif match is not None and float(match[2]) > 0:
            rates[match[1]] = float(match[2])
        else:
            raise ValueError(f"{part!r} is neither `ecr` nor OPERATION=REQUESTS_A_SECOND")
    return rates


class Buckets:
    """A bucket for each caller and operation, in this process. Those that were used longest ago are forgotten."""

    def __init__(self, rates: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._lock = threading.Lock()
        self._full: dict[tuple[str, str], float] = {}
        """When each bucket is, or was, full: all that there is to know of it."""
        self.refused: Callable[[str], object] = lambda _name: None
        """Called with the operation's name (or ``*``) of each request that is refused."""

    def take(self, who: str, operation: str) -> None:
        """Count a request; raise `Throttled` if the caller has made too many."""
        rate = self._rates.get(operation)
        if rate is None:
            operation, rate = OTHERS, self._rates.get(OTHERS)
            if rate is None:
                return
        missing = self._take((who, operation), 1 / rate, max(_BURST, 1 / rate))
        if missing > 0:
            self.refused(operation)
            raise Throttled(retry_after=math.ceil(missing))

    def _take(self, key: tuple[str, str], cost: float, depth: float) -> float:
        """Take from a bucket that holds ``depth`` seconds; return how many seconds' worth are missing, if any."""
        with self._lock:
            now = self._clock()
            # Taken out and put back: the first of the dictionary is the one that was used longest ago.
            full = max(self._full.pop(key, now), now) + cost
            # A request that fits to the last bit must not fail by rounding.
            missing = full - now - depth - _ROUNDING
            self._full[key] = full if missing <= 0 else full - cost
            if len(self._full) > _MAX_BUCKETS:
                del self._full[next(iter(self._full))]
        return missing
