"""What commands print: a table for people, or JSON."""

from __future__ import annotations

import json
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
wants_json: Final[ContextVar[bool]] = ContextVar("wants_json", default=False)
"""Whether the command was told to print JSON."""


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
        case dict():
            return ", ".join(f"{name}={one}" for name, one in value.items())
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case _:
            return str(value)


def show(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool = False,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows, with these columns; numbers stand ``right``, and what is ``whole`` is not broken over lines."""
    if as_json or wants_json.get():
        print_json([dict(row) for row in rows])
        return
    from rich.console import Console  # noqa: PLC0415 (slow to import, and only tables need it)
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in whole
        )
    for row in rows:
        table.add_row(*(_plain(row[column]) for column in columns))
    Console().print(table)


def show_one(value: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print one thing, a line for each of its values; rows of things below it."""
    if as_json or wants_json.get():
        print_json(dict(value))
        return
    tables = {
        name: rows for name, rows in value.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)
    }
    width = max(len(name) for name in value)
    for name, one in value.items():
        if name not in tables:
            typer.echo(f"{name:{width}}  {_plain(one)}".rstrip())
    for name, rows in tables.items():
        typer.echo(f"\n{name}")
        show(rows, list(rows[0]))


def say(message: str, value: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print one thing that was done: a sentence, or its values as JSON."""
    if as_json or wants_json.get():
        print_json(dict(value))
    else:
        typer.echo(message)


def size_text(count: float) -> str:
    """Return a number of bytes as people read it: ``1.5 MiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 (a KiB)
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def short(digest: str) -> str:
    """Return as much of a digest as tells it from others; commands take it back."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm}:{encoded[:12]}"


def counted(count: int, noun: str) -> str:
    """Return a number of things: ``1 image``, ``2 images``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def confirm(question: str, *, yes: bool) -> None:
    """Go on if the person says so, or has said so already (``--yes``); else end the command."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def print_json(value: Any) -> None:
    """Print JSON; times as ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_text))


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
