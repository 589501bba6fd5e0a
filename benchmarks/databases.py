"""
SQLite and PostgreSQL side by side: ``python -m benchmarks.databases``.

Manifests a second by tag, with access control on, in turns on two servers of two
workers each; and the messages that one request of a push or a pull sends to
PostgreSQL, counted in PostgreSQL's own log. The counts are the same on every machine.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests import content, postgres, servers

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 3
SECONDS = 5
CONNECTIONS = (1, 16, 64)
WARM = 8
"""Requests before one is counted: psycopg prepares a statement when it has been used a few times."""


def manifests_a_second(server: servers.Server, connections: int) -> tuple[float, str]:
    """Return requests a second and the 99th percentile of GETs of one manifest by tag, every one authorised."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}", "--latency"]
    command += ["-H", f"Authorization: Basic {server.token()}", f"{server.url}/v2/bench/manifests/v1"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    tail = re.search(r"99%\s+(\S+)", output)
    return float(rate[1]) if rate else 0.0, tail[1] if tail else "?"


def rates(folder: Path) -> list[tuple[str, str]]:
    """Return manifests a second on both databases, the median of several turns."""
    with (
        postgres.running() as cluster,
        servers.running(folder / "one", workers=2) as one,
        servers.running(folder / "two", "--database", cluster.migrated(), workers=2) as two,
    ):
        for server in (one, two):
            server.client().create_repository(repositoryName="bench")
            content.push(server, "bench", "v1")
        rows = []
        for connections in CONNECTIONS:
            turns = [[manifests_a_second(server, connections)[0] for server in (one, two)] for _ in range(TURNS)]
            sqlite, pg = (statistics.median(turn[number] for turn in turns) for number in (0, 1))
            rows.append((f"manifest GET, {connections} connections", f"SQLite {sqlite:,.0f}/s, PostgreSQL {pg:,.0f}/s"))
        return rows


def messages(folder: Path) -> list[tuple[str, str]]:
    """Return how many messages each kind of request sends, the begin and the end of its transactions included."""
    (folder / "moorage.toml").write_text("jobs = false\nlast_used_seconds = 3600\n")
    flags = ("--config", str(folder / "moorage.toml"))
    with (
        postgres.running(**postgres.FAST, log_statement="'all'") as cluster,
        servers.running(folder / "data", "--database", cluster.migrated(), *flags, workers=1) as server,
    ):
        server.client().create_repository(repositoryName="bench")
        image = content.push(server, "bench", "v1")
        layer = content.digest_of(image.layers[0])
        rows = []
        for what, act in requests(server, image, layer).items():
            for _ in range(WARM):
                act()
            rows.append((f"messages of a {what}", str(counted(cluster.folder / "log", act))))
        return rows


def counted(log: Path, act: Callable[[], object]) -> int:
    """Return how many statements PostgreSQL logs while something is done."""
    before = log.stat().st_size
    act()
    return log.read_bytes()[before:].count(b"LOG:  ")


def requests(server: servers.Server, image: content.Image, layer: str) -> dict[str, Callable[[], object]]:
    """Return one request of each kind that a push or a pull is made of."""
    token = server.token()
    numbers = itertools.count()
    path = "/v2/bench"
    begun: list[str] = []
    for number in range(WARM + 1):
        config = content.image(*image.layers, annotations={"n": str(number)})
        content.push_blob(server, "bench", config.config, token)
        begun.append(config.manifest.decode())
    uploads: list[str] = []

    def begin() -> None:
        uploads.append(server.request("POST", f"{path}/blobs/uploads/", token=token).headers["Location"])

    def complete() -> None:
        data = str(next(numbers)).encode()
        server.request("PUT", f"{uploads.pop()}?digest={content.digest_of(data)}", token=token, body=data)

    def put() -> None:
        headers = {"Content-Type": image.media_type}
        server.request("PUT", f"{path}/manifests/v2", token=token, headers=headers, body=begun.pop())

    return {
        "manifest GET": lambda: server.request("GET", f"{path}/manifests/v1", token=token),
        "layer HEAD": lambda: server.request("HEAD", f"{path}/blobs/{layer}", token=token),
        "POST that begins an upload": begin,
        "PUT that ends it": complete,
        "manifest PUT of one layer, moving a tag": put,
    }


def main() -> None:
    """Measure and print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = messages(Path(folder))
        if shutil.which("wrk"):
            rows += rates(Path(folder))
    print(f"| measured on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
