"""Fixtures: one server of two workers that made its own authority, and how its clients are told to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moorage import authority
from tests import servers
from tests.clients import layouts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.layouts import Layout
    from tests.servers import Server


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers that speaks TLS with a certificate of its own authority."""
    with servers.running(tmp_path_factory.mktemp("secure"), "--tls", "self-signed") as started:
        yield started.trusting(authority.ca_file(started.data))


@pytest.fixture
def repository(secure: Server, name: str) -> str:
    """The name of a new, empty repository of that server."""
    client: Any = secure.client()
    client.create_repository(repositoryName=name)
    return name


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A small image of three layers (``v1``)."""
    return layouts.build_small(tmp_path_factory.mktemp("small"))
