"""What commands print: a table for people, or JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case _:
            return str(value)


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows, with these columns."""
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], indent=2, default=str))
        return
    from rich.console import Console  # noqa: PLC0415 (slow to import, and only tables need it)
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_plain(row[column]) for column in columns))
    Console().print(table)


def say(message: str, value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing that was done: a sentence, or its values as JSON."""
    typer.echo(json.dumps(dict(value), indent=2, default=str) if as_json else message)
