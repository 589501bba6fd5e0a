"""
Locations in an object store: the stem of an upload, and the objects that its bytes are in.

An object cannot be appended to, so what each request of an upload brought is
an object of its own, whose name nobody else has or will have. The location is
the list of them: ``ab/<upload id>.<name>-<size>.<name>-<size>``.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEM: Final = r"[0-9a-f]{2}/[0-9a-f-]{36}"
_NAME: Final = r"[0-9a-f]{16}"
_LOCATION_RE: Final = re.compile(rf"({_STEM})((?:\.{_NAME}-[0-9]{{1,14}})*)")
_KEY_RE: Final = re.compile(rf"{_STEM}\.{_NAME}")


@dataclass(frozen=True, slots=True)
class Piece:
    """One object."""

    key: str
    size: int
    """Length in bytes."""

    @property
    def location(self) -> str:
        """The location of these bytes alone."""
        return f"{self.key}-{self.size}"


@dataclass(frozen=True, slots=True)
class Location:
    """The bytes of an upload or a layer: its pieces, in order."""

    stem: str
    pieces: tuple[Piece, ...]

    @classmethod
    def parse(cls, text: str) -> Location:
        """Return what a row says; raise ValueError if it is of another making."""
        match = _LOCATION_RE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a location of this store: {text[:100]!r}")
        stem, rest = match.groups()
        named = (item.split("-") for item in rest.split(".")[1:])
        return cls(stem, tuple(Piece(f"{stem}.{name}", int(size)) for name, size in named))

    def with_pieces(self, pieces: Sequence[Piece]) -> str:
        """Return the text of a location of the same upload."""
        return self.stem + "".join(piece.location.removeprefix(self.stem) for piece in pieces)

    def new_key(self) -> str:
        """Return the key of an object that nobody has tried to make."""
        return f"{self.stem}.{secrets.token_hex(8)}"

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(piece.size for piece in self.pieces)


def is_key(text: str) -> bool:
    """Tell whether an object's key is one that we make."""
    return _KEY_RE.fullmatch(text) is not None
