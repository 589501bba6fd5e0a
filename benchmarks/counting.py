"""
What counting a request costs: our own counts, and prometheus-client's counters in files shared between processes.

    python benchmarks/counting.py

Prints microseconds of processor time a request.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUESTS: Final = 50_000


def measure(what: str, call: Callable[[], Any]) -> None:
    """Print the cost of a call."""
    for _ in range(1000):
        call()
    began = time.process_time()
    for _ in range(_REQUESTS):
        call()
    print(f"{what:<44}{(time.process_time() - began) / _REQUESTS * 1e6:6.2f} us")


def prometheus(folder: str) -> Callable[[], None]:
    """Return the same counting with prometheus-client's multiprocess mode."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    import prometheus_client  # noqa: PLC0415 (reads the variable when it is imported)

    from moorage.metrics.counts import BUCKETS  # noqa: PLC0415

    labels = ["door", "operation"]
    requests = prometheus_client.Counter("requests", "…", [*labels, "status"])
    seconds = prometheus_client.Histogram("seconds", "…", labels, buckets=BUCKETS)
    sent = prometheus_client.Counter("sent", "…", labels)
    received = prometheus_client.Counter("received", "…", labels)
    one = requests.labels("oci", "GET", "2xx")
    took = seconds.labels("oci", "GET")
    out, taken = sent.labels("oci", "GET"), received.labels("oci", "GET")

    def count() -> None:
        one.inc()
        took.observe(0.004)
        out.inc(4096)
        taken.inc(0)

    return count


async def exchanges() -> None:
    """Print the cost of all that surrounds a request: its id, and what is counted."""
    from moorage import app  # noqa: PLC0415
    from moorage.config import Settings  # noqa: PLC0415
    from moorage.watch import Watch  # noqa: PLC0415

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 4096})

    async def receive() -> dict[str, Any]:
        return {}

    async def ignore(_message: Any) -> None:
        pass

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        app.prepare(settings)
        registry = app.open_registry(settings)
        for name, wrapped in (("bare", answer), ("watched", Watch(registry).around(answer))):
            began = time.process_time()
            for _ in range(_REQUESTS):
                await wrapped({"type": "http"}, receive, ignore)
            print(f"an empty application, {name:<22}{(time.process_time() - began) / _REQUESTS * 1e6:6.2f} us")
        registry.close()


def main() -> None:
    """Measure all."""
    from moorage.metrics import Counts  # noqa: PLC0415

    counts, key = Counts(), ("oci", "GET", "2xx")
    measure("our counts", lambda: counts.request(key, 0.004, 0, 4096))
    with tempfile.TemporaryDirectory() as folder:
        measure("prometheus-client, multiprocess", prometheus(folder))
    asyncio.run(exchanges())


if __name__ == "__main__":
    main()
