"""Fixtures of the races: one registry on PostgreSQL, where nothing but its own locks keeps writers apart."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.registry.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.repositories import Repository
    from tests.postgres import Cluster


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Bench]:
    """A registry that all races share; each makes repositories of its own."""
    data = tmp_path_factory.mktemp("races")
    with Bench.opened(data, database=cluster.migrated(), database_pool=16) as opened:
        yield opened


@pytest.fixture
def repository(bench: Bench) -> Repository:
    """A new repository."""
    return bench.repository(f"race-{uuid.uuid4().hex}")
