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


def hashing(file: str) -> list[str]:
    """Return the command that hashes a file: OpenSSL's, which uses what the processor has for it, where it is there."""
    return ["openssl", "dgst", "-sha256", file] if shutil.which("openssl") else ["sha256sum", file]


def writing(source: str, target: str) -> list[str]:
    """Return the command that copies a file and waits for the disk."""
    return ["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]


def tools() -> list[Contender]:
    """Return the tools that are there."""
    commands = {"sha256": hashing("FILE"), "dd": writing("FILE", "COPY")}
    return [
        Contender(name, Role.LIMIT, f"`{' '.join(command)}`", "of the system", durable=name == "dd", start=_start)
        for name, command in commands.items()
        if shutil.which(command[0])
    ]


@contextlib.contextmanager
def _start(contender: Contender, folder: Path) -> Iterator[Server]:
    """Give what workloads expect; there is nothing to start."""
    yield Server(contender, os.getpid(), 0, folder)
