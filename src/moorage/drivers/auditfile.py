"""
The audit trail's file: lines wait in memory, and one thread of each process writes them.

Requests never wait for it. What has no room waits nowhere and is counted;
the count is logged, and is a line of the trail itself once there is room.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.config import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

STDOUT: Final = "-"
ROOM: Final = 8 * 1024 * 1024
"""Bytes of lines that may wait in one process: thousands of events."""
PATIENCE: Final = 5.0
"""Seconds that the end of a process waits for what it has not written."""
_RETRY: Final = 1.0
_BUSY: Final = 0.02
_QUIET: Final = 10.0
"""Seconds between two warnings of the same kind."""
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC


def check(path: str) -> None:
    """Raise `SettingsError` unless there is, or can be, a file of that path."""
    try:
        if path != STDOUT:
            os.close(_open(path))
    except OSError as problem:
        # A FIFO that nobody reads yet.
        if problem.errno != errno.ENXIO:
            raise SettingsError(f"audit: {path}: {problem.strerror}") from None


class AuditFile:
    """Takes lines at once, and writes them in order."""

    def __init__(
        self, path: str, loss: Callable[[int], bytes], *, room: int = ROOM, patience: float = PATIENCE
    ) -> None:
        self._output = _Output(path)
        self._path = path
        self._loss = loss
        self._room = room
        self._patience = patience
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._unsaid = 0
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._warned: dict[str, float] = {}
        self.lost = 0
        """Lines lost in the life of this process."""

    def put(self, line: bytes) -> None:
        """Take a line, or count it as lost; returns at once and raises nothing."""
        with self._lock:
            fits = self._waiting + len(line) <= self._room and not self._closing.is_set()
            if fits:
                self._waiting += len(line)
                self._lines.put(line)
                if self._thread is None:
                    # Not before: a thread does not survive the fork that makes a worker.
                    self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
                    self._thread.start()
        if not fits:
            self._lose()

    def close(self) -> None:
        """Write what is waiting, as long as that goes within `PATIENCE`."""
        with self._lock:
            thread, self._deadline = self._thread, time.monotonic() + self._patience
            self._closing.set()
        if thread is None:
            return
        self._lines.put(None)
        thread.join(self._patience + _RETRY)
        if self.lost or thread.is_alive():
            logs.warning("audit_events_lost", path=self._path, lost=self.lost, unwritten_bytes=self._waiting)

    def _lose(self) -> None:
        with self._lock:
            self.lost += 1
            self._unsaid += 1
            lost = self.lost
        self._warn("audit_events_lost", path=self._path, lost=lost)

    def _warn(self, event: str, **values: object) -> None:
        now = time.monotonic()
        if now - self._warned.get(event, -_QUIET) >= _QUIET:
            self._warned[event] = now
            logs.warning(event, **values)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._deliver(line):
                self._lose()
            with self._lock:
                self._waiting -= len(line)
                unsaid = self._unsaid
            if unsaid and not self._lines.qsize() and self._deliver(self._loss(unsaid)):
                with self._lock:
                    self._unsaid -= unsaid
        self._output.close()

    def _deliver(self, line: bytes) -> bool:
        """Write a line, however often that has to be tried; tell whether it went before the process must end."""
        while True:
            try:
                self._output.write(line)
            except BlockingIOError:
                pause = _BUSY
            except OSError as problem:
                self._output.close()
                self._warn("audit_cannot_write", path=self._path, reason=str(problem))
                pause = _RETRY
            else:
                return True
            if time.monotonic() >= self._deadline:
                return False
            if self._closing.wait(pause):
                time.sleep(_BUSY)


class _Output:
    """The file, FIFO or standard output itself. Every method may raise OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._shared = False
        """Whether a line may go in pieces, so that writers must take turns."""
        self._rest: bytes | None = None
        self._torn = False

    def write(self, line: bytes) -> None:
        """Write a line whole; after BlockingIOError, go on with the same line."""
        file = self._opened()
        if self._shared:
            self._pass_on(file, line)
            return
        # One write of a line at the end of a regular file is whole, whoever else writes; unless the disk is full.
        text = b"\n" + line if self._torn else line
        written = os.write(file, text)
        self._torn = written < len(text)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        file, self._file, self._rest = self._file, None, None
        if file is not None:
            os.close(file)

    def _pass_on(self, file: int, line: bytes) -> None:
        """Write to what has little room: alone until the line has gone."""
        if self._rest is None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._rest = line
        while self._rest:
            self._rest = self._rest[os.write(file, self._rest) :]
        self._rest = None
        fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> int:
        if self._file is not None and self._moved(self._file):
            self.close()
        if self._file is None:
            self._file = _open_stdout() if self._path == STDOUT else _open(self._path)
            self._shared = stat.S_ISFIFO(os.fstat(self._file).st_mode)
        return self._file

    def _moved(self, file: int) -> bool:
        """Whether the path means another file by now, or none: it was rotated."""
        if self._path == STDOUT or self._shared:
            return False
        try:
            return not os.path.samestat(os.fstat(file), os.stat(self._path))  # noqa: PTH116 (pathlib has no fstat)
        except FileNotFoundError:
            return True


def _open(path: str) -> int:
    return os.open(path, _FLAGS | os.O_CREAT, 0o600)


def _open_stdout() -> int:
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        try:
            # Anew: not to wait for room must be our habit alone, not that of all who have this pipe.
            return os.open("/dev/fd/1", _FLAGS)
        except OSError:
            pass
    return os.dup(1)
