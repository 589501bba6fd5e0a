"""JSON, with what JSON leaves open decided: no duplicate keys, no NaN, no lone surrogates, a bounded size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NoReturn

from moorage.domain.policies.model import PolicyError

MAX_LENGTH: Final = 10_240
"""Characters in a policy document, for every kind (ECR's limit for repository and registry policies)."""


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written: no precision is lost, and no huge integer is ever computed."""

    text: str


def load(text: str) -> object:
    """Decode a document; raise `PolicyError` if it is not plain JSON of at most `MAX_LENGTH` characters."""
    if len(text) > MAX_LENGTH:
        raise PolicyError(f"the document has {len(text)} characters, more than {MAX_LENGTH}")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise PolicyError(f"not JSON: {error}") from None
    except RecursionError:
        raise PolicyError("not JSON: nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise PolicyError(f"duplicate key {show(key)}")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise PolicyError(f"{name} is not JSON")


def show(value: object) -> str:
    """Write a value for an error: in ASCII, on one line, and short."""
    return ascii(value)[:80]


def mapping(value: object, where: str) -> dict[str, object]:
    """Return a JSON object; raise `PolicyError` for anything else."""
    if not isinstance(value, dict):
        raise PolicyError(f"{where}: must be an object, not {show(value)}")
    return value


def text(value: object, where: str) -> str:
    """Return a JSON string; raise `PolicyError` for anything else, or if it cannot be encoded."""
    if not isinstance(value, str):
        raise PolicyError(f"{where}: must be a string, not {show(value)}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise PolicyError(f"{where}: has half a character: {show(value)}")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """Return a string, or a list with at least one string, as a tuple."""
    if not isinstance(value, list):
        return (text(value, where),)
    if not value:
        raise PolicyError(f"{where}: must not be empty")
    return tuple(text(entry, where) for entry in value)


def scalars(value: object, where: str) -> tuple[str, ...]:
    """As `texts`, with numbers and booleans taken as they are written: what a condition compares with."""
    entries = value if isinstance(value, list) else [value]
    return texts([_scalar(entry) for entry in entries], where)


def _scalar(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Number) else value
