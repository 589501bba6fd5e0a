"""
From what an operation returned to a JSON-able value: one closure for each shape of the model.

The values are our own, so anything that does not fit is a mistake in the
program and raises TypeError, naming the member: tests see it, clients never do.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from moorage.aws.constraints import Shape

Encoder: TypeAlias = Callable[[Any], Any]


class _NoValue:
    """The type of nothing that is encoded."""


_Plan: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, Encoder], ...]]
"""The members of a structure to leave out, and those whose values are written otherwise."""
_PLAIN: Final = {"string": str, "integer": int, "long": int, "boolean": bool}


class Encoders:
    """The encoders of a model's shapes, each compiled once."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._made: dict[str, Encoder] = {}

    def of(self, name: str) -> Encoder:
        """Return the encoder of the shape of that name."""
        if name not in self._made:
            shape = self._shapes[name]
            self._made[name] = _MAKERS[shape["type"]](self, name, shape)
        return self._made[name]

    def plain(self, name: str) -> type:
        """Return the type whose values the shape of that name takes as they are: they need no encoder."""
        return _PLAIN.get(self._shapes[name]["type"], _NoValue)


def _structure(encoders: Encoders, name: str, shape: Shape) -> Encoder:
    shapes = {member: ref["shape"] for member, ref in shape.get("members", {}).items()}
    members = {member: (encoders.plain(of), encoders.of(of)) for member, of in shapes.items()}
    plans: dict[tuple[Any, ...], _Plan] = {}

    def plan(value: Mapping[str, object]) -> _Plan:
        if unknown := value.keys() - members.keys():
            raise TypeError(f"{name} has no member {', '.join(sorted(map(str, unknown)))}")
        absent = tuple(member for member, given in value.items() if given is None)
        odd = ((member, *members[member], type(given)) for member, given in value.items() if given is not None)
        return absent, tuple((member, encode_member) for member, plain, encode_member, kind in odd if kind is not plain)

    def encode(value: object) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise TypeError(f"{name} takes a mapping, not {type(value).__name__}")
        # The same members with values of the same types come again and again: what to do with them is known by then.
        form = (*value, *map(type, value.values()))
        known = plans.get(form)
        if known is None:
            known = plans[form] = plan(value)
        absent, odd = known
        encoded = dict(value)
        for member in absent:
            del encoded[member]
        for member, encode_member in odd:
            encoded[member] = encode_member(encoded[member])
        return encoded

    return encode


def _list(encoders: Encoders, name: str, shape: Shape) -> Encoder:
    of = shape["member"]["shape"]
    plain, encode_item = encoders.plain(of), encoders.of(of)

    def encode(value: object) -> list[Any]:
        if type(value) is not list and not isinstance(value, list | tuple):
            raise TypeError(f"{name} takes a list, not {type(value).__name__}")
        return [item if type(item) is plain else encode_item(item) for item in value]

    return encode


def _map(encoders: Encoders, name: str, shape: Shape) -> Encoder:
    encode_key, encode_value = encoders.of(shape["key"]["shape"]), encoders.of(shape["value"]["shape"])

    def encode(value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} takes a mapping, not {type(value).__name__}")
        return {encode_key(key): encode_value(item) for key, item in value.items()}

    return encode


def _string(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{name} takes text, not {type(value).__name__}")
        return value

    return encode


def _integer(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} takes a whole number, not {type(value).__name__}")
        return value

    return encode


def _double(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise TypeError(f"{name} takes a finite number, not {value!r}")
        return value

    return encode


def _boolean(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"{name} takes a boolean, not {type(value).__name__}")
        return value

    return encode


def _timestamp(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> float:
        # A naive datetime would be read in the machine's own time zone.
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise TypeError(f"{name} takes an aware datetime, not {value!r}")
        return value.timestamp()

    return encode


def _blob(_encoders: Encoders, name: str, _shape: Shape) -> Encoder:
    def encode(value: object) -> str:
        if not isinstance(value, bytes):
            raise TypeError(f"{name} takes bytes, not {type(value).__name__}")
        return base64.b64encode(value).decode()

    return encode


_MAKERS: Final[Mapping[str, Callable[[Encoders, str, Shape], Encoder]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _double,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}
