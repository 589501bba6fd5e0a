"""The page "Deploying Moorage", followed to the letter: its nodes started, its backup taken under load, and brought back."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import objects, postgres, servers
from tests.clients.tools import require
from tests.nodes import fleet
from tests.nodes.load import Client, Load, Met
from tests.servers import MOORAGE, S3_CREDENTIALS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests import content
    from tests.postgres import Cluster

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"


def blocks() -> list[str]:
    """Return the commands of the page, block by block."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


class Shell:
    """A person at a terminal: what is exported in one block is there in the next."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), str(postgres.binaries()), "/usr/bin", "/bin"])
        self.environment = servers.clean_environment(PATH=path, HOME=str(folder), **variables)

    def __call__(self, block: str, **instead: str) -> None:
        """Run a block, with some words of it replaced by what is here."""
        for word, other in instead.items():
            assert word in block
            block = block.replace(word, other)
        moorage = f'moorage() {{ {shlex.join(MOORAGE)} "$@"; }}'
        script = f"{moorage}\n{block}\nenv -0 > .environment"
        command = ["bash", "--norc", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = (self.folder / ".environment").read_text().split("\0")
        self.environment = dict(line.split("=", 1) for line in lines if line)
        # Of bash itself: a function cannot be passed on.
        self.environment.pop("_", None)


@contextlib.contextmanager
def serving(shell: Shell, *commands: str) -> Iterator[list[Server]]:
    """Run commands of the page that serve, until the block ends."""
    started: list[Server] = []
    try:
        for command in commands:
            name, *arguments = shlex.split(command.removesuffix(" &"))
            assert (name, arguments[0]) == ("moorage", "serve")
            process = subprocess.Popen(
                [*MOORAGE, *arguments],
                cwd=shell.folder,
                env=shell.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout is not None
            port = int(arguments[arguments.index("--port") + 1])
            data = shell.folder / arguments[arguments.index("--data") + 1]
            started.append(Server(process, port, data, process.stdout.readline(), reader=_ended()))
            assert "is ready on" in started[-1].ready_line
        yield started
    finally:
        for server in started:
            status = server.stop()
            assert status == 0


def _ended() -> threading.Thread:
    """Return what reads a log that nobody writes."""
    thread = threading.Thread()
    thread.start()
    return thread


def pushed_before(server: Server, shell: Shell, backup: str, **instead: str) -> list[content.Image]:
    """Take a backup as the page says while clients push and pull; return what had been acknowledged before it."""
    server.client().create_repository(repositoryName="app")
    with Load(server, "app") as load:
        load.wait_for(3)
        before = list(load.acknowledged)
        shell(backup, **instead)
        load.wait_for(2)
    assert len(load.acknowledged) > len(before)
    return before


def require_all(server: Server, images: list[content.Image]) -> None:
    """Pull images, byte for byte."""
    client = Client(server, server.token(), Met())
    for image in images:
        client.pull("app", image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the person is, with the tools that the page uses."""
    require("nginx", "openssl", "sqlite3")
    return tmp_path


def shell_in(folder: Path, **variables: str) -> Shell:
    """Return a shell, told of the account that the tests know."""
    return Shell(folder, MOORAGE_ACCOUNT_ID=servers.ACCOUNT, MOORAGE_REGION=servers.REGION, **variables)


def test_many_nodes_and_back_from_a_backup(folder: Path, cluster: Cluster) -> None:
    """The page's nodes serve behind its nginx, and its backup, taken under load, has every image from before."""
    setup, serve, doctor, backup, restore, *_ = blocks()
    ports = [servers.free_port(), servers.free_port()]
    with (
        objects.running(objects.preferred(), folder / "s3") as store,
        fleet.proxy(folder / "nginx", ports, folder / "operator") as front,
    ):
        bucket, empty = store.bucket(), store.bucket()
        shell = shell_in(
            folder, **S3_CREDENTIALS, AWS_ENDPOINT_URL_S3=store.endpoint, AWS_DEFAULT_REGION=objects.REGION,
            RESTORED_DATABASE=libpq(cluster.create()),
        )  # fmt: skip
        shell(
            setup,
            **{
                "postgresql://moorage@database/moorage": f"'{libpq(cluster.create())}'",
                "s3://layers/blobs?region=eu-west-1": bucket.url("blobs"),
                "http://registry.example": front.url,
            },
        )
        lines = serve.replace("5101", str(ports[0])).replace("5102", str(ports[1])).splitlines()
        with serving(shell, *lines):
            shell(doctor)
            before = pushed_before(front, shell, backup, **{"s3://layers/blobs": f"s3://{bucket.name}/blobs"})
        shell(
            restore,
            **{
                "s3://restored/blobs?region=eu-west-1": empty.url("blobs"),
                "s3://restored/blobs": f"s3://{empty.name}/blobs",
            },
        )
        with serving(shell, *lines):
            require_all(front, before)


def libpq(url: str) -> str:
    """Return a URL as PostgreSQL's own tools take it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_one_machine_and_back_from_a_backup(folder: Path) -> None:
    """The page's backup of SQLite and a folder, taken under load, has every image from before."""
    *_, backup, restore = blocks()
    shell = shell_in(folder)
    with serving(shell, f"moorage serve --data data --port {servers.free_port()}") as (server,):
        before = pushed_before(server, shell, backup)
    shutil.rmtree(folder / "data")
    shell(restore)
    with serving(shell, f"moorage serve --data restored --port {servers.free_port()}") as (server,):
        require_all(server, before)
