"""
Calls of the control plane, signed with SigV4: ``python -m benchmarks.control``.

What one costs the processor, in this process and without its socket: for root, and for a user with a policy.
Then through a server with one worker, where ``wrk`` is installed: what each call has cost the server's
processes, and how many of them that makes a second of one core. ``--profile NAME`` shows where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import filling
from benchmarks.calls import HOST, Calls
from moorage import app
from moorage.config import Settings
from moorage.domain.names import EntityName
from moorage.registry import identities, keys
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.calls import Request
    from moorage.registry.core import Registry
    from moorage.registry.keys import AccessKey

SECONDS: Final = 5
CONNECTIONS: Final = 16
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_POLICY: Final = "AmazonEC2ContainerRegistryPowerUser"


def requests(calls: Calls, host: str = HOST) -> dict[str, Request]:
    """Return calls by their names."""
    image = {"repositoryName": "bench", "imageIds": [{"imageTag": "v0000000"}]}
    return {
        "GetAuthorizationToken": calls.signed("GetAuthorizationToken", {}, host),
        "BatchGetImage": calls.signed("BatchGetImage", image, host),
        "DescribeImages": calls.signed("DescribeImages", image, host),
        "DescribeRepositories": calls.signed("DescribeRepositories", {"repositoryNames": ["bench"]}, host),
    }


def user(registry: Registry) -> AccessKey:
    """Make a user with a policy, and return a key of theirs."""
    name = EntityName("builder")
    with registry.write(registry.system()) as ctx:
        identities.create_user(ctx, name)
        identities.attach(ctx, identities.USER, name, _POLICY)
        return keys.create(ctx, name)


def seconds_of(pids: list[int]) -> float:
    """Return the processor's seconds that processes have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields) / _TICKS


def processes(server: servers.Server) -> list[int]:
    """Return the ids of a server's processes."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def through(server: servers.Server, request: Request, folder: Path) -> tuple[float, float]:
    """Return requests a second, and the processor's milliseconds that each has cost the server."""
    script = folder / "request.lua"
    headers = "".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(v)}\n" for name, v in request.headers.items())
    script.write_text(f'wrk.method = "{request.method}"\nwrk.body = [==[{request.body.decode()}]==]\n{headers}')
    before = seconds_of(processes(server))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", str(script), server.url + request.path]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counted = re.search(r"(\d+) requests in", output)
    if "Non-2xx" in output or counted is None:
        raise RuntimeError(output)
    count = int(counted[1])
    return count / SECONDS, (seconds_of(processes(server)) - before) * 1000 / count


def profile(calls: Calls, request: Request, times: int = 2000) -> None:
    """Print where the time of a request goes."""

    async def perform(unit: Callable[[], Any], **_: bool) -> Any:
        return unit()

    profiler = cProfile.Profile()
    calls.registry.perform = perform  # type: ignore[method-assign]
    profiler.runcall(calls.cost, request, times=times, groups=1)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def measured(registry: Registry, folder: Path) -> list[str]:
    """Return rows of a table."""
    rows = []
    for who, key in (("root", None), ("a user", user(registry))):
        with Calls(registry, key) as calls:
            for name, request in requests(calls).items():
                cost = calls.cost(request, times=200)
                rows.append(f"| {name}, {who} | {cost.processor:.2f} ms |")
    if shutil.which("wrk"):
        with servers.running(registry.settings.data, workers=1) as server, Calls(registry) as calls:
            for name, request in requests(calls, server.host).items():
                rate, each = through(server, request, folder)
                rows.append(f"| {name}, root, through a server | {each:.2f} ms: {1000 / each:,.0f}/s ({rate:,.0f}/s) |")
    return rows


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control")
    parser.add_argument("--profile", metavar="NAME", help="show where the time of one of the calls goes, instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder) / "data", account_id=servers.ACCOUNT, region=servers.REGION)
        app.prepare(settings)
        registry = app.open_registry(settings)
        try:
            filling.images(registry, "bench", 1, 1)
            if given.profile:
                with Calls(registry) as calls:
                    profile(calls, requests(calls)[given.profile])
                return
            rows = measured(registry, Path(folder))
        finally:
            registry.close()
    print(f"| processor's time; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | |\n|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
