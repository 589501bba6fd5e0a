"""The fixtures of the commands' tests."""

from __future__ import annotations

from tests.cli.conftest import bench, shell, tree

__all__ = ["bench", "shell", "tree"]
