"""Fixtures of the tests of jobs: a registry whose clock the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.registry.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stacks import Stack


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def move(self, **by: float) -> datetime:
        """Move on, and return the time then."""
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def bench(tmp_path: Path, stack: Stack) -> Iterator[Bench]:
    """A registry with a repository, which commands find by its data folder."""
    with stack.opened_here(tmp_path) as settings, Bench.opened(tmp_path, **settings) as opened:
        yield opened


@pytest.fixture
def clock(bench: Bench) -> Clock:
    """The registry's clock."""
    bench.registry.clock = clock = Clock()
    return clock
