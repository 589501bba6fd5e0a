"""Fixtures of the tests of the AWS door."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.access.kit import moorage

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.fixture
def user(server: Server) -> str:
    """A user who may do nothing yet."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    moorage(server, "user", "create", name)
    return name
