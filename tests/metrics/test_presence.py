"""Who is there: noted by any worker, seen by all, and gone after a while."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.metrics.folder import Folder
from moorage.metrics.presence import Presence
from tests import servers

if TYPE_CHECKING:
    from tests.servers import Server

PATIENCE = 30


def folder_of(server: Server) -> Folder:
    """Return the folder of a server's workers, which it holds open as long as it lives."""
    held = [file.readlink() for file in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    (folder,) = [file.parent for file in held if file.parent.name.startswith("moorage-metrics-")]
    return Folder(folder)


def test_who_was_noted_is_seen_by_others(tmp_path: Path) -> None:
    """A worker sees whom another one has noted; nobody was there before."""
    here, there = Presence(Folder(tmp_path)), Presence(Folder(tmp_path))
    assert not here.is_anybody()
    there.note()
    assert here.is_anybody()


def test_who_was_there_long_ago_has_gone(tmp_path: Path) -> None:
    """What was noted counts for some seconds."""
    presence = Presence(Folder(tmp_path))
    presence.note()
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert not presence.is_anybody()


def test_a_clock_that_was_set_back_is_somebody(tmp_path: Path) -> None:
    """A note of the future says nothing of when it was: room is made."""
    presence = Presence(Folder(tmp_path))
    presence.note()
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    assert presence.is_anybody()


def test_a_folder_that_is_gone_harms_no_request(tmp_path: Path) -> None:
    """Who cannot be noted is answered all the same."""
    presence = Presence(Folder(tmp_path / "gone"))
    presence.note()
    assert not presence.is_anybody()


def test_a_server_knows_whether_it_is_asked_anything(tmp_path: Path) -> None:
    """A request is seen by who looks; one of a monitor, which comes all day long, is not."""
    with servers.running(tmp_path) as server:
        presence = Presence(folder_of(server))
        for path in ("/healthz", "/metrics", "/readyz"):
            assert server.request("GET", path, token="none").status == 200
        assert not presence.is_anybody()
        server.client().describe_repositories()
        deadline = time.monotonic() + PATIENCE
        while not presence.is_anybody():
            assert time.monotonic() < deadline
            time.sleep(0.01)
