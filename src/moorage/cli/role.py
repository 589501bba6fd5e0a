"""``moorage role``: roles, which users and web identities take on for a while."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import say, show
from moorage.domain import policies
from moorage.domain.names import EntityName
from moorage.registry import identities, roles
from moorage.registry.identities import ROLE
from moorage.registry.roles import LONGEST_SESSION

app = Commands(help="Roles, who may take them on, and their policies.", no_args_is_help=True)
Name = Annotated[str, named("role", "The role's name.")]
Policy = Annotated[str, named("policy", "A built-in policy, or one of the account's own.")]


@app.command()
def create(
    name: Name,
    trust: Annotated[typer.FileText, typer.Option("--trust", help="File with the trust policy (JSON), or -.")],
    max_session: Annotated[
        int, typer.Option("--max-session", min=900, max=LONGEST_SESSION, help="Longest session, in seconds.")
    ] = LONGEST_SESSION,
) -> None:
    """Create a role. Its trust policy says who may take it on."""
    text = trust.read(policies.MAX_LENGTH + 1)
    with writing() as ctx:
        arn = roles.create(ctx, EntityName.parse(name), text, max_session)
    say(f"{arn} created", {"arn": arn, "name": name})


@app.command("list")
def list_() -> None:
    """List the roles."""
    with reading() as ctx:
        rows = roles.list_roles(ctx)
    show(rows, ["name", "maxSession", "policies", "boundary"])


@app.command()
def delete(name: Name) -> None:
    """Delete a role; its sessions and docker logins end with it."""
    with writing() as ctx:
        identities.delete(ctx, ROLE, EntityName.parse(name))
    say(f"role {name} deleted", {"name": name})


@app.command()
def attach(name: Name, policy: Policy) -> None:
    """Attach a policy to a role."""
    with writing() as ctx:
        identities.attach(ctx, ROLE, EntityName.parse(name), policy)
    say(f"{policy} attached to role {name}", {"name": name, "policy": policy})


@app.command()
def detach(name: Name, policy: Policy) -> None:
    """Detach a policy from a role."""
    with writing() as ctx:
        identities.detach(ctx, ROLE, EntityName.parse(name), policy)
    say(f"{policy} detached from role {name}", {"name": name, "policy": policy})


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
    """Set the permissions boundary: what it does not allow, the role's own policies cannot."""
    if none == (policy is not None):
        raise typer.BadParameter("give either a policy or --none")
    with writing() as ctx:
        identities.set_boundary(ctx, ROLE, EntityName.parse(name), policy)
    said = f"role {name} has " + (f"the boundary {policy}" if policy else "no boundary")
    say(said, {"name": name, "boundary": policy})
