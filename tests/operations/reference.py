"""Writes ``docs/reference/operations.md`` from the operations and from ECR's service model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from moorage.aws import model
from moorage.aws.table import OPERATIONS
from moorage.operations import LATER, NOTES

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "operations.md"

_INTRODUCTION: Final = """\
# ECR's operations

What each of the {total} operations of ECR's service model (version 2015-09-21) does here. {works} work, {noted} of them with a note;
{later} are refused with `UnknownOperationException` and the reason given here. What works has its effect: nothing is merely stored, but for the
settings whose note says so.

Every operation is asked of the IAM action in the second column; permissions that it needs besides are on the page of
[access](../access.md), and what differs from ECR in [behaviour](../behaviour.md).

This page is written by `scripts/operations-reference` from the code, and a test holds it to the code.

| operation | action | here | note |
|---|---|---|---|
"""


def text() -> str:
    """Return the page."""
    names = sorted(model.load())
    works = [name for name in names if name in OPERATIONS]
    noted = [name for name in works if name in NOTES]
    head = _INTRODUCTION.format(total=len(names), works=len(works), noted=len(noted), later=len(names) - len(works))
    return head + "".join(map(_row, names))


def _row(name: str) -> str:
    if name not in OPERATIONS:
        return f"| {name} | | not yet | {LATER[name]} |\n"
    note = NOTES.get(name, "")
    return f"| {name} | `{OPERATIONS[name].action}` | works{' with a note' if note else ''} | {note} |\n"


if __name__ == "__main__":
    PAGE.write_text(text())
