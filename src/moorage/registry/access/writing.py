"""From declarations to the file: what there is, as `reading` reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moorage.registry.access.model import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moorage.registry.access.model import Thing


def write(account_id: str | None, name: str | None, things: Mapping[tuple[str, str], Thing]) -> str:
    """Return TOML that declares these things of an account; without one, of the account that it is applied to."""
    prefix = f"accounts.{account_id}." if account_id else ""
    lines = [f"[accounts.{account_id}]", *([f"name = {_text(name)}"] if name else []), ""] if account_id else []
    for plural, kind in KINDS.items():
        lines += [f"[{prefix}{plural}]", ""]
        for thing in (one for one in things.values() if one.kind == kind):
            lines += [f"[{prefix}{plural}.{_text(thing.name)}]", *_fields(thing), ""]
    return "\n".join(lines)


def _fields(thing: Thing) -> Iterator[str]:
    for field, value in thing.fields.items():
        if value is None or value == {}:
            continue
        if field in thing.texts:
            yield f"{field} = {_document(value)}"
        elif isinstance(value, dict):
            yield f"{field} = {{ {', '.join(f'{_text(key)} = {_text(text)}' for key, text in value.items())} }}"
        elif isinstance(value, list):
            yield f"{field} = [{', '.join(map(_text, value))}]"
        else:
            yield f"{field} = {value if isinstance(value, int) else _text(value)}"


def _document(value: Any) -> str:
    """Return a document as JSON of several lines, where TOML can hold it so."""
    text = json.dumps(value, indent=2, ensure_ascii=True)
    return f"'''\n{text}'''" if "'''" not in text and "\x7f" not in text else _text(json.dumps(value))


def _text(value: str) -> str:
    """Return TOML's form of a text: JSON's, but that TOML wants DEL escaped and knows no halves of surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
