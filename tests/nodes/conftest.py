"""Fixtures: the images that other clients carry, too."""

from __future__ import annotations

from tests.clients.conftest import small

__all__ = ["small"]
