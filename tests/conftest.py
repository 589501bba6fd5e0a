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
    parser.addoption("--stack", default=stacks.DEFAULT, choices=list(stacks.STACKS), help="what the server stands on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another stack than the default, leave out what does not stand on one: it would be the same test again."""
    if config.getoption("--stack") == stacks.DEFAULT:
        return
    stand_on_one = [item for item in items if "stack" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in stand_on_one])
    items[:] = stand_on_one


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[stacks.Stack]:
    """The stack that was chosen, running."""
    with stacks.opened(request.config.getoption("--stack")) as running:
        yield running


@pytest.fixture
def require_disk(stack: stacks.Stack) -> None:
    """For a test that looks at the files of the disk store, which the default stack has."""
    if stack.has_bucket:
        pytest.skip(f"looks at files of the disk store: on the stack {stacks.DEFAULT}, not on {stack.name}")


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
