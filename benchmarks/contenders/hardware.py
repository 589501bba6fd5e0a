"""The machine itself, by tools that do one thing: what hashing and writing cost at least."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from benchmarks.contenders.servers import Contender, Role, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def tools() -> list[Contender]:
    """Return the tools that are there."""
    words = {"sha256sum": "hashes a file that is in memory", "dd": "copies it to the disk, `conv=fsync`"}
    return [
        Contender(name, Role.LIMIT, said, "of the system", durable=name == "dd", start=_start)
        for name, said in words.items()
        if shutil.which(name)
    ]


@contextlib.contextmanager
def _start(contender: Contender, folder: Path) -> Iterator[Server]:
    """Give what workloads expect; there is nothing to start."""
    yield Server(contender, os.getpid(), 0, folder)
