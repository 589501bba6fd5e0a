"""
First figures: start to ready, memory at rest, manifests a second with access control on.

Absolute numbers of a shared machine: good for comparing two runs on it, and
for nothing else. ``wrk`` makes the load; without it that part is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests import content, servers

STARTS = 5
SECONDS = 5
CONNECTIONS = (1, 16, 64)


def start_to_ready(data: Path) -> list[float]:
    """Return the seconds from command to ready line, of several starts over one data folder."""
    taken = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        server = servers.start(data, workers=1)
        taken.append(time.perf_counter() - begun)
        server.stop()
    return taken


def memory(server: servers.Server) -> dict[str, int]:
    """Return the proportional set size of each process of a server, in KiB."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    sizes = {}
    for pid in (str(server.process.pid), *children):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        match = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
        sizes[pid] = int(match[1]) if match else 0
    return sizes


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


def main() -> None:
    """Measure and print a Markdown table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        starts = start_to_ready(data)
        rows.append(
            ("start to ready, median of 5, 1 worker", f"{statistics.median(starts):.2f} s (best {min(starts):.2f} s)")
        )
        with servers.running(data, workers=2) as server:
            sizes = memory(server)
            total = sum(sizes.values()) / 1024
            rows.append(("memory at rest, 2 workers and their parent", f"{total:.0f} MiB"))
            server.client().create_repository(repositoryName="bench")
            content.push(server, "bench", "v1")
            if shutil.which("wrk"):
                for connections in CONNECTIONS:
                    rate, tail = manifests_a_second(server, connections)
                    rows.append(
                        (f"manifest GET by tag, auth on, {connections} connections", f"{rate:,.0f}/s (p99 {tail})")
                    )
    print(f"| measured on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
