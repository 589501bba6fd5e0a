"""
From a JSON value to a checked Python value: one closure for each shape of the model.

Structures stay dictionaries under their wire names, timestamps become aware
datetimes, blobs bytes. Members that the model does not have are ignored, and
``null`` is the same as not being there.
"""

from __future__ import annotations

import binascii
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from moorage.aws.constraints import length_checks, text_checks, value_checks
from moorage.aws.faults import Broken, Fault, Unreadable, WrongType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.aws.constraints import Shape

    Decoder: TypeAlias = Callable[[object], Any]

_BITS: Final = {"integer": 32, "long": 64}


class Decoders:
    """The decoders of a model's shapes, each compiled once."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._made: dict[str, Decoder] = {}

    def of(self, name: str) -> Decoder:
        """Return the decoder of the shape of that name; it raises `Fault` for a value that will not do."""
        if name not in self._made:
            shape = self._shapes[name]
            self._made[name] = _MAKERS[shape["type"]](self, name, shape)
        return self._made[name]


def _structure(decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    members = tuple((member, decoders.of(ref["shape"])) for member, ref in shape.get("members", {}).items())
    needed = frozenset(shape.get("required", ()))
    required = tuple(member for member, _ in members if member in needed)

    def decode(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise WrongType("an object", value)
        for member in required:
            if value.get(member) is None:
                raise _at(Broken("null"), member)
        decoded = {}
        for member, decode_member in members:
            given = value.get(member)
            if given is not None:
                try:
                    decoded[member] = decode_member(given)
                except Fault as fault:
                    raise _at(fault, member) from None
        return decoded

    return decode


def _list(decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    checks = length_checks(shape)
    decode_item = decoders.of(shape["member"]["shape"])

    def decode(value: object) -> list[Any]:
        if type(value) is not list:
            raise WrongType("a list", value)
        for check in checks:
            check(value)
        decoded: list[Any] = []
        try:
            for item in value:
                decoded.append(decode_item(_present(item)))  # noqa: PERF401 (its length tells where a fault is)
        except Fault as fault:
            raise _at(fault, f"{len(decoded) + 1}.member") from None
        return decoded

    return decode


def _map(decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    checks = length_checks(shape)
    decode_key, decode_value = decoders.of(shape["key"]["shape"]), decoders.of(shape["value"]["shape"])

    def decode(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise WrongType("an object", value)
        for check in checks:
            check(value)
        decoded = {}
        for number, (key, item) in enumerate(value.items(), 1):
            try:
                decoded[decode_key(key)] = decode_value(_present(item))
            except Fault as fault:
                raise _at(fault, f"{number}.member") from None
        return decoded

    return decode


def _string(_decoders: Decoders, name: str, shape: Shape) -> Decoder:
    checks = text_checks(name, shape)

    def decode(value: object) -> str:
        if type(value) is not str:
            raise WrongType("a string", value)
        if not value.isascii():
            _refuse_surrogates(value)
        for check in checks:
            check(value)
        return value

    return decode


def _integer(_decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    checks = value_checks(shape)
    bits = _BITS[shape["type"]]
    bound = 1 << (bits - 1)

    def decode(value: object) -> int:
        # `type`, not `isinstance`: to Python true is an integer, to JSON it is not.
        if type(value) is not int:
            raise WrongType("a whole number", value)
        if not -bound <= value < bound:
            raise Unreadable(f"does not fit in {bits} bits")
        for check in checks:
            check(value)
        return value

    return decode


def _double(_decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    checks = value_checks(shape)

    def decode(value: object) -> float:
        number = _finite(value)
        for check in checks:
            check(number)
        return number

    return decode


def _boolean(_decoders: Decoders, _name: str, _shape: Shape) -> Decoder:
    def decode(value: object) -> bool:
        if type(value) is not bool:
            raise WrongType("a boolean", value)
        return value

    return decode


def _timestamp(_decoders: Decoders, _name: str, _shape: Shape) -> Decoder:
    def decode(value: object) -> datetime:
        try:
            return datetime.fromtimestamp(_finite(value), UTC)
        except (ValueError, OverflowError, OSError):
            raise Unreadable("is outside the range of times") from None

    return decode


def _blob(_decoders: Decoders, _name: str, shape: Shape) -> Decoder:
    checks = length_checks(shape)

    def decode(value: object) -> bytes:
        if type(value) is not str:
            raise WrongType("a string in base64", value)
        try:
            data = binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            raise Unreadable("is not base64") from None
        for check in checks:
            check(data)
        return data

    return decode


def _present(item: object) -> object:
    if item is None:
        raise Broken("null")
    return item


def _finite(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        raise WrongType("a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unreadable("is not a finite number")
    return number


def _refuse_surrogates(value: str) -> None:
    # JSON can write half a surrogate pair ("\ud800"): it is no character, and nothing could store or send it.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unreadable("is not Unicode text") from None


def _at(fault: Fault, step: str) -> Fault:
    fault.steps.append(step)
    return fault


_MAKERS: Final[Mapping[str, Callable[[Decoders, str, Shape], Decoder]]] = {
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
