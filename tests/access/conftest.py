"""Fixtures of the tests of access."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.access.kit import OTHER_ACCOUNT, attempt, moorage

if TYPE_CHECKING:
    from tests.servers import Server


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
