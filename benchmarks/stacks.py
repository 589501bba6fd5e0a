"""
The same figures on every stack: manifests a second, and a layer's way in and out.

    python -m benchmarks.stacks [STACK …]

``sqlite`` is SQLite and a folder, ``production`` PostgreSQL and S3 with the bytes passed through; the S3 server,
PostgreSQL and the clients share the machine, and its disk. Good for comparing two stacks, or two runs, and for
nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.databases import manifests_a_second
from tests import content, servers, stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024 * 1024
LAYER: Final = 256 * MIB
ROUNDS: Final = 3
CLIENTS: Final = 8
SECONDS: Final = 5


def gets_a_second(server: servers.Server) -> float:
    """Return manifest GETs a second: of ``wrk`` where it is installed, else of threads here, which are slower."""
    if shutil.which("wrk"):
        return manifests_a_second(server, 16)[0]
    token, until = server.token(), time.monotonic() + SECONDS
    counts = [0] * CLIENTS

    def ask(number: int) -> None:
        while time.monotonic() < until:
            if server.request("GET", "/v2/bench/manifests/v1", token=token).status != 200:  # noqa: PLR2004 (HTTP)
                raise RuntimeError("a pull failed")
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


class Layer:
    """Bytes unlike any other's, made and hashed before the clock runs."""

    def __init__(self) -> None:
        block, sha256 = os.urandom(MIB), hashlib.sha256()
        self.pieces = [number.to_bytes(8, "big") + block[8:] for number in range(LAYER // MIB)]
        for piece in self.pieces:
            sha256.update(piece)
        self.digest = f"sha256:{sha256.hexdigest()}"

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        return iter(self.pieces)


def transfer(server: servers.Server) -> tuple[float, float]:
    """Return the MB/s at which a layer goes in, to the answer that it is there, and out."""
    layer, token = Layer(), server.token()
    begun = time.perf_counter()
    upload = server.request("POST", "/v2/bench/blobs/uploads/", token=token).headers["Location"]
    length = {"Content-Length": str(LAYER), "Content-Type": "application/octet-stream"}
    path = f"{upload}?digest={layer.digest}"
    if server.request("PUT", path, token=token, headers=length, body=iter(layer)).status != 201:  # noqa: PLR2004 (HTTP)
        raise RuntimeError("the push failed")
    pushed = time.perf_counter()
    headers = {"Authorization": f"Basic {token}"}
    url = f"{server.url}/v2/bench/blobs/{layer.digest}"
    answer = server.http.request("GET", url, headers=headers, preload_content=False)
    received = sum(len(piece) for piece in answer.stream(MIB))
    if received != LAYER:
        raise RuntimeError("the pull failed")
    pulled = time.perf_counter()
    return LAYER / 1e6 / (pushed - begun), LAYER / 1e6 / (pulled - pushed)


def measured(name: str) -> tuple[float, float, float]:
    """Return manifest GETs a second, push and pull MB/s, of one stack."""
    with stacks.opened(name) as stack, tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with servers.running(data, *stack.flags(data), workers=2) as server:
            server.client().create_repository(repositoryName="bench")
            content.push(server, "bench", "v1")
            rate = gets_a_second(server)
            ways = [transfer(server) for _ in range(ROUNDS)]
    pushes, pulls = zip(*ways, strict=True)
    return rate, statistics.median(pushes), statistics.median(pulls)


def main() -> None:
    """Measure and print a Markdown table."""
    tool = "wrk, 16 connections" if shutil.which("wrk") else f"Python, {CLIENTS} threads: its own limit"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; a layer of {LAYER // MIB} MiB, median of {ROUNDS}\n")
    print(f"| stack, 2 workers | manifest GET/s ({tool}) | push MB/s | pull MB/s |\n|---|---|---|---|")
    for name in sys.argv[1:] or ["sqlite", "production"]:
        rate, push, pull = measured(name)
        print(f"| {name} | {rate:,.0f} | {push:,.0f} | {pull:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
