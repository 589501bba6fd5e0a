"""What the workers of a server have in memory, as Linux counts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers import Server

KIB = 1024


def supported() -> bool:
    """Whether this system can tell."""
    return Path("/proc/self/clear_refs").exists()


def workers(server: Server) -> list[int]:
    """The process ids of a server's workers."""
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid: int, what: str) -> int:
    """Bytes of a process that are in memory now (``VmRSS``), or were at the most (``VmHWM``)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == what:
            return int(value.removesuffix("kB")) * KIB
    raise LookupError(what)


@dataclass
class Watch:
    """What each worker has at the start, and how much it grows from there at the most."""

    server: Server
    before: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin: what was the most so far is forgotten."""
        for pid in workers(self.server):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.before = {pid: resident(pid, "VmRSS") for pid in workers(self.server)}

    def growth(self) -> dict[int, int]:
        """By how many bytes each worker has grown at its largest, of which the system keeps count."""
        return {pid: resident(pid, "VmHWM") - before for pid, before in self.before.items()}
