"""``moorage user``: who may ask this registry for something."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import say, show, show_one
from moorage.domain.names import EntityName
from moorage.registry import identities, keys
from moorage.registry.identities import USER

app = Commands(help="Users, their groups and policies.", no_args_is_help=True)
Name = Annotated[str, named("user", "The user's name.")]
Policy = Annotated[str, named("policy", "A built-in policy, or one of the account's own.")]


@app.command()
def create(name: Name) -> None:
    """Create a user, who may do nothing yet."""
    with writing() as ctx:
        arn = identities.create_user(ctx, EntityName.parse(name))
    say(f"{arn} created", {"arn": arn, "name": name})


@app.command("list")
def list_() -> None:
    """List the users."""
    with reading() as ctx:
        rows = identities.list_users(ctx)
    show(rows, ["name", "groups", "policies", "boundary"])


@app.command("show")
def show_(name: Name) -> None:
    """Show a user: groups, policies, keys."""
    with reading() as ctx:
        user = identities.show_user(ctx, EntityName.parse(name))
        user["keys"] = [{**row} for row in keys.show(ctx, name)]
    show_one(user)


@app.command()
def delete(name: Name) -> None:
    """Delete a user; keys and docker logins end with it."""
    with writing() as ctx:
        identities.delete(ctx, USER, EntityName.parse(name))
    say(f"user {name} deleted", {"name": name})


@app.command()
def attach(name: Name, policy: Policy) -> None:
    """Attach a policy to a user."""
    with writing() as ctx:
        identities.attach(ctx, USER, EntityName.parse(name), policy)
    say(f"{policy} attached to user {name}", {"name": name, "policy": policy})


@app.command()
def detach(name: Name, policy: Policy) -> None:
    """Detach a policy from a user."""
    with writing() as ctx:
        identities.detach(ctx, USER, EntityName.parse(name), policy)
    say(f"{policy} detached from user {name}", {"name": name, "policy": policy})


@app.command()
def boundary(
    name: Name,
    policy: Annotated[
        str | None,
        named("policy", "A built-in policy, or one of the account's own."),
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take the boundary away.")] = False,
) -> None:
    """Set the permissions boundary: what it does not allow, the user's own policies cannot."""
    if none == (policy is not None):
        raise typer.BadParameter("give either a policy or --none")
    with writing() as ctx:
        identities.set_boundary(ctx, USER, EntityName.parse(name), policy)
    said = f"user {name} has " + (f"the boundary {policy}" if policy else "no boundary")
    say(said, {"name": name, "boundary": policy})
