"""The programs that people use, run as people run them: what they say, and whether they succeed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.servers import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120
# What would lead a tool to settings, credentials or an engine that are not the tests'.
CONFIGURE = ("BUILDAH_", "CONTAINER", "DOCKER_", "REGISTRY_", "STORAGE_")


def missing(reason: str) -> NoReturn:
    """Skip the test for want of something; with ``CI=true`` nothing may be wanting, so fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and with CI=true nothing may be missing", pytrace=False)
    pytest.skip(reason)


def require(*names: str) -> None:
    """Go on only if every one of these programs is installed."""
    absent = [name for name in names if shutil.which(name) is None]
    if absent:
        missing(f"not installed: {', '.join(absent)} (scripts/test-tools brings what it can)")


def require_root(why: str) -> None:
    """Go on only as root."""
    if os.geteuid() != 0:
        missing(f"{why}, which needs root")


@dataclass(frozen=True)
class Tool:
    """A program with the words that every call begins with, and its environment."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=clean_environment)

    def with_environment(self, **variables: str) -> Tool:
        """Return the same tool with further environment variables."""
        return replace(self, environment=self.environment | variables)

    def call(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the tool to its end, whatever that is."""
        command = [*self.command, *map(str, arguments)]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            input=stdin or "",
            env=self.environment,
            timeout=PATIENCE,
        )

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run the tool, which must succeed; return what it printed."""
        done = self.call(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(map(str, done.args))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def refused(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run the tool, which must fail; return all that it said."""
        done = self.call(*arguments, stdin=stdin)
        said = done.stdout + done.stderr
        assert done.returncode != 0, f"{' '.join(map(str, done.args))} succeeded:\n{said}"
        return said


def private_home(folder: Path, **variables: Any) -> dict[str, str]:
    """Return an environment in which a tool keeps, and finds, its settings and credentials in one folder only."""
    runtime = folder / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    base = {k: v for k, v in clean_environment().items() if not k.startswith(CONFIGURE)}
    home = {"HOME": folder, "XDG_RUNTIME_DIR": runtime, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder / "data"}
    return base | {name: str(value) for name, value in (home | variables).items()}
