"""Fixtures: the door with a good credential, without one, and a repository with an image in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import content
from tests.oci.wire import Door

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.fixture(scope="session")
def door(server: Server) -> Door:
    """The door, as the root of the account."""
    return Door(server.port, f"Basic {server.token()}")


@pytest.fixture(scope="session")
def anonymous(server: Server) -> Door:
    """The door, without a credential."""
    return Door(server.port)


@dataclass(frozen=True, slots=True)
class World:
    """A repository with one tagged image, one blob that no image needs, and one upload."""

    repo: str
    tag: str
    manifest: str
    blob: str
    loose: str
    upload: str
    pushed: content.Image


@pytest.fixture
def world(door: Door, repository: str) -> World:
    """A world of its own for a test."""
    pushed = door.image(repository, "v1")
    loose = door.blob(repository, content.layer())
    upload = door.begin(repository).rpartition("/")[2]
    return World(
        repo=repository,
        tag="v1",
        manifest=pushed.digest,
        blob=content.digest_of(pushed.layers[0]),
        loose=loose,
        upload=upload,
        pushed=pushed,
    )
