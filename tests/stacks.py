"""
What a server stands on: a database and a place for bytes.

``pytest --stack NAME`` runs the tests that stand on a stack (the fixture ``server`` does) on another than the default.
A part is a context manager that is entered once for all tests (it starts what it needs) and gives a function
which makes something new and empty for one server, and returns the flags that name it.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests import objects, postgres, servers

Flags = Callable[[Path], list[str]]
"""Takes the data folder of a server, and returns flags of ``moorage serve``."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    name: str
    flags: Flags

    @property
    def has_bucket(self) -> bool:
        """Whether layers are in a bucket, not in files."""
        return bool({in_a_bucket, through_the_server} & set(STACKS[self.name]))

    def settings(self, data: Path) -> dict[str, str]:
        """Return what `flags` returns as keyword arguments of `Settings`."""
        flags = self.flags(data)
        return {
            name.removeprefix("--").replace("-", "_"): value for name, value in zip(*[iter(flags)] * 2, strict=True)
        }

    @contextlib.contextmanager
    def opened_here(self, data: Path) -> Iterator[dict[str, str]]:
        """Return `settings` for a block in which this process, and its commands, find the credentials of the bucket."""
        settings = self.settings(data)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in servers.variables_of(settings).items():
                patch.setenv(name, value)
            yield settings


@contextlib.contextmanager
def in_the_data_folder() -> Iterator[Flags]:
    """SQLite, layers in a folder: what a server has if it is told nothing."""
    yield lambda _data: []


@contextlib.contextmanager
def on_postgres() -> Iterator[Flags]:
    """PostgreSQL: one server for all, a database for each."""
    with postgres.shared() as cluster:
        yield lambda _data: ["--database", cluster.migrated()]


@contextlib.contextmanager
def in_a_bucket() -> Iterator[Flags]:
    """Layers in S3."""
    with (
        tempfile.TemporaryDirectory(prefix="moorage-s3-") as folder,
        objects.running(objects.preferred(), Path(folder)) as server,
    ):
        yield lambda _data: ["--storage", server.bucket().url("layers")]


@contextlib.contextmanager
def through_the_server() -> Iterator[Flags]:
    """Layers in S3 that clients get from Moorage."""
    with in_a_bucket() as flags:
        yield lambda data: [*flags(data), "--blob-delivery", "proxy"]


DEFAULT: Final = "sqlite"
Part = Callable[[], contextlib.AbstractContextManager[Flags]]

STACKS: Final[dict[str, tuple[Part, ...]]] = {
    "sqlite": (in_the_data_folder,),
    "postgres": (on_postgres,),
    "sqlite-s3": (in_a_bucket,),
    "sqlite-s3-proxy": (through_the_server,),
    # Passed through, because the tests hold ranges and conditions to the letter: a redirect leaves those to the S3 server.
    "production": (on_postgres, through_the_server),
}


ALONE: Final = Stack(DEFAULT, lambda _data: [])
"""For tests that do not depend on the stack, and run on the default one only."""


@contextlib.contextmanager
def opened(name: str) -> Iterator[Stack]:
    """Start the parts of a stack, and end them after the block."""
    with contextlib.ExitStack() as held:
        parts = [held.enter_context(part()) for part in STACKS[name]]
        yield Stack(name, lambda data: [flag for part in parts for flag in part(data)])
