"""What one client has asked for and what was acknowledged: by that, what may be there and what must be."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Value = str | bool | None
"""Of a tag, the digest that it stands on (None: nowhere); of an image, whether it is there."""


class Place(NamedTuple):
    """A tag of a repository, or an image of it."""

    repository: str
    name: str
    """A tag, or a digest."""

    @property
    def is_image(self) -> bool:
        """Tell an image from a tag."""
        return ":" in self.name


class Wrong(AssertionError):
    """What is there is not what was acknowledged."""


class Ledger:
    """
    The book of one client, the only one that changes its repositories.

    What was asked for and not answered may have happened or not, until somebody
    has looked. Written to a file, line by line, it outlives its client.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = path.open("a") if path else None
        self._allowed: dict[Place, set[Value]] = {}
        self.acknowledged = 0

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Return the book that another process has written."""
        ledger = cls()
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            change = {Place(*place): value for place, value in json.loads(line)["change"]}
            (ledger._acknowledge if line.startswith('{"done"') else ledger._ask)(change)
        return ledger

    @contextmanager
    def change(self, change: Mapping[Place, Value]) -> Iterator[None]:
        """Note what is asked for in the block, and when that has ended well that it was acknowledged."""
        self._ask(change)
        self._write("asked", change)
        yield
        self._acknowledge(change)
        self._write("done", change)

    def _write(self, word: str, change: Mapping[Place, Value]) -> None:
        if self._file is not None:
            # A line is handed to the system at once: it is there whatever becomes of this process.
            self._file.write(json.dumps({word: True, "change": [[list(p), v] for p, v in change.items()]}) + "\n")
            self._file.flush()

    def _ask(self, change: Mapping[Place, Value]) -> None:
        for place, value in change.items():
            before: set[Value] = {False} if place.is_image else {None}
            self._allowed.setdefault(place, before).add(value)

    def _acknowledge(self, change: Mapping[Place, Value]) -> None:
        self.acknowledged += 1
        for place, value in change.items():
            self._allowed[place] = {value}

    def allowed(self, place: Place) -> set[Value]:
        """Return what may be there."""
        return self._allowed.get(place, {False} if place.is_image else {None})

    def places(self) -> list[Place]:
        """Return all that was ever asked for."""
        return list(self._allowed)

    def unsure(self) -> list[Place]:
        """Return what somebody must look at."""
        return [place for place, values in self._allowed.items() if len(values) > 1]

    def images(self, repository: str) -> list[str]:
        """Return the digests of images that are there for sure."""
        return [p.name for p, v in self._allowed.items() if p.is_image and p.repository == repository and v == {True}]

    def tags(self, repository: str) -> dict[str, str]:
        """Return the tags that are there for sure, and where they stand."""
        found = {p.name: next(iter(v)) for p, v in self._allowed.items() if p.repository == repository and len(v) == 1}
        return {name: value for name, value in found.items() if isinstance(value, str)}

    def saw(self, place: Place, value: Value) -> None:
        """Note what is there; raises `Wrong` if that may not be."""
        if value not in self.allowed(place):
            raise Wrong(f"{place}: {value} is there, where only {self.allowed(place)} may be")
        self._allowed[place] = {value}


def images(repository: str, *there: str, gone: Any = ()) -> dict[Place, Value]:
    """Return a change of images: some come, some go."""
    came: dict[Place, Value] = {Place(repository, digest): True for digest in there}
    return came | {Place(repository, digest): False for digest in gone}


def tags(repository: str, named: Mapping[str, str | None]) -> dict[Place, Value]:
    """Return a change of tags."""
    return {Place(repository, name): digest for name, digest in named.items()}
