"""Lets the client of 2017 run, unpatched, on today's Python: put this folder on its PYTHONPATH."""

import collections.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import Any


class OldFinders:
    """Asks the import hooks that predate ``find_spec``, which Python 3.12 no longer does."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG004 (given by name)
        """The spec of a module that only an old hook can find."""
        finder: Any
        for finder in sys.meta_path:
            if not hasattr(finder, "find_spec") and (loader := finder.find_module(name, path)):
                return importlib.util.spec_from_loader(name, loader)
        return None


for abstract in ("Callable", "Mapping", "MutableMapping", "Sequence"):
    setattr(collections, abstract, getattr(collections.abc, abstract))
sys.meta_path.append(OldFinders)
