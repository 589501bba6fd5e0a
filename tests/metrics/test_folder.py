"""What workers tell each other of their counts, and what becomes of it when they end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from moorage.metrics import Counts, Folder, folder, shared

KEY = ("oci", "GET /v2/", "2xx")
_LEFT = """
import os, signal, sys
from pathlib import Path
from moorage.metrics import folder
folder.Path = lambda given: Path(sys.argv[1] if given == "/dev/shm" else given)
with folder.shared(Path(sys.argv[1])) as made:
    print(made.path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def counted(times: int, jobs: int = 0) -> dict[str, Any]:
    """Return what a worker has counted after so many requests."""
    counts = Counts()
    counts.gauge(lambda: {"workers": 1, "process_cpu_seconds": 2})
    for _ in range(times):
        counts.request(KEY, 0.003, 1, 10)
    for _ in range(jobs):
        counts.job("sweep", "ok", 1.5)
    return counts.snapshot()


def others(total: dict[str, Any]) -> dict[tuple[str, ...], float]:
    """Return the counters that are not about requests."""
    return {tuple(key): value for key, value in total["others"]}


def test_workers_are_summed(tmp_path: Path) -> None:
    """A scrape tells what all workers have counted: requests with bytes and buckets, other counters, gauges."""
    folder = Folder(tmp_path)
    folder.write(f"{os.getpid()}-1", counted(2, jobs=1))
    folder.write(f"{os.getpid()}-2", counted(3, jobs=2))

    total = folder.sum()

    ((key, cell),) = total["requests"]
    assert (tuple(key), cell[1], cell[2], sum(cell[3:])) == (KEY, 5, 50, 5)
    assert others(total) == {("job_runs", "sweep", "ok"): 3, ("job_seconds", "sweep"): 4.5, ("process_cpu_seconds",): 4}
    assert total["gauges"] == {"requests_in_progress": 0, "workers": 2}


def test_writing_again_replaces(tmp_path: Path) -> None:
    """What a worker writes is all that it has counted, and not what is new."""
    folder = Folder(tmp_path)
    for times in (1, 2, 7):
        folder.write(f"{os.getpid()}-1", counted(times))

    assert sum(folder.sum()["requests"][0][1][3:]) == 7


@pytest.mark.parametrize("killed", [False, True])
def test_what_ended_workers_counted_stays(tmp_path: Path, *, killed: bool) -> None:
    """The sum does not go back when a worker ends, in good order or not; its gauges are gone, and so is its file."""
    folder = Folder(tmp_path)
    folder.write(f"{os.getpid()}-1", counted(1))
    if killed:
        # A process id that nobody has.
        dead = subprocess.Popen(["true"])
        dead.wait()
        folder.write(f"{dead.pid}-1", counted(4))
    else:
        folder.end("12345678-1", counted(4))

    for _ in range(2):
        total = folder.sum()
        assert sum(total["requests"][0][1][3:]) == 5
        assert total["gauges"]["workers"] == 1
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_silent_workers_have_no_gauges(tmp_path: Path) -> None:
    """A file that was not written for long is of no living worker, whoever has its process id now."""
    folder = Folder(tmp_path)
    folder.write(f"{os.getpid()}-1", counted(1))
    os.utime(tmp_path / f"{os.getpid()}-1.json", (0, 0))

    total = folder.sum()

    assert total["gauges"] == {}
    assert sum(total["requests"][0][1][3:]) == 1


def test_a_server_begins_with_an_empty_folder(tmp_path: Path) -> None:
    """Each server has a folder of its own, which goes with it."""
    with shared(tmp_path) as first, shared(tmp_path) as second:
        assert first.path != second.path
        first.write("1-1", counted(1))
        assert second.sum()["requests"] == []
    assert not first.path.exists()


def test_the_folder_of_a_killed_server_is_removed_by_the_next(tmp_path: Path) -> None:
    """What a server left that was killed is gone once another one starts."""
    done = subprocess.run(
        [sys.executable, "-c", _LEFT, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    left = Path(done.stdout.strip())
    assert left.parent == tmp_path
    assert left.is_dir()

    subprocess.run([sys.executable, "-c", _LEFT, str(tmp_path)], capture_output=True, check=False, timeout=60)

    assert not left.exists()


def test_no_temporary_folder_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing may be written but the data folder, as in a container that is read-only, a server starts all the same."""
    monkeypatch.setattr(tempfile, "gettempdir", _none)
    monkeypatch.setattr(
        folder, "Path", lambda given: tmp_path / "none" if str(given).startswith("/dev") else Path(given)
    )

    with shared(tmp_path) as made:
        assert made.path.parent == tmp_path


def _none() -> str:
    raise FileNotFoundError("no usable temporary directory")
