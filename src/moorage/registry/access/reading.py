"""From the file (TOML) to declarations: every key is known, every value has its form, every error its place."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

from moorage.domain import policies
from moorage.domain.errors import InvalidParameter
from moorage.domain.names import EntityName, is_registry_id
from moorage.registry.access.model import KINDS, OIDC, POLICY, ROLE, Declared, Misdeclared, Thing
from moorage.registry.roles import LONGEST_SESSION, SHORTEST_SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of the file, and of each that it names."""
_MAX_TAGS: Final = 50
_MAX_TAG_KEY, _MAX_TAG_VALUE = 128, 256


def read(text: str, account_id: str, folder: Path) -> list[Declared]:
    """
    Return what a file declares, an account each; raise `Misdeclared`.

    ``account_id`` is the account that sections outside of any account are
    about; files that are named are found from ``folder``.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise Misdeclared("", f"not TOML: {problem}") from None
    _known(table, {*KINDS, "accounts"}, "")
    declared = [_account(account_id, {name: table[name] for name in KINDS if name in table}, "", folder)]
    for name, section in _table(table.get("accounts", {}), "accounts").items():
        place = f"accounts.{name}"
        if not is_registry_id(name):
            raise Misdeclared(place, "an account is twelve digits")
        if name == account_id and declared[0].kinds and set(_table(section, place)) & set(KINDS):
            raise Misdeclared(place, "the sections outside of accounts are about this account already")
        declared.append(_account(name, _table(section, place), place, folder, makes=True))
    return [one for one in declared if one.kinds or one.makes]


def _account(account_id: str, section: Mapping[str, Any], place: str, folder: Path, *, makes: bool = False) -> Declared:
    _known(section, {*KINDS, *(["name"] if makes else [])}, place)
    things: dict[tuple[str, str], Thing] = {}
    for plural, kind in KINDS.items():
        if plural not in section:
            continue
        inner = f"{place}.{plural}" if place else plural
        for name, fields in _table(section[plural], inner).items():
            at = f"{inner}.{_key(name)}"
            thing = _thing(kind, name.rstrip("/") if kind == OIDC else name, _table(fields, at), at, folder)
            things[kind, thing.name] = thing
    called = _text(section["name"], f"{place}.name") if "name" in section else None
    kinds = tuple(kind for plural, kind in KINDS.items() if plural in section)
    return Declared(account_id, kinds, things, called, makes, place)


def _thing(kind: str, name: str, section: Mapping[str, Any], place: str, folder: Path) -> Thing:
    if kind != OIDC:
        try:
            EntityName.parse(name)
        except InvalidParameter as failure:
            raise Misdeclared(place, failure.message) from None
    _known(section, set(_FIELDS[kind]), place)
    fields: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for field, value in section.items():
        at, form = f"{place}.{field}", _FIELDS[kind][field]
        if form is _document:
            texts[field], fields[field] = _document(value, at, folder)
        else:
            fields[field] = form(value, at)
    _check(kind, fields, texts, place)
    return Thing(kind, name, fields, texts, place)


def _check(kind: str, fields: Mapping[str, Any], texts: Mapping[str, str], place: str) -> None:
    """Refuse policies that cannot be, before anything is done."""
    field = "trust" if kind == ROLE else "document"
    if kind == POLICY and "document" not in fields:
        raise Misdeclared(place, "document is missing")
    if field in texts:
        try:
            policies.parse(texts[field], policies.Kind.TRUST if field == "trust" else policies.Kind.IDENTITY)
        except policies.PolicyError as problem:
            raise Misdeclared(f"{place}.{field}", problem.detail) from None


# --- Values ---------------------------------------------------------------------------


def _known(section: Mapping[str, Any], names: set[str], place: str) -> None:
    for name in section:
        if name not in names:
            at = f"{place}.{_key(name)}" if place else _key(name)
            raise Misdeclared(at, f"is not known here; there are {', '.join(sorted(names))}")


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misdeclared(place, "must be a table")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise Misdeclared(place, "must be text")
    return value


def _optional(value: object, place: str) -> str | None:
    return _text(value, place) or None


def _names(value: object, place: str) -> list[str]:
    """Return a list whose order means nothing."""
    if not isinstance(value, list):
        raise Misdeclared(place, "must be a list of names")
    return sorted({_text(one, f"{place}[{index}]") for index, one in enumerate(value)})


def _seconds(value: object, place: str) -> int:
    if not isinstance(value, int) or not SHORTEST_SESSION <= value <= LONGEST_SESSION:
        raise Misdeclared(place, f"must be a number of seconds between {SHORTEST_SESSION} and {LONGEST_SESSION}")
    return value


def _tags(value: object, place: str) -> dict[str, str]:
    tags = _table(value, place)
    for key, text in tags.items():
        if not 1 <= len(key) <= _MAX_TAG_KEY or len(_text(text, f"{place}.{_key(key)}")) > _MAX_TAG_VALUE:
            raise Misdeclared(f"{place}.{_key(key)}", "is too long for a tag")
    if len(tags) > _MAX_TAGS:
        raise Misdeclared(place, f"there can be {_MAX_TAGS} tags at most")
    return tags


def _document(value: object, place: str, folder: Path) -> tuple[str, Any]:
    """Return a JSON document and what it says: written as a table, as JSON text, or in a file that is named."""
    if isinstance(value, dict) and set(value) == {"file"}:
        value = _file(folder / _text(value["file"], f"{place}.file"), place)
    elif isinstance(value, dict):
        try:
            value = json.dumps(value, indent=2, allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise Misdeclared(place, f"cannot be JSON: {problem}") from None
    text = _text(value, place)
    try:
        return text, json.loads(text) if text else None
    except (ValueError, RecursionError) as problem:
        raise Misdeclared(place, f"not JSON: {problem}") from None


def _file(path: Path, place: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            raise Misdeclared(place, f"{path} has more than {MAX_FILE} bytes")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise Misdeclared(place, f"{path} cannot be read: {problem}") from None


def _key(name: str) -> str:
    """Return a key as TOML writes it."""
    return name if name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name) else json.dumps(name)


_FIELDS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "policy": {"document": _document},
    "group": {"policies": _names},
    "user": {"groups": _names, "policies": _names, "boundary": _optional, "tags": _tags},
    "role": {"trust": _document, "max_session": _seconds, "policies": _names, "boundary": _optional},
    "oidc": {"audiences": _names, "keys": _document, "keys_url": _optional},
}
"""What can be said of each kind, and the form of it."""
