"""Fixtures: one server of two workers for all tests, and a repository of its own for each."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests import postgres, servers, stacks

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stack be chosen that the shared server stands on."""
    parser.addoption("--stack", default="sqlite", choices=list(stacks.STACKS), help="what the server stands on")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[stacks.Stack]:
    """The stack that was chosen, running."""
    with stacks.opened(request.config.getoption("--stack")) as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server."""
    with postgres.shared() as started:
        yield started


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, stack: stacks.Stack) -> Iterator[servers.Server]:
    """A server with two workers over one data folder."""
    data = tmp_path_factory.mktemp("data")
    with servers.running(data, *stack.flags(data)) as started:
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
