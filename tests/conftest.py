"""Fixtures: one server of two workers for all tests, and a repository of its own for each."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A server with two workers over one data folder."""
    with servers.running(tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture(scope="session")
def ecr(server: servers.Server) -> Any:
    """An unmodified boto3 client of the server."""
    return server.client()


@pytest.fixture
def name() -> str:
    """A repository name that no other test uses."""
    return f"test/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def repository(ecr: Any, name: str) -> str:
    """The name of a new, empty repository."""
    ecr.create_repository(repositoryName=name)
    return name
