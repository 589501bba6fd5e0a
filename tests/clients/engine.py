"""A docker engine of our own: started for the tests, out of the way of any other on the machine."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.tools import Tool, private_home, require, require_root

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES = 600


@dataclass(frozen=True)
class Engine:
    """A running ``dockerd``."""

    socket: Path

    def client(self, folder: Path) -> Tool:
        """Return the docker CLI with its logins in a folder."""
        home = private_home(folder, DOCKER_HOST=f"unix://{self.socket}", DOCKER_CONFIG=folder, DOCKER_BUILDKIT=0)
        return Tool(("docker",), home)


@contextlib.contextmanager
def running() -> Iterator[Engine]:
    """Run an engine for the length of a block."""
    require("docker", "dockerd")
    require_root("dockerd is to be started")
    # Not under pytest's folder: the path of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="moorage-dockerd-") as name, (Path(name) / "log").open("w+") as log:
        folder = Path(name)
        process = subprocess.Popen(_command(folder), stdout=log, stderr=log)
        try:
            engine = Engine(folder / "socket")
            _await(process, engine.client(folder), Path(log.name))
            yield engine
        finally:
            process.terminate()
            process.wait(timeout=60)


def _command(folder: Path) -> list[str]:
    (folder / "daemon.json").write_text("{}")
    given = {
        "config-file": folder / "daemon.json",
        "host": f"unix://{folder}/socket",
        "pidfile": folder / "pid",
        "data-root": folder / "data",
        "exec-root": folder / "exec",
        "storage-driver": "vfs",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
    }
    return ["dockerd", *(f"--{name}={value}" for name, value in given.items())]


def _await(process: subprocess.Popen[bytes], client: Tool, log: Path) -> None:
    """Ask the engine until it answers, as long as it lives."""
    for _ in range(TRIES):
        if client.call("version").returncode == 0:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            break
    pytest.fail(f"dockerd did not start:\n{log.read_text()}", pytrace=False)
