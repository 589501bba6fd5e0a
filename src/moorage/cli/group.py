"""``moorage group``: users who have their policies in common."""

from __future__ import annotations

from typing import Annotated

from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import say, show
from moorage.domain.names import EntityName
from moorage.registry import identities
from moorage.registry.identities import GROUP

app = Commands(help="Groups, their members and policies.", no_args_is_help=True)
Name = Annotated[str, named("group", "The group's name.")]
User = Annotated[str, named("user", "A user's name.")]
Policy = Annotated[str, named("policy", "A built-in policy, or one of the account's own.")]


@app.command()
def create(name: Name) -> None:
    """Create a group."""
    with writing() as ctx:
        identities.create_group(ctx, EntityName.parse(name))
    say(f"group {name} created", {"name": name})


@app.command("list")
def list_() -> None:
    """List the groups."""
    with reading() as ctx:
        rows = identities.list_groups(ctx)
    show(rows, ["name", "users", "policies"])


@app.command()
def delete(name: Name) -> None:
    """Delete a group; its members stay, without its policies."""
    with writing() as ctx:
        identities.delete(ctx, GROUP, EntityName.parse(name))
    say(f"group {name} deleted", {"name": name})


@app.command()
def add(name: Name, user: User) -> None:
    """Make a user a member of a group."""
    with writing() as ctx:
        identities.add_to_group(ctx, EntityName.parse(name), EntityName.parse(user))
    say(f"user {user} added to group {name}", {"name": name, "user": user})


@app.command()
def remove(name: Name, user: User) -> None:
    """End a user's membership."""
    with writing() as ctx:
        identities.remove_from_group(ctx, EntityName.parse(name), EntityName.parse(user))
    say(f"user {user} removed from group {name}", {"name": name, "user": user})


@app.command()
def attach(name: Name, policy: Policy) -> None:
    """Attach a policy to a group."""
    with writing() as ctx:
        identities.attach(ctx, GROUP, EntityName.parse(name), policy)
    say(f"{policy} attached to group {name}", {"name": name, "policy": policy})


@app.command()
def detach(name: Name, policy: Policy) -> None:
    """Detach a policy from a group."""
    with writing() as ctx:
        identities.detach(ctx, GROUP, EntityName.parse(name), policy)
    say(f"{policy} detached from group {name}", {"name": name, "policy": policy})
