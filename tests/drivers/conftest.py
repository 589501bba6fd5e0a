"""The stores that every test of the interface runs on."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moorage.drivers.disk import DiskStore
from moorage.drivers.objects import ObjectStore
from tests import objects
from tests.clients.tools import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.storage import BlobStore

STORES = ("disk", *objects.SERVERS)


def opened(address: str) -> BlobStore:
    """Open the store of an address, here or in a child process."""
    return ObjectStore(address, redirects=True) if "://" in address else DiskStore(Path(address))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], objects.S3Server]]:
    """Gives an S3 server by its name, started when first asked for."""
    with contextlib.ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        for name, value in {**objects.CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            patch.setenv(name, value)

        @cache
        def started(name: str) -> objects.S3Server:
            if objects.program(name) is None:
                missing(f"not installed: {name}")
            return held.enter_context(objects.running(name, tmp_path_factory.mktemp("s3")))

        yield started


@pytest.fixture(params=STORES)
def driver(request: pytest.FixtureRequest) -> str:
    """The name of a store."""
    name: str = request.param
    return name


@pytest.fixture
def address(driver: str, tmp_path: Path, s3: Callable[[str], objects.S3Server]) -> str:
    """The address of a store that is empty; a child process opens the same one by it."""
    return str(tmp_path / "blobs") if driver == "disk" else s3(driver).bucket().url("some/prefix")


@pytest.fixture
def store(address: str) -> BlobStore:
    """A store that is empty."""
    return opened(address)
