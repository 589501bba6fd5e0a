"""``moorage policy``: identity policies, which say what users may do."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.completing import named
from moorage.cli.explain import explain
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import say, show
from moorage.domain import policies
from moorage.domain.names import EntityName
from moorage.registry import identities

app = Commands(help="Identity policies.", no_args_is_help=True)
Name = Annotated[str, named("policy", "The policy's name.")]


@app.command()
def put(
    name: Name,
    document: Annotated[typer.FileText, typer.Argument(help="File with the policy (JSON), or - for standard input.")],
) -> None:
    """Create or replace a policy; it takes effect at once for all who have it."""
    text = document.read(policies.MAX_LENGTH + 1)
    with writing() as ctx:
        identities.put_policy(ctx, EntityName.parse(name), text)
    say(f"policy {name} stored", {"name": name})


@app.command("list")
def list_() -> None:
    """List the built-in policies and the account's own."""
    with reading() as ctx:
        rows = identities.list_policies(ctx)
    show(rows, ["name", "builtIn"])


@app.command()
def delete(name: Name) -> None:
    """Delete a policy of the account's own; nobody has it from now on."""
    with writing() as ctx:
        identities.delete(ctx, "policy", EntityName.parse(name))
    say(f"policy {name} deleted", {"name": name})


app.command()(explain)
