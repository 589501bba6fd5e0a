"""Fixtures of the tests of access."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.access import world as worlds
from tests.access.kit import OTHER_ACCOUNT, attempt, moorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.access.world import World
    from tests.servers import Server
    from tests.stacks import Stack


@pytest.fixture
def user(server: Server) -> str:
    """A user who may do nothing yet."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    moorage(server, "user", "create", name)
    return name


@pytest.fixture
def stranger(server: Server) -> str:
    """A user of another account, who may do nothing yet."""
    name = f"stranger-{uuid.uuid4().hex[:8]}"
    attempt(server, "account", "create", OTHER_ACCOUNT)  # by the first of these tests
    moorage(server, "user", "create", name, account=OTHER_ACCOUNT)
    return name


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[World]:
    """A served installation of two accounts, which is also opened here."""
    with worlds.opened(tmp_path_factory.mktemp("world"), stack) as opened:
        yield opened
