"""
Moorage: a container registry that anyone can run and that behaves as Amazon ECR does.

The public names are imported when first used, so that ``import moorage``
costs nothing and the command line starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moorage.app import create_app
    from moorage.config import Settings
    from moorage.registry.core import Registry
    from moorage.session import Session

__version__ = "0.1.0"

__all__ = ["Registry", "Session", "Settings", "__version__", "create_app"]

_HOMES = {
    "Registry": "moorage.registry.core",
    "Session": "moorage.session",
    "Settings": "moorage.config",
    "create_app": "moorage.app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
