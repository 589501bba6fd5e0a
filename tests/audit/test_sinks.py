"""Where the trail goes: whole lines from many workers, none lost at the end, and no pull that waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests import content, servers
from tests.audit.kit import event_of, events
from tests.servers import MOORAGE, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = 300


def test_many_workers_share_one_file(tmp_path: Path) -> None:
    """Each of many requests at once is one whole line of the one file, and SIGTERM leaves none unwritten."""
    path = tmp_path / "audit.jsonl"
    with servers.running(tmp_path / "data", "--audit", str(path), workers=2) as server:
        server.client().create_repository(repositoryName="app")
        image, token = content.push(server, "app", "v1"), server.token()

        def pull(_n: int) -> str:
            answer = server.request("GET", "/v2/app/manifests/v1", token=token)
            assert answer.data == image.manifest
            return answer.headers["x-request-id"]

        with ThreadPoolExecutor(8) as pool:
            asked = list(pool.map(pull, range(REQUESTS)))
        assert server.stop(signal.SIGTERM) == 0
    told = [event["requestID"] for event in events(path) if event["eventName"] == "BatchGetImage"]
    assert sorted(told) == sorted(asked)


def test_a_rotated_file_is_left_alone(tmp_path: Path) -> None:
    """Once the file has another name, events go to a new one, without a signal or a restart."""
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    with servers.running(tmp_path / "data", "--audit", str(path), workers=1) as server:
        server.client().create_repository(repositoryName="before")
        path.rename(old)
        server.client().create_repository(repositoryName="after")
    names = [[event["requestParameters"]["repositoryName"] for event in events(file)] for file in (old, path)]
    # The first may be written after the file was moved, and then begins the new one.
    assert [*names[0], *names[1]] == ["before", "after"]
    assert names[1][-1] == "after"


@pytest.mark.parametrize("kind", ["fifo", "full"])
def test_a_trail_that_takes_nothing_holds_up_nothing(kind: str, tmp_path: Path) -> None:
    """With a FIFO that nobody reads, or a full disk, pushes and pulls go on; the log says what is lost; SIGTERM ends."""
    path = tmp_path / "audit.jsonl"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full")
    with servers.running(tmp_path / "data", "--audit", str(path), workers=1) as server:
        server.client().create_repository(repositoryName="app")
        image, token = content.push(server, "app", "v1"), server.token()
        for _ in range(50):
            assert server.request("GET", "/v2/app/manifests/v1", token=token).data == image.manifest
        assert "audit.jsonl" in server.log.line_with("audit_cannot_write")
        assert server.stop(signal.SIGTERM) == 0
        assert '"lost": ' in server.log.line_with("audit_events_lost")


def test_a_trail_on_standard_output(tmp_path: Path) -> None:
    """With ``--audit -`` every line after the ready line is an event."""
    with servers.running(tmp_path / "data", "--audit", "-", workers=2) as server:
        answer = server.client().create_repository(repositoryName="app")
        assert server.process.stdout is not None
        event = event_of(server.process.stdout.readline())
        assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]


def test_a_server_does_not_start_without_its_trail(tmp_path: Path) -> None:
    """A trail that can never be written is a mistake to be told at the start."""
    command = [
        *MOORAGE,
        "serve",
        "--data",
        str(tmp_path / "data"),
        "--port",
        str(servers.free_port()),
        "--audit",
        str(tmp_path),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 2
    assert f"moorage: audit: {tmp_path}: Is a directory" in done.stderr
