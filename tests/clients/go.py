"""Clients that Go builds, as unmodified as their makers release them, each in a home of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.clients.tools import Tool, missing, private_home

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "requirements" / "go-tools.list"
BIN = Path(sys.prefix) / "go-bin"
"""Where scripts/go-tools puts what it builds."""


def wanted() -> dict[str, str]:
    """Return the packages of the table, with their versions, by the name of the command."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split() for line in lines)


def find(command: str) -> str | None:
    """Return where a command is: as this checkout built it, else as the machine has it."""
    return shutil.which(command, path=f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}")


def require(command: str) -> str:
    """Return where a command is; without it the test skips, and with CI=true fails."""
    return find(command) or missing(f"not installed: {command} (scripts/go-tools builds it)")


def tool(command: str, home: Path, **variables: str) -> Tool:
    """Return a command that works in its own home and knows no settings or credentials from elsewhere."""
    home.mkdir(parents=True, exist_ok=True)
    environment = private_home(home, DOCKER_CONFIG=home / ".docker", XDG_CACHE_HOME=home / "cache", **variables)
    return Tool(("env", "-C", str(home), require(command)), environment)
