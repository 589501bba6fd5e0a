"""
The arguments of a presigned request, which are in its query.

botocore moves the members of the JSON body into the query: a list is a
repeated key, a boolean ``True``, a blob base64, and a structure -- because
Python's ``str`` wrote it -- the ``repr`` of a dictionary. Here that becomes
again what the JSON body would have held, and is decoded as that.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

from moorage.aws.faults import Fault, Unreadable
from moorage.aws.jsontext import parse_json
from moorage.domain.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from moorage.aws.constraints import Shape

    Reader: TypeAlias = Callable[[str], object]

_MAX_LITERAL: Final = 64 * 1024
"""Characters of one structure: more does not fit in a request line of our server."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")

# What `repr` writes for a value that came from JSON, and no other Python: no names, calls, operators or tuples. The
# quantifiers are possessive, so that the time is linear; nesting is bounded by Python's tokenizer.
_LITERAL: Final = re.compile(
    r"""
    (?: [\[\]{}:,\ ]
      | True | False | None
      | -?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:e[+-]?[0-9]{1,3})?
      | '(?: [^'\\\n] | \\(?:[\\'"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}) )*+'
      | "(?: [^"\\\n] | \\(?:[\\'"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}) )*+"
    )*+
    """,
    re.VERBOSE,
)


def parse_query(query: str) -> list[tuple[str, str]]:
    """
    Return the pairs of a raw query string, decoded.

    ``+`` is a plus: SigV4 writes a space as ``%20``. Raises `Malformed` for
    what is not UTF-8.
    """
    try:
        return [(_unquote(key), _unquote(value)) for key, value in _split(query)]
    except UnicodeError:
        raise Malformed(reason="The query is not UTF-8 text") from None


def _split(query: str) -> list[tuple[str, str]]:
    parts = [pair.partition("=") for pair in query.split("&") if pair]
    return [(key, value) for key, _, value in parts]


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text


def compile_query(shapes: Mapping[str, Shape], name: str) -> Callable[[Sequence[tuple[str, str]]], dict[str, Any]]:
    """
    Return the function that turns decoded pairs into the JSON value of the input shape of that name.

    Pairs that no member has -- ``X-Amz-*`` among them -- are ignored. It raises
    `Fault` for a member given twice, and for a value that cannot be read.
    """
    readers = {member: _reader(shapes, shapes[ref["shape"]]) for member, ref in shapes[name].get("members", {}).items()}

    def read(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for key, value in pairs:
            if key in readers:
                repeats, reader = readers[key]
                try:
                    _add(document, key, reader(value), repeats=repeats)
                except Fault as fault:
                    fault.steps.append(key)
                    raise
        return document

    return read


def _add(document: dict[str, Any], key: str, value: object, *, repeats: bool) -> None:
    if repeats:
        document.setdefault(key, []).append(value)
    elif key in document:
        raise Unreadable("is given more than once")
    else:
        document[key] = value


def _reader(shapes: Mapping[str, Shape], shape: Shape) -> tuple[bool, Reader]:
    """Return whether a member may be repeated, and the reader of one of its values."""
    if shape["type"] == "list":
        return True, _READERS[shapes[shape["member"]["shape"]]["type"]]
    return False, _READERS[shape["type"]]


def _boolean(text: str) -> bool:
    if text not in {"True", "true", "False", "false"}:
        raise Unreadable("is not a boolean")
    return text in {"True", "true"}


def _integer(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise Unreadable("is not a whole number")
    return int(text)


def _number(text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise Unreadable("is not a number")
    return float(text)


def _nested(text: str) -> object:
    if len(text) > _MAX_LITERAL:
        raise Unreadable("is too long for a query")
    try:
        return parse_json(text.encode())
    except (Malformed, UnicodeError):
        return _literal(text)


def _literal(text: str) -> object:
    if _LITERAL.fullmatch(text) is None:
        raise Unreadable("is neither JSON nor the form that botocore writes")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise Unreadable("is neither JSON nor the form that botocore writes") from None


_READERS: Final[Mapping[str, Reader]] = {
    "string": str,
    "blob": str,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "double": _number,
    "float": _number,
    "timestamp": _number,
    "structure": _nested,
    "map": _nested,
    "list": _nested,
}
