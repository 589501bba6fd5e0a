"""``moorage user``: who may ask this registry for something."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, say, show
from moorage.domain.names import EntityName
from moorage.registry import identities
from moorage.registry.identities import USER

app = typer.Typer(help="Users, their groups and policies.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The user's name.")]
Policy = Annotated[str, typer.Argument(help="A built-in policy, or one of the account's own.")]


@app.command()
def create(name: Name, data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """Create a user, who may do nothing yet."""
    with writing(data, account_id) as ctx:
        arn = identities.create_user(ctx, EntityName.parse(name))
    say(f"{arn} created", {"arn": arn, "name": name}, as_json=as_json)


@app.command("list")
def list_(data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """List the users."""
    with writing(data, account_id) as ctx:
        rows = identities.list_users(ctx)
    show(rows, ["name", "groups", "policies", "boundary"], as_json=as_json)


@app.command()
def delete(name: Name, data: Data = None, account_id: Account = None) -> None:
    """Delete a user; keys and docker logins end with it."""
    with writing(data, account_id) as ctx:
        identities.delete(ctx, USER, EntityName.parse(name))
    typer.echo(f"user {name} deleted")


@app.command()
def attach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Attach a policy to a user."""
    with writing(data, account_id) as ctx:
        identities.attach(ctx, USER, EntityName.parse(name), policy)
    typer.echo(f"{policy} attached to user {name}")


@app.command()
def detach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Detach a policy from a user."""
    with writing(data, account_id) as ctx:
        identities.detach(ctx, USER, EntityName.parse(name), policy)
    typer.echo(f"{policy} detached from user {name}")


@app.command()
def boundary(
    name: Name,
    policy: Annotated[str | None, typer.Argument(help="A built-in policy, or one of the account's own.")] = None,
    data: Data = None,
    account_id: Account = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take the boundary away.")] = False,
) -> None:
    """Set the permissions boundary: what it does not allow, the user's own policies cannot."""
    if none == (policy is not None):
        raise typer.BadParameter("give either a policy or --none")
    with writing(data, account_id) as ctx:
        identities.set_boundary(ctx, USER, EntityName.parse(name), policy)
    typer.echo(f"user {name} has " + (f"the boundary {policy}" if policy else "no boundary"))
