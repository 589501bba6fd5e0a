"""``moorage apply``: make access what a file says, all of it or nothing."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.opened import writing
from moorage.cli.options import fail
from moorage.cli.output import print_json, wants_json
from moorage.registry import access, accounts
from moorage.registry.access.reading import MAX_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.registry.access import Change
    from moorage.registry.core import Context

_SIGNS: Final = {"create": "+", "update": "~", "delete": "-"}
_COLOURS: Final = {"+": "green", "~": "yellow", "-": "red"}
_DIFFERS: Final = 1


class _Undone(Exception):
    """The transaction is to be undone, because nothing should change."""


def apply(
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(help="File (TOML) that says what access there is, or -."),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; end with status 1 if anything would change.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what the file does not name, of the sections that it has.")
    ] = False,
) -> None:
    """
    Make accounts, users, groups, roles, issuers and policies what a file says: all of it, or nothing.

    Applying the same file again changes nothing. What the file does not
    mention stays as it is, unless --prune is given.
    """
    name = getattr(file, "name", "<stdin>")
    text, folder = _text(file, name), Path() if name.startswith("<") else Path(name).parent
    changes: list[Change] = []
    try:
        with writing(any_account=True) as ctx:
            changes = _apply(ctx, text, folder, prune=prune)
            changing = bool(changes) and not dry_run
            if ctx.entry is not None:
                ctx.entry.kept, ctx.entry.answer = changing, {"changes": [change.as_json() for change in changes]}
            if not changing:
                raise _Undone
    except _Undone:
        pass
    except access.Misdeclared as problem:
        fail(f"{name}: {problem}")
    if wants_json.get():
        print_json({"applied": not dry_run, "changes": [change.as_json() for change in changes]})
    else:
        _show(changes, dry_run=dry_run)
    if dry_run and changes:
        raise typer.Exit(_DIFFERS)


def _text(file: typer.FileBinaryRead, name: str) -> str:
    raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        fail(f"{name} has more than {MAX_FILE} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as problem:
        fail(f"{name}: not TOML: {problem}")


def _apply(ctx: Context, text: str, folder: Path, *, prune: bool) -> list[Change]:
    """Carry out what a file says; return what that changed."""
    changes: list[Change] = []
    for declared in sorted(access.read(text, ctx.registry_id, folder), key=lambda one: one.account_id):
        there = accounts.find(ctx.tx, declared.account_id, lock=True)
        if there is None and not declared.makes:
            accounts.require(ctx.tx, declared.account_id)
        known = None if there is None else access.state(ctx.at(declared.account_id))
        changes += access.plan(declared, known, there.name if there else None, prune=prune)
    access.carry_out(ctx, changes)
    return changes


# --- What is printed ------------------------------------------------------------------


def _show(changes: Sequence[Change], *, dry_run: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.text import Text  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False)
    account = None
    for change in changes:
        if change.account_id != account:
            account = change.account_id
            console.print(f"account {account}")
        for line in _lines(change):
            console.print(Text(line, _COLOURS.get(line.strip()[:1], "")))
    counts = {action: sum(change.action == action for change in changes) for action in _SIGNS}
    said = ", ".join(f"{count} to {action}" if dry_run else f"{count} {action}d" for action, count in counts.items())
    console.print(said if changes else "nothing to change")


def _lines(change: Change) -> Iterator[str]:
    sign = _SIGNS[change.action]
    yield f"  {sign} {change.kind} {change.name}"
    if change.action == "delete":
        return
    for field, after in change.after.items():
        before = change.before.get(field)
        if change.action == "update" or after:
            yield from (f"      {line}" for line in _differing(field, before, after))


def _differing(field: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(after, dict) or isinstance(before, dict):
        old, new = (json.dumps(one, indent=2).splitlines() if one else [] for one in (before, after))
        yield f"{field}:"
        for line in list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]:
            if not line.startswith("@@"):
                yield f"{line[0]} {line[1:]}"
    elif isinstance(after, list):
        yield from (f"+ {field}: {one}" for one in after if one not in (before or []))
        yield from (f"- {field}: {one}" for one in before or [] if one not in after)
    else:
        yield f"{field}: {_plain(before)} -> {_plain(after)}" if before is not None else f"{field}: {_plain(after)}"


def _plain(value: Any) -> str:
    return "none" if value is None else str(value)
