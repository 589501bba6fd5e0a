"""``moorage policy``: identity policies, which say what users may do."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, show
from moorage.domain import policies
from moorage.domain.names import EntityName
from moorage.registry import identities

app = typer.Typer(help="Identity policies.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The policy's name.")]


@app.command()
def put(
    name: Name,
    document: Annotated[typer.FileText, typer.Argument(help="File with the policy (JSON), or - for standard input.")],
    data: Data = None,
    account_id: Account = None,
) -> None:
    """Create or replace a policy; it takes effect at once for all who have it."""
    text = document.read(policies.MAX_LENGTH + 1)
    with writing(data, account_id) as ctx:
        identities.put_policy(ctx, EntityName.parse(name), text)
    typer.echo(f"policy {name} stored")


@app.command("list")
def list_(data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """List the built-in policies and the account's own."""
    with writing(data, account_id) as ctx:
        rows = identities.list_policies(ctx)
    show(rows, ["name", "builtIn"], as_json=as_json)


@app.command()
def delete(name: Name, data: Data = None, account_id: Account = None) -> None:
    """Delete a policy of the account's own; nobody has it from now on."""
    with writing(data, account_id) as ctx:
        identities.delete(ctx, "policy", EntityName.parse(name))
    typer.echo(f"policy {name} deleted")
