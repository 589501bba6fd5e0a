"""Fixtures of the tests of the audit trail: a server whose trail is read as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.audit.kit import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(scope="package")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """The trail of the server."""
    return Reading(tmp_path_factory.mktemp("trail"))


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, trail: Reading) -> Iterator[Server]:
    """A server with two workers and a trail."""
    with servers.running(tmp_path_factory.mktemp("audited"), "--audit", str(trail.path)) as started:
        yield started


@pytest.fixture(scope="package")
def ecr(server: Server) -> Any:
    """An unmodified boto3 client of it."""
    return server.client()
