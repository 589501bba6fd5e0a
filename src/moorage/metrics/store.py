"""A store of layers whose failures are counted."""

from __future__ import annotations

import functools
from types import GeneratorType
from typing import TYPE_CHECKING, Any, cast

from moorage.registry.storage import Busy, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.storage import BlobStore


def counted(store: BlobStore, count: Callable[[str], object]) -> BlobStore:
    """Return the store, calling ``count`` with the method's name where a call of it, or of a writer, fails."""
    return cast("BlobStore", _Counted(store, count))


class _Counted:
    """Whatever another object is, with its failures counted."""

    def __init__(self, inner: Any, count: Callable[[str], object]) -> None:
        self._inner, self._count = inner, count

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        @functools.wraps(value)
        def call(*given: Any, **named: Any) -> Any:
            try:
                result = value(*given, **named)
            except (Busy, Missing):
                raise
            except Exception:
                self._count(name)
                raise
            if name == "open":
                return _Counted(result, self._count)
            return self._watched(name, result) if isinstance(result, GeneratorType) else result

        # Found without a search from now on.
        self.__dict__[name] = call
        return call

    def _watched(self, name: str, pieces: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from pieces
        except (Busy, Missing):
            raise
        except Exception:
            self._count(name)
            raise
