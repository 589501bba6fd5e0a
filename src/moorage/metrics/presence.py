"""Whether anybody asks anything of a server, as all its workers see it: long work need not make room for nobody."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from moorage.metrics.folder import Folder

_OFTEN: Final = 0.1
"""Seconds between two notes of one worker: a note costs as much as opening a file."""
_GONE: Final = 3.0
"""Seconds after which who asked last has gone. A worker notes at least once a second that requests are in progress."""


class Presence:
    """When a request was last answered or in progress, kept as the time of a file that all workers see."""

    def __init__(self, folder: Folder) -> None:
        self._file = folder.path / "asked"
        self._noted = 0.0

    def note(self) -> None:
        """Note that somebody is there. Where that cannot be written, nobody is seen, and long work makes no room."""
        now = time.monotonic()
        if now - self._noted < _OFTEN:
            return
        self._noted = now
        with contextlib.suppress(OSError):
            try:
                os.utime(self._file)
            except FileNotFoundError:
                self._file.touch()

    def is_anybody(self) -> bool:
        """Whether somebody was there within the last seconds."""
        try:
            noted = self._file.stat().st_mtime
        except FileNotFoundError:
            return False
        # A clock that was set back shows nothing of when that was.
        return time.time() - noted <= _GONE
