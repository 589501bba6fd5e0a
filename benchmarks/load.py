"""
A load of small requests: by ``wrk`` where it is installed, else by `benchmarks.rush`.

``wrk`` costs the machine less, and waits for a body that the answer to a HEAD does not
have: those are always sent by `rush`. Both wait for an answer before they ask again.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import figures
from benchmarks.client import Refused
from benchmarks.rush import rush
from benchmarks.workloads.work import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.contenders.servers import Server

_LUA: Final = """\
local requests, at = {{ {requests} }}, 0
request = function()
    at = at % #requests + 1
    return requests[at]
end
done = function(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format('\\n{{"requests": %d, "us": %d, "failed": %d, "p50": %d, "p99": %d}}\\n',
        summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a load."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def bytes(self, server: Server) -> bytes:
        """Return what goes over the wire."""
        headers = {"Host": f"127.0.0.1:{server.port}", **server.headers, **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode() + self.body


def load(server: Server, asks: Sequence[Ask], connections: int, seconds: float) -> Sample:
    """
    Send requests in turn over so many connections; return ``rate``, ``p50`` and ``p99``.

    :raises Refused: an answer is not of success
    """
    requests = [ask.bytes(server) for ask in asks]
    if shutil.which("wrk") and all(ask.method != "HEAD" for ask in asks):
        return _wrk(server, requests, connections, seconds)
    address = ("127.0.0.1", server.port)
    found = rush(address, requests, connections, seconds, head=asks[0].method == "HEAD")
    p50, p99 = (figures.percentile(found.latencies, part) * 1000 for part in (50, 99))
    return Sample({"rate": found.rate, "p50": p50, "p99": p99}, len(found.latencies))


def _wrk(server: Server, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.write_text(_LUA.format(requests=", ".join(map(_lua, requests))))
        # wrk takes whole seconds.
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--timeout", "30"]
        done = subprocess.run([*command, "-s", str(script), server.url], check=True, capture_output=True, text=True)
    told = re.search(r"^\{.*\}$", done.stdout, re.MULTILINE)
    found: dict[str, float] = json.loads(told[0]) if told else {"failed": 1}
    if found["failed"] or not found["requests"]:
        raise Refused(f"wrk: {done.stdout}")
    values = {"rate": found["requests"] / found["us"] * 1e6, "p50": found["p50"] / 1000, "p99": found["p99"] / 1000}
    return Sample(values, found["requests"])


def _lua(request: bytes) -> str:
    """Return bytes as a string of Lua."""
    return '"' + "".join(f"\\{byte:03d}" for byte in request) + '"'
