"""A contender, and a running server of one: what every workload sees of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import processes
from benchmarks.client import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST: Final = "127.0.0.1"
_PATIENCE: Final = 60.0
_AGAIN: Final = 0.002


class Role(Enum):
    """Why a contender is measured."""

    OURS = "ours"
    PEER = "peer"
    """A registry that does the same."""
    LIMIT = "limit"
    """No registry: what the machine can do where nothing is asked of it but the bytes."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    contender: Contender
    pid: int
    """Of the process that was started; what it started is counted with it."""
    port: int
    folder: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    """What a client's requests carry."""
    create: Callable[[str], object] = field(default=lambda _repository: None)
    """Make a repository, where pushing does not."""
    ready: float = 0.0
    """Seconds from the command to the first answer."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What only this kind of server has, by name."""

    @property
    def name(self) -> str:
        """The contender's name."""
        return self.contender.name

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{HOST}:{self.port}"

    def connect(self) -> Connection:
        """Return a connection whose requests may do all that the workloads do."""
        return Connection(HOST, self.port, dict(self.headers))

    def cpu_seconds(self) -> float:
        """Return the processor time that all of its processes have used."""
        return processes.cpu_seconds(self.pid)

    def memory(self) -> int:
        """Return the proportional set size of all of its processes, in bytes."""
        return processes.memory(self.pid)

    def sizes(self) -> list[int]:
        """Return the proportional set size of each of its processes, in bytes."""
        return list(processes.sizes(self.pid).values())


Start = Callable[["Contender", Path], "contextlib.AbstractContextManager[Server]"]


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that can be started in an empty folder, or in the folder of an earlier start."""

    name: str
    role: Role
    words: str
    """How it was set up, for the report."""
    version: str
    durable: bool
    """Whether a push is on the disk when it is answered."""
    start: Start

    def running(self, folder: Path) -> contextlib.AbstractContextManager[Server]:
        """Run a server for the length of a block, from when it answers."""
        return self.start(self, folder)


def program(name: str) -> str | None:
    """Return where a program is, None where it is not installed."""
    beside = [str(Path(sys.prefix) / "go-bin"), str(Path(sys.executable).parent)]
    return shutil.which(name, path=os.pathsep.join([*beside, os.environ.get("PATH", ""), "/usr/sbin"]))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def process(
    command: Sequence[str], port: int, log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[int, float]]:
    """Run a server for the length of a block, from when it answers; give its process and how long that took."""
    begun = time.perf_counter()
    with log.open("ab") as written:
        started = subprocess.Popen(
            command, stdout=written, stderr=written, stdin=subprocess.DEVNULL, env=os.environ | dict(variables or {})
        )
    try:
        _await(started, port, log)
        yield started.pid, time.perf_counter() - begun
    finally:
        started.terminate()
        try:
            started.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _await(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while started.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), Connection(HOST, port) as connection:
            connection.request("GET", "/v2/")
            return
        time.sleep(_AGAIN)
    raise RuntimeError(f"{log.stem} did not start: {log.read_text(errors='replace')[-2000:]}")
