"""The arithmetic of measurements: medians, spread, percentiles, and ratios of what was measured side by side."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the value in the middle."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """Return how far the values lie apart, lowest to highest, as a part of their median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def percentile(values: Sequence[float], hundredth: float) -> float:
    """Return the smallest value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-len(ordered) * hundredth // 100) - 1))]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """
    Return the median of the ratios of two contenders, round by round.

    A machine that slows down slows both of a round, so the ratio of a round
    holds where neither figure does.
    """
    return median([one / other if other else float("inf") for one, other in zip(ours, theirs, strict=True)])
