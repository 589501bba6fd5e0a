"""Resource tags: the keys and values that a repository may carry, for policies and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.domain.errors import InvalidTagParameter, TooManyTags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TAGS: Final = 50
_MAX_KEY: Final = 128
_MAX_VALUE: Final = 256
"""Characters."""


def check(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return resource tags as a mapping; raise `InvalidTagParameter` or `TooManyTags`."""
    checked: dict[str, str] = {}
    for tag in tags:
        key, value = tag["Key"], tag["Value"]
        fine = 1 <= len(key) <= _MAX_KEY and len(value) <= _MAX_VALUE
        if not fine or key.lower().startswith("aws:") or key in checked:
            raise InvalidTagParameter
        checked[key] = value
    require_few(checked)
    return checked


def require_few(tags: Mapping[str, str]) -> None:
    """Raise `TooManyTags` for more than a repository may carry."""
    if len(tags) > MAX_TAGS:
        raise TooManyTags(limit=MAX_TAGS)
