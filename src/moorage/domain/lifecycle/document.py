"""
A lifecycle policy's text: read, checked in ECR's order and words, compiled.

ECR reads the text into its own types, then checks it by a JSON schema, then by
rules between fields; the first thing wrong is the one that is told.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moorage.domain.lifecycle import consistency
from moorage.domain.lifecycle.problems import LifecyclePolicyError, failed, unreadable
from moorage.domain.lifecycle.rules import Action, CountType, Rule, StorageClass, TagStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

    from moorage.domain.lifecycle.rules import Policy

__all__ = ["LifecyclePolicyError", "compact", "parse"]

MAX_RULES: Final = 50
_LARGEST: Final = 2**31 - 1
_RULE: Final = {"rulePriority": int, "description": str, "selection": dict, "action": dict}
_SELECTION: Final = {
    "tagStatus": str,
    "tagPatternList": list,
    "tagPrefixList": list,
    "storageClass": str,
    "countType": str,
    "countUnit": str,
    "countNumber": int,
}
_ACTION: Final = {"type": str, "targetStorageClass": str}
_UNITS: Final = ("days",)
_TARGETS: Final = ("archive",)


def compact(text: str) -> str:
    """Return a valid policy's text as ECR keeps it: without insignificant white space, its keys in order."""
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def parse(text: str) -> Policy:
    """
    Check and compile a lifecycle policy (PutLifecyclePolicy; its length is the caller's to check).

    Raises `LifecyclePolicyError` with what ECR says of the first thing wrong;
    no text makes it raise anything else.
    """
    document = _load(text)
    _only(document, {"rules"})
    rules = document.get("rules")
    if not isinstance(rules, list):
        raise failed('object has missing required properties (["rules"])')
    _length(rules, MAX_RULES)
    for rule in rules:
        if not isinstance(rule, dict):
            raise failed(
                f'instance type ({_kind(rule)}) does not match any allowed primitive type (allowed: ["object"])'
            )
    for rule in rules:
        _check_shape(rule)
    compiled = tuple(sorted((_compile(rule) for rule in rules), key=lambda rule: rule.priority))
    consistency.check(compiled)
    return compiled


def _load(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_no_constant)
        # Half a surrogate pair could not be stored.
        compact(text).encode()
    except (ValueError, RecursionError):
        raise unreadable() from None
    if not isinstance(document, dict):
        raise unreadable()
    return document


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _check_shape(rule: Mapping[str, Any]) -> None:
    """Check one rule by types, then by the schema."""
    _types(rule, _RULE)
    selection, action = rule.get("selection"), rule.get("action")
    if selection is not None:
        _types(selection, _SELECTION)
        for name in ("tagPatternList", "tagPrefixList"):
            if not all(isinstance(entry, str) for entry in selection.get(name, [])):
                raise unreadable()
    if action is not None:
        _types(action, _ACTION)
        if action.get("type") == Action.TRANSITION and "targetStorageClass" not in action:
            raise unreadable()
    _only(rule, _RULE)
    _require(rule, ("action", "rulePriority", "selection"))
    _minimum(rule["rulePriority"])
    _check_selection(rule["selection"])
    _check_action(rule["action"])


def _check_selection(selection: Mapping[str, Any]) -> None:
    _only(selection, _SELECTION)
    _require(selection, ("countNumber", "countType", "tagStatus"))
    _one_of(selection["tagStatus"], TagStatus)
    _one_of(selection.get("storageClass", StorageClass.STANDARD), StorageClass)
    _one_of(selection["countType"], CountType)
    _one_of(selection.get("countUnit", "days"), _UNITS)
    _minimum(selection["countNumber"])
    counts_images = selection["countType"] == CountType.IMAGES
    if counts_images == ("countUnit" in selection):
        raise failed("instance failed to match exactly one schema (matched 0 out of 4)")


def _check_action(action: Mapping[str, Any]) -> None:
    _only(action, _ACTION)
    _require(action, ("type",))
    _one_of(action["type"], Action)
    if "targetStorageClass" in action:
        _one_of(action["targetStorageClass"], _TARGETS)
        if action["type"] == Action.EXPIRE:
            raise failed("instance failed to match exactly one schema (matched 0 out of 2)")


def _compile(rule: Mapping[str, Any]) -> Rule:
    selection = rule["selection"]
    compiled = Rule(
        priority=rule["rulePriority"],
        status=TagStatus(selection["tagStatus"]),
        prefixes=tuple(selection.get("tagPrefixList", ())),
        patterns=tuple(selection.get("tagPatternList", ())),
        storage=StorageClass(selection.get("storageClass", StorageClass.STANDARD)),
        count=CountType(selection["countType"]),
        number=selection["countNumber"],
        action=Action(rule["action"]["type"]),
        description=rule.get("description"),
    )
    consistency.check_lists(compiled, given={name for name in ("tagPrefixList", "tagPatternList") if name in selection})
    return compiled


# --- The schema, in the words of the validator that ECR's answers show ----------------


def _types(given: Mapping[str, Any], members: Mapping[str, type]) -> None:
    for name, kind in members.items():
        if name in given:
            value = given[name]
            if type(value) is not kind or (isinstance(value, int) and abs(value) > _LARGEST):
                raise unreadable()


def _only(given: Mapping[str, Any], known: Iterable[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise failed(f"object instance has properties which are not allowed by the schema: ({_listed(unknown)})")


def _require(given: Mapping[str, Any], names: Iterable[str]) -> None:
    if missing := [name for name in names if name not in given]:
        raise failed(f"object has missing required properties ({_listed(missing)})")


def _one_of(value: str, known: Iterable[str] | type[StrEnum]) -> None:
    names = sorted(known)
    if value not in names:
        raise failed(f'instance value ("{value}") not found in enum (possible values: {_listed(names)})')


def _listed(names: list[str]) -> str:
    return json.dumps(names, separators=(",", ":"))


def _minimum(value: int) -> None:
    if value < 1:
        raise failed(f"numeric instance is lower than the required minimum (minimum: 1, found: {value})")


def _length(rules: list[Any], most: int) -> None:
    if len(rules) > most:
        raise failed(f"array is too long: must have at most {most} elements but instance has {len(rules)} elements")
    if not rules:
        raise failed("array is too short: must have at least 1 elements but instance has 0 elements")


def _kind(value: object) -> str:
    """Return JSON's name of a value's type."""
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", type(None): "null"}
    return names[type(value)]
