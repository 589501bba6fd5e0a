"""
ECR's service model, compiled: what each operation takes, returns and may fail with.

botocore's model is data to us and botocore's code is not used here: its client
is the independent oracle of our tests, which it could not be if the server's
codec were made of it.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import botocore

from moorage.aws.decoding import Decoders
from moorage.aws.encoding import Encoders
from moorage.aws.faults import Fault
from moorage.aws.jsontext import parse_json
from moorage.aws.query import compile_query, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["TARGET_PREFIX", "Operation", "load", "parse_json", "parse_query"]

TARGET_PREFIX: Final = "AmazonEC2ContainerRegistry_V20150921."
"""What comes before the operation's name in ``X-Amz-Target``."""

_MODEL: Final = Path(botocore.__file__).parent / "data" / "ecr" / "2015-09-21"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of ECR, as its model has it."""

    name: str
    """Such as ``PutImage``."""

    parameters: Mapping[str, bool]
    """The keyword arguments that `decode` can give, each with whether it always does."""

    errors: frozenset[str]
    """The error codes that the model lists for the operation."""

    _decode: Callable[[object], dict[str, Any]] = field(repr=False)
    _read_query: Callable[[Sequence[tuple[str, str]]], dict[str, Any]] = field(repr=False)
    _encode: Callable[[Mapping[str, Any]], dict[str, Any]] = field(repr=False)

    def decode(self, document: object) -> dict[str, Any]:
        """
        Return the keyword arguments that a JSON value gives, in snake_case.

        Nested structures keep their wire names. Raises `Malformed` where a
        member has the wrong type, `InvalidParameter` where it breaks a
        constraint; of several faults, a missing member of a structure comes
        first and the rest in the order of the model.
        """
        try:
            return self._decode(document)
        except Fault as fault:
            raise fault.failure() from None

    def decode_query(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """
        Return the keyword arguments that the query of a presigned request gives.

        The pairs are decoded (see `parse_query`); the failures are those of `decode`.
        """
        try:
            return self._decode(self._read_query(pairs))
        except Fault as fault:
            raise fault.failure() from None

    def encode(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return a result, given under wire names, as JSON can write it.

        Datetimes become seconds since 1970, bytes base64; None is left out. A
        member that the model does not have, or of the wrong type, raises TypeError.
        """
        return self._encode(result)


@functools.cache
def load() -> Mapping[str, Operation]:
    """Return all operations by name; read and compiled at the first call."""
    return MappingProxyType(_compile(_document()))


def _document() -> dict[str, Any]:
    # Read directly: botocore's loader would bring its client with it, at ten times the cost of all that is done here.
    packed, plain = _MODEL / "service-2.json.gz", _MODEL / "service-2.json"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    document: dict[str, Any] = json.loads(text)
    return document


def _compile(document: Mapping[str, Any]) -> dict[str, Operation]:
    shapes = document["shapes"]
    decoders, encoders = Decoders(shapes), Encoders(shapes)
    return {name: _operation(name, entry, shapes, decoders, encoders) for name, entry in document["operations"].items()}


def _operation(
    name: str, entry: Mapping[str, Any], shapes: Mapping[str, Any], decoders: Decoders, encoders: Encoders
) -> Operation:
    shape_name = entry["input"]["shape"]
    shape = shapes[shape_name]
    names = {member: _snake(member) for member in shape.get("members", {})}
    decode_members = decoders.of(shape_name)

    def decode(document: object) -> dict[str, Any]:
        return {names[member]: value for member, value in decode_members(document).items()}

    required = frozenset(shape.get("required", ()))
    return Operation(
        name=name,
        parameters=MappingProxyType({keyword: member in required for member, keyword in names.items()}),
        errors=frozenset(error["shape"] for error in entry.get("errors", ())),
        _decode=decode,
        _read_query=compile_query(shapes, shape_name),
        _encode=encoders.of(entry["output"]["shape"]),
    )


def _snake(member: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", member).lower()
