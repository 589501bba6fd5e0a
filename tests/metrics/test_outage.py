"""A server whose database goes away: what it says of that, and what it goes on to tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests import postgres, servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PATIENCE = 60


def awaited(server: Server, status: int) -> dict[str, bool]:
    """Ask for readiness until it is as expected; return what is said then."""
    deadline = time.monotonic() + PATIENCE
    while (answer := server.anonymous("GET", "/readyz")).status != status:
        assert time.monotonic() < deadline, answer.data
        time.sleep(0.1)
    said: dict[str, bool] = answer.json()
    return said


def test_a_database_that_goes_and_comes_back(tmp_path: Path) -> None:
    """Without its database a server lives, is not ready and names it, and still tells its metrics; with it, it is ready."""
    with postgres.running(**postgres.FAST) as cluster:
        flags = ("--database", cluster.migrated())
        with servers.running(tmp_path, *flags, workers=1) as server:
            assert awaited(server, 200) == {"ready": True}
            assert "moorage_uploads_open 0.0" in server.anonymous("GET", "/metrics").data.decode()
            cluster.control("stop", "-m", "immediate")
            try:
                assert awaited(server, 503) == {"ready": False, "database": False, "store": True}
                assert server.anonymous("GET", "/healthz").status == 200
                told = server.anonymous("GET", "/metrics")
                assert told.status == 200
                assert 'operation="/readyz",status="5xx"' in told.data.decode()
                assert "moorage_uploads_open" not in told.data.decode()
            finally:
                cluster.control("start")
            assert awaited(server, 200) == {"ready": True}
