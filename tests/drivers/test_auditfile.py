"""The audit trail's file: whole lines in order, and no wait for what cannot be written."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from moorage.config import SettingsError
from moorage.drivers import auditfile
from moorage.drivers.auditfile import AuditFile, _Output
from moorage.registry.audit import loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE = b'{"x":"' + b"y" * 90 + b'"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the trail is."""
    return tmp_path / "audit.jsonl"


@contextmanager
def disk_of(room: int) -> Iterator[None]:
    """Let no file grow beyond that many bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_lines_are_written_in_order_and_by_the_end(path: Path) -> None:
    """What was put before the end is in the file, in order, readable by its owner alone."""
    sink = AuditFile(str(path), loss)
    lines = [json.dumps({"n": n}).encode() + b"\n" for n in range(500)]
    for line in lines:
        sink.put(line)
    sink.close()
    assert path.read_bytes() == b"".join(lines)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sink.lost == 0


def test_nothing_is_opened_for_nothing(path: Path) -> None:
    """Without a line there is no file and no thread."""
    AuditFile(str(path), loss).close()
    assert not path.exists()


def test_a_file_that_was_moved_is_begun_anew(path: Path) -> None:
    """After a rotation by renaming, or a removal, the next line begins a new file; after a truncation it is the first."""
    output = _Output(str(path))
    output.write(b"1\n")
    path.rename(path.with_suffix(".1"))
    output.write(b"2\n")
    assert (path.with_suffix(".1").read_bytes(), path.read_bytes()) == (b"1\n", b"2\n")
    path.unlink()
    output.write(b"3\n")
    os.truncate(path, 0)
    output.write(b"4\n")
    output.close()
    assert path.read_bytes() == b"4\n"


def test_a_full_disk_tears_one_line_only(path: Path) -> None:
    """The half line that a full disk leaves is ended, and the line comes again whole."""
    output = _Output(str(path))
    with disk_of(50), pytest.raises(OSError) as full:  # noqa: PT011 (the number says which)
        output.write(LINE)
    assert full.value.errno == errno.ENOSPC
    output.close()
    output.write(LINE)
    output.write(LINE)
    output.close()
    assert path.read_bytes() == LINE[:50] + b"\n" + LINE + LINE


def test_what_has_no_room_is_lost_and_counted(path: Path) -> None:
    """A FIFO that nobody reads takes nothing; when somebody does, what waited comes, and then how much is missing."""
    os.mkfifo(path)
    sink = AuditFile(str(path), loss, room=10 * len(LINE))
    for _ in range(25):
        sink.put(LINE)
    assert sink.lost == 15
    with path.open("rb") as reader:
        lines = [reader.readline() for _ in range(11)]
        sink.close()
        assert reader.read() == b""
    assert lines[:10] == [LINE] * 10
    told = json.loads(lines[10])
    assert (told["eventName"], told["additionalEventData"]) == ("AuditEventsLost", {"count": 15})


@pytest.mark.parametrize("kind", ["full", "fifo", "pipe"])
def test_an_end_is_not_held_up(kind: str, path: Path) -> None:
    """What cannot be written is given up at the end, and counted: nobody reads, nothing fits, or a pipe is full."""
    if kind == "full":
        path.symlink_to("/dev/full")
    else:
        os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if kind == "pipe" else None
    sink = AuditFile(str(path), loss, patience=0.2)
    for _ in range(2000):
        sink.put(LINE)
    sink.close()
    assert sink._thread is not None
    assert not sink._thread.is_alive()
    # A pipe holds something of it, and no more (64 KiB on Linux).
    assert sink.lost == 2000 if kind != "pipe" else 0 < sink.lost < 2000
    sink.put(LINE)
    if reader is not None:
        os.close(reader)


def test_long_lines_of_many_writers_stay_whole_in_a_pipe(path: Path) -> None:
    """Lines longer than a pipe writes at once are not mixed, however slowly it is read."""
    os.mkfifo(path)
    sinks = [AuditFile(str(path), loss) for _ in range(4)]
    long = [json.dumps({"writer": n, "text": str(n) * 9000}).encode() + b"\n" for n in range(4)]

    def write(n: int) -> None:
        for _ in range(20):
            sinks[n].put(long[n])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    with path.open("rb") as reader:
        found = [reader.readline() for _ in range(80)]
        for thread, sink in zip(threads, sinks, strict=True):
            thread.join()
            sink.close()
    assert sorted(found) == sorted(long * 20)


def test_a_path_of_no_use_is_refused_at_the_start(tmp_path: Path) -> None:
    """A folder, or a file in none, is refused with the setting's name; a FIFO that nobody reads yet is not."""
    for wrong in (tmp_path, tmp_path / "missing" / "audit.jsonl"):
        with pytest.raises(SettingsError, match=r"^audit: "):
            auditfile.check(str(wrong))
    os.mkfifo(tmp_path / "fifo")
    auditfile.check(str(tmp_path / "fifo"))
    auditfile.check("-")
