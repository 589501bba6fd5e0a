"""Fixtures: a real registry over a folder of its own, with its root and a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registry.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stacks import Stack


@pytest.fixture
def bench(tmp_path: Path, stack: Stack) -> Iterator[Bench]:
    """A registry with a repository, and what a test needs to work on it."""
    with stack.opened_here(tmp_path) as settings, Bench.opened(tmp_path, **settings) as opened:
        yield opened
