"""Sizes as words: in names of workloads, and for readers."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB"))


def words(size: int) -> str:
    """Return a size as a reader would say it."""
    unit, name = next((unit, name) for unit, name in _UNITS if size >= unit)
    return f"{size / unit:g} {name}"


def short(size: int) -> str:
    """Return a size as it stands in names."""
    return words(size).replace(" ", "").lower()
