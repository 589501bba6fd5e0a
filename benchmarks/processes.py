"""What the system knows of a process and of those that it started: processor time, memory."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of ``/proc/<pid>/stat`` behind the name, which may hold anything."""


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all that stem from it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that the processes of a tree have used."""
    ticks = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[_USER]) + int(fields[_SYSTEM])
    return ticks / _TICKS


def memory(pid: int) -> int:
    """Return the proportional set size of a tree, in bytes: what is shared is counted once."""
    return sum(sizes(pid).values())


def sizes(pid: int) -> dict[int, int]:
    """Return the proportional set size of each process of a tree, in bytes."""
    found = {}
    for one in tree(pid):
        with contextlib.suppress(OSError):
            match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE)
            found[one] = int(match[1]) * 1024 if match else 0
    return found
