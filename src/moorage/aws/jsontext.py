"""JSON as this protocol has it: stricter than Python's reader, which takes much that is not JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from moorage.domain.errors import Malformed


def parse_json(body: bytes) -> object:
    """
    Return the value that a request body writes; an empty body is an empty object.

    Anything that is not JSON in UTF-8 raises `Malformed`: also NaN and
    Infinity, a key given twice, and nesting or numbers beyond any sense.
    """
    if not body:
        return {}
    try:
        return _DECODER.decode(body.decode())
    except RecursionError:
        raise Malformed(reason="The request body is nested too deeply") from None
    except ValueError as error:  # bad UTF-8, bad JSON, one of ours, or a number of thousands of digits
        raise Malformed(reason=f"The request body is not valid JSON: {_brief(error)}") from None


def _brief(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    # Python's own advice on long numbers speaks of its settings: no matter of the caller's.
    return "a number is too long" if "integer string conversion" in str(error) else str(error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
