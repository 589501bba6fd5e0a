"""``moorage group``: users who have their policies in common."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, show
from moorage.domain.names import EntityName
from moorage.registry import identities
from moorage.registry.identities import GROUP

app = typer.Typer(help="Groups, their members and policies.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The group's name.")]
User = Annotated[str, typer.Argument(help="A user's name.")]
Policy = Annotated[str, typer.Argument(help="A built-in policy, or one of the account's own.")]


@app.command()
def create(name: Name, data: Data = None, account_id: Account = None) -> None:
    """Create a group."""
    with writing(data, account_id) as ctx:
        identities.create_group(ctx, EntityName.parse(name))
    typer.echo(f"group {name} created")


@app.command("list")
def list_(data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """List the groups."""
    with writing(data, account_id) as ctx:
        rows = identities.list_groups(ctx)
    show(rows, ["name", "users", "policies"], as_json=as_json)


@app.command()
def delete(name: Name, data: Data = None, account_id: Account = None) -> None:
    """Delete a group; its members stay, without its policies."""
    with writing(data, account_id) as ctx:
        identities.delete(ctx, GROUP, EntityName.parse(name))
    typer.echo(f"group {name} deleted")


@app.command()
def add(name: Name, user: User, data: Data = None, account_id: Account = None) -> None:
    """Make a user a member of a group."""
    with writing(data, account_id) as ctx:
        identities.add_to_group(ctx, EntityName.parse(name), EntityName.parse(user))
    typer.echo(f"user {user} added to group {name}")


@app.command()
def remove(name: Name, user: User, data: Data = None, account_id: Account = None) -> None:
    """End a user's membership."""
    with writing(data, account_id) as ctx:
        identities.remove_from_group(ctx, EntityName.parse(name), EntityName.parse(user))
    typer.echo(f"user {user} removed from group {name}")


@app.command()
def attach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Attach a policy to a group."""
    with writing(data, account_id) as ctx:
        identities.attach(ctx, GROUP, EntityName.parse(name), policy)
    typer.echo(f"{policy} attached to group {name}")


@app.command()
def detach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Detach a policy from a group."""
    with writing(data, account_id) as ctx:
        identities.detach(ctx, GROUP, EntityName.parse(name), policy)
    typer.echo(f"{policy} detached from group {name}")
