"""What the system says of this process."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

_PAGE: Final = resource.getpagesize()


def read() -> dict[str, float]:
    """Return gauges of this process: processor time, memory, open files. Summed over workers by who reads them."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    values: dict[str, float] = {"workers": 1, "process_cpu_seconds": used.ru_utime + used.ru_stime}
    try:
        values["process_resident_memory_bytes"] = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
        values["process_open_fds"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone are enough)
    except OSError:
        # Not Linux: the peak is all there is, and only macOS counts it in bytes.
        values["process_resident_memory_bytes"] = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return values
