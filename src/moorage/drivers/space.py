"""Disks: how much is free, and what it looks like when nothing is."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from moorage.domain.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


def free_bytes(folder: Path) -> int:
    """Return the bytes that may still be written to a folder's disk. Takes microseconds."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@contextmanager
def telling_when_full() -> Iterator[None]:
    """Raise `StorageFull` in the place of an OSError that says so."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in _FULL:
            raise
        raise StorageFull from problem
