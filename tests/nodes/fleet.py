"""Nodes as an installation runs them: one database, one bucket, no folder in common, and the nginx of `deploy/` in front."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typer.testing import CliRunner

from moorage.cli.main import app as command
from tests import objects, servers
from tests.clients import memory
from tests.servers import ACCOUNT, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Cluster

CONFIGURATION: Final = Path(__file__).parents[2] / "deploy" / "nginx.conf"
PATIENCE: Final = 30
_IN_PROGRESS: Final = re.compile(r"^moorage_requests_in_progress(?:{.*})? (\S+)$", re.MULTILINE)


@dataclass
class Fleet:
    """Some nodes, and what they have in common."""

    folder: Path
    database: str
    bucket: objects.Bucket
    front: Server
    """What clients speak to: the proxy. Its data folder is where `moorage migrate` put the root key."""
    variables: dict[str, str]
    nodes: list[Server] = field(default_factory=list)

    def moorage(self, *arguments: str) -> str:
        """Run a command of an operator, which must work."""
        given = [*arguments, "--data", str(self.front.data), "--account-id", ACCOUNT]
        done = CliRunner().invoke(command, given, env=self.variables | {"MOORAGE_DATABASE": self.database})
        assert done.exit_code == 0, done.output
        return done.stdout

    def start(self, number: int, port: int) -> Server:
        """Start a node in a folder that nobody else has."""
        node = servers.start(
            self.folder / f"node-{number}",
            *("--database", self.database, "--storage", self.bucket.url("layers"), "--blob-delivery", "proxy"),
            *("--public-url", self.front.url, "--trusted-proxies", "127.0.0.1"),
            port=port,
            workers=1,
            variables=self.variables,
        )
        assert not list((self.folder / f"node-{number}").glob("*key*"))
        node.data = self.front.data
        return node

    def restart(self, number: int) -> int:
        """End a node as systemd and Kubernetes do, and start it again; return its exit status."""
        node = self.nodes[number]
        status = node.stop()
        self.nodes[number] = self.start(number, node.port)
        return status

    def kill(self, number: int) -> None:
        """Let a node die without a last word, its parent and its workers in one moment."""
        node = self.nodes[number]
        workers = memory.workers(node)
        for pid in (node.process.pid, *workers):
            os.kill(pid, signal.SIGKILL)
        node.process.wait(timeout=PATIENCE)
        node.reader.join(timeout=PATIENCE)
        assert node.process.stdout is not None
        node.process.stdout.close()
        node.http.clear()

    def replace(self, number: int) -> None:
        """Start a node in the place of one that died."""
        self.nodes[number] = self.start(number, self.nodes[number].port)

    def busy(self) -> int:
        """Return which node is at work for a client, when one is."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for number, node in enumerate(self.nodes):
                # The question is a request in progress itself.
                if in_progress(node) > 1:
                    return number
        raise TimeoutError("no node is at work")


def in_progress(node: Server) -> float:
    """Return how many requests a node works on, as it tells Prometheus."""
    text = node.http.request("GET", f"{node.url}/metrics").data.decode()
    found = _IN_PROGRESS.search(text)
    assert found is not None, text
    return float(found[1])


@contextlib.contextmanager
def running(folder: Path, cluster: Cluster, count: int) -> Iterator[Fleet]:
    """Run nodes behind nginx for the length of a block."""
    ports = [servers.free_port() for _ in range(count)]
    variables = {"MOORAGE_MASTER_KEY": base64.b64encode(os.urandom(32)).decode()}
    with (
        objects.running(objects.preferred(), folder / "s3") as store,
        proxy(folder / "nginx", ports, folder / "operator") as front,
    ):
        fleet = Fleet(folder, cluster.create(), store.bucket(), front, variables)
        fleet.moorage("migrate")
        try:
            for number, port in enumerate(ports):
                fleet.nodes.append(fleet.start(number, port))
            yield fleet
        finally:
            for node in fleet.nodes:
                if node.process.poll() is None:
                    node.stop()


@contextlib.contextmanager
def proxy(folder: Path, ports: list[int], data: Path) -> Iterator[Server]:
    """Run nginx in front of nodes; the server that it gives has the keys of a data folder."""
    port = servers.free_port()
    folder.mkdir(parents=True)
    (folder / "moorage.conf").write_text(configuration(port, ports))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        "events {}\n"
        f"http {{ access_log {folder}/access.log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"include {folder}/moorage.conf; }}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _await(port)
        yield Server(process, port, data, f"http://localhost:{port}")
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def configuration(port: int, ports: list[int]) -> str:
    """Return the file of `deploy/` with other ports, and nothing else changed."""
    text = CONFIGURATION.read_text()
    servers_of_it = re.findall(r"^ *server 127\.0\.0\.1:\d+ (.*);\n", text, re.MULTILINE)
    assert len(set(servers_of_it)) == 1
    lines = "".join(f"    server 127.0.0.1:{one} {servers_of_it[0]};\n" for one in ports)
    text = re.sub(r"(^ *server 127\.0\.0\.1:\d+ .*;\n)+", lines, text, flags=re.MULTILINE)
    assert text.count("listen 80;") == 1
    return text.replace("listen 80;", f"listen 127.0.0.1:{port};")


def _await(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", port))):
            return
        time.sleep(0.02)
    raise TimeoutError("nginx does not listen")
