"""``moorage doctor``: is the way from clients to the registry as it should be, and if not, which setting is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage import installation
from moorage.cli.opened import chosen_settings
from moorage.cli.options import fail
from moorage.cli.output import print_json, wants_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.doctor import Check, Visit, Wire

Url = Annotated[
    str | None, typer.Argument(help="The address that clients use. [default: the one that the server tells them]")
]
Ca = Annotated[str | None, typer.Option("--ca", help="PEM file of a CA that clients trust besides the system's.")]


def doctor(url: Url = None, ca: Ca = None) -> None:
    """
    Push and pull one byte through the public address, and name the setting that is in the way.

    Signs with the root access key of the data folder, or with AWS_ACCESS_KEY_ID
    and AWS_SECRET_ACCESS_KEY where there is none. Ends with 1 if something is wrong.
    """
    from moorage.doctor import Visit  # noqa: PLC0415 (slow to import)

    wire = _wire(url, ca)
    told = []
    try:
        for one in _examined(Visit(wire)):
            told.append(one)
            if not wants_json.get():
                _say(one)
    finally:
        wire.close()
    if wants_json.get():
        print_json(told)
    raise typer.Exit(0 if all(one["well"] for one in told) else 1)


def _wire(url: str | None, ca: str | None) -> Wire:
    from moorage.doctor import Wire  # noqa: PLC0415

    settings = chosen_settings()
    serving = installation.read_address(settings.data) or installation.address_of(settings)
    key = installation.read_root_key(settings.data, serving.account_id)
    name, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key is not None:
        name, secret = key.access_key_id, key.secret_access_key
    if not name or not secret:
        fail(f"{settings.data} has no root access key, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY give none")
    return Wire(url or serving.url, serving.region, name, secret, ca or serving.ca)


def _examined(visit: Visit) -> Iterator[dict[str, Any]]:
    """Yield what each check says, up to the first trouble; what was pushed is removed in any case."""
    from moorage.doctor import CHECKS, LEAVE  # noqa: PLC0415

    try:
        for check in CHECKS:
            said = _run(check, visit)
            yield said
            if not said["well"]:
                break
    finally:
        left = _run(LEAVE, visit)
    if not left["well"]:
        yield left


def _run(check: Check, visit: Visit) -> dict[str, Any]:
    from moorage.doctor import Trouble  # noqa: PLC0415

    try:
        return {"check": check.title, "well": True, "seen": check.run(visit), "advice": None}
    except Trouble as trouble:
        return {"check": check.title, "well": False, "seen": trouble.seen, "advice": trouble.advice}


def _say(one: dict[str, Any]) -> None:
    mark, colour = ("ok", typer.colors.GREEN) if one["well"] else ("no", typer.colors.RED)
    typer.echo(f"{typer.style(mark, fg=colour)}  {one['seen']}")
    if one["advice"]:
        typer.echo(f"    {one['advice']}")
