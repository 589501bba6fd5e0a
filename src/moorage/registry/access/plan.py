"""In what the rows of an account differ from what is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.registry.access.model import ACCOUNT, KINDS, Change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moorage.registry.access.model import Declared, Thing

_LAST_FIRST: Final = ("user", "role", "group", "oidc", "policy")
"""The order in which things go: those that name others before those that they name."""


def plan(
    declared: Declared, there: Mapping[tuple[str, str], Thing] | None, name: str | None, *, prune: bool
) -> list[Change]:
    """
    Return the changes that make the rows what is declared, in an order in which they can be carried out.

    ``there`` is what the account has, None for an account that is not there;
    ``name`` its name. With ``prune`` what the file does not name goes, of the
    kinds that it speaks of.
    """
    changes = [*_of_account(declared, name, made=there is None)]
    there = there or {}
    for kind in KINDS.values():
        changes += [
            change for thing in declared.things.values() if thing.kind == kind for change in _of(thing, declared, there)
        ]
    if prune:
        for kind in _LAST_FIRST:
            changes += [
                Change("delete", declared.account_id, kind, thing.name, thing.fields, {})
                for key, thing in there.items()
                if thing.kind == kind and kind in declared.kinds and key not in declared.things
            ]
    return changes


def _of_account(declared: Declared, name: str | None, *, made: bool) -> Iterator[Change]:
    account_id, wanted = declared.account_id, declared.name or None
    if made:
        yield Change("create", account_id, ACCOUNT, account_id, {}, {"name": wanted})
    elif declared.name is not None and wanted != name:
        yield Change("update", account_id, ACCOUNT, account_id, {"name": name}, {"name": wanted})


def _of(thing: Thing, declared: Declared, there: Mapping[tuple[str, str], Thing]) -> Iterator[Change]:
    known = there.get((thing.kind, thing.name))
    if known is None:
        yield Change("create", declared.account_id, thing.kind, thing.name, {}, thing.fields, thing)
        return
    after = {field: value for field, value in thing.fields.items() if value != known.fields[field]}
    if after:
        before = {field: known.fields[field] for field in after}
        yield Change("update", declared.account_id, thing.kind, thing.name, before, after, thing)
