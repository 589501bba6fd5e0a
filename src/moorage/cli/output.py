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


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False) -> None:
    """Print rows, with these columns."""
    if as_json or wants_json.get():
        print_json([dict(row) for row in rows])
        return
    from rich.console import Console  # noqa: PLC0415 (slow to import, and only tables need it)
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False)
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


def print_json(value: Any) -> None:
    """Print JSON; times as ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_text))


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
