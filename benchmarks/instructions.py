"""
Instructions of a manifest GET, without a socket, worked out anew and given again.

    python -m benchmarks.instructions [--check | --write]

The same program runs under valgrind with few requests and with more; the difference is what
the further ones took, and starting is in neither. A busy machine executes the same
instructions, only later, and the registry's clock stands still. Needs ``valgrind``, and some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks import blobs
from benchmarks.contenders.ours import ours
from benchmarks.workloads.placing import place_image
from moorage import app
from moorage.config import Settings
from tests.servers import ACCOUNT, REGION

_REPOSITORY: Final = "bench/instructions"
BASELINE: Final = Path(__file__).parent / "results" / "instructions.json"
LOSS: Final = 0.05
_FEW, _MORE = 30, 80
_OK: Final = 200
ANEW, AGAIN = "worked out anew", "given again"


def prepared(folder: Path) -> str:
    """Make a registry with an image; return the header that its user sends."""
    with ours().running(folder) as server, server.connect() as connection:
        place_image(server, connection, _REPOSITORY, "v1", blobs.image(1000))
        return server.headers["Authorization"]


def counted(folder: Path, authorization: str, kind: str, requests: int) -> int:
    """Return the instructions of a process that answers so many requests."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.instructions", "--answer", str(folder), authorization]
    command += [kind, str(requests)]
    # Where strings hash differently, dictionaries are walked differently.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        raise RuntimeError(done.stderr)
    return int(found[1].replace(",", ""))


def answer(folder: Path, authorization: str, kind: str, requests: int) -> None:
    """Answer requests in this process: the same one, or others that differ in a header."""
    registry = app.open_registry(Settings(data=folder / "data", account_id=ACCOUNT, region=REGION, jobs=False))
    now = registry.clock()
    # What is worked out once a second would be so more often the slower the machine is.
    registry.clock = lambda: now
    application = app.create_app(registry=registry)

    async def all_of_them() -> None:
        for number in range(requests):
            await _ask(application, authorization, f"{number if kind == ANEW else 0:04}")

    asyncio.run(all_of_them())
    registry.close()


async def _ask(application: Any, authorization: str, agent: str) -> None:
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    path = f"/v2/{_REPOSITORY}/manifests/v1"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"authorization", authorization.encode()),
            (b"accept", blobs.MANIFEST.encode()),
            (b"user-agent", agent.encode()),
        ],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 5100),
        "extensions": {},
        "state": {},
    }
    await application(scope, receive, send)
    if statuses != [_OK]:
        raise RuntimeError(f"answered {statuses}")


def measure(runs: int) -> dict[str, int]:
    """Return, and print, the fewest instructions of a request of each kind, of several runs."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as name:
        authorization = prepared(Path(name))
        for kind in [ANEW, AGAIN] * runs:
            few, more = (counted(Path(name), authorization, kind, count) for count in (_FEW, _MORE))
            one = round((more - few) / (_MORE - _FEW))
            print(f"{one:,} instructions a manifest GET, {kind}")
            found[kind] = min(found.get(kind, one), one)
    return found


def main() -> None:
    """Print, compare or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions")
    parser.add_argument("--runs", type=int, default=1)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail if it takes more than it did")
    what.add_argument("--write", action="store_true", help="commit to what it takes now")
    parser.add_argument("--answer", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        folder, authorization, kind, requests = given.answer
        answer(Path(folder), authorization, kind, int(requests))
        return
    committed: dict[str, Any] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    why = "valgrind is not installed" if shutil.which("valgrind") is None else None
    if given.check and committed.get("python") != platform.python_version():
        why = f"what is committed was counted with Python {committed.get('python')}"
    if why:
        print(f"instructions not counted: {why}")
        return
    found = measure(given.runs)
    if given.write:
        BASELINE.write_text(json.dumps({"python": platform.python_version(), **found}) + "\n")
    elif given.check:
        ratios = {kind: one / committed[kind] for kind, one in found.items()}
        lost = [f"{kind}: {ratio:.0%}" for kind, ratio in ratios.items() if ratio > 1 + LOSS]
        if lost:
            sys.exit(f"a manifest GET takes more than the committed instructions: {', '.join(lost)}")


if __name__ == "__main__":
    main()
