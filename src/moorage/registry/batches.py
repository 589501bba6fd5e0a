"""Many values, in slices that fit one statement: a database takes only so many parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_BATCH: Final = 500


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values in slices that fit one statement."""
    return (values[i : i + _BATCH] for i in range(0, len(values), _BATCH))
