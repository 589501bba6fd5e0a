"""What a lifecycle policy would do, in colours for people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from moorage.cli.output import counted, short, size_text
from moorage.domain.lifecycle import Keeper
from moorage.registry.foresight import action_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.domain.lifecycle import Judgement
    from moorage.registry.foresight import Outlook

_COLOURS = {"expire": "red", "transition": "yellow", "keep": "green"}


def summary(found: Outlook, freed: int) -> dict[str, Any]:
    """Return what would become of a repository, in numbers."""
    return {
        "repository": found.repository.name,
        "images": len(found.judgements),
        "expire": found.counts["expire"],
        "archive": found.counts["transition"],
        "goWithSubject": len(found.going) - found.counts["expire"],
        "bytesFreed": freed,
    }


def described(found: Outlook, freed: int) -> dict[str, Any]:
    """Return an outlook as JSON has it: the numbers, and each image."""
    return {**summary(found, freed), "results": [_result(found, one) for one in found.judgements]}


def _result(found: Outlook, one: Judgement) -> dict[str, Any]:
    return {
        "digest": one.image.digest,
        "tags": list(one.image.tags),
        "pushedAt": one.image.pushed_at,
        "size": found.sizes.get(one.image.digest, 0),
        "action": "expire" if one.image.digest in found.going else action_of(one),
        "rule": one.rule.priority if one.rule else None,
        "keeper": one.keeper.name if one.keeper else None,
        "reason": _reason(found, one),
    }


def _reason(found: Outlook, one: Judgement) -> str:
    rule = f"rule {one.rule.priority}" if one.rule else ""
    match one.keeper:
        case None:
            return f"{rule} {'expires' if action_of(one) == 'expire' else 'archives'} it"
        case Keeper.RULE:
            return f"{rule} keeps it"
        case Keeper.INDEX:
            return f"{rule} would take it, but an index names it"
        case Keeper.SUBJECT:
            return "goes with its subject" if one.image.digest in found.going else "stays with its subject"
        case _:
            return "no rule selects it"


def draw(found: Outlook, freed: int, hours: int, lines: int) -> None:
    """Print what would become of each image, those that go first, and the sums."""
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for name in ("tags", "digest", "pushed", "size", "what becomes of it"):
        table.add_column(
            name,
            justify="right" if name == "size" else "left",
            overflow="fold",
            no_wrap=name in {"digest", "pushed", "size"},
        )
    ordered = sorted(found.judgements, key=lambda one: (_colour(found, one) == "green", one.image.pushed_at))
    for one in ordered[: lines or None]:
        size = size_text(found.sizes.get(one.image.digest, 0))
        day = f"{one.image.pushed_at:%Y-%m-%d}"
        why = Text(_reason(found, one), _colour(found, one))
        table.add_row(Text(", ".join(one.image.tags), "bold"), short(one.image.digest), day, size, why)
    console = Console(highlight=False)
    console.print(table)
    if lines and len(ordered) > lines:
        console.print(f"… and {len(ordered) - lines} more (--lines 0 shows all)", style="dim")
    told = summary(found, freed)
    also = f" and {told['goWithSubject']} with them" if told["goWithSubject"] else ""
    sums = f"{told['expire']} would expire{also}, {told['archive']} would be archived"
    typer.echo(f"\n{counted(told['images'], 'image')}: {sums}")
    typer.echo(f"{size_text(freed)} would come back, shared layers counted once")
    if freed and hours:
        typer.echo(f"for {hours} hours what expires can be restored: its bytes come back after that")


def _colour(found: Outlook, one: Judgement) -> str:
    return _COLOURS["expire" if one.image.digest in found.going else action_of(one)]


def draw_all(rows: Sequence[dict[str, Any]], freed: int) -> None:
    """Print the sums of many repositories."""
    from moorage.cli.output import show  # noqa: PLC0415 (its name is ours as well)

    shown = [{**row, "freed": size_text(row["bytesFreed"])} for row in rows]
    show(shown, ["repository", "images", "expire", "archive", "freed"], right=["images", "expire", "archive", "freed"])
    expiring = sum(row["expire"] for row in rows)
    typer.echo(f"\n{counted(expiring, 'image')} would expire, {size_text(freed)} would come back, shared layers once")
