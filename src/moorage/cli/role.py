"""``moorage role``: roles, which users and web identities take on for a while."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, say, show
from moorage.domain import policies
from moorage.domain.names import EntityName
from moorage.registry import identities, roles
from moorage.registry.identities import ROLE
from moorage.registry.roles import LONGEST_SESSION

app = typer.Typer(help="Roles, who may take them on, and their policies.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The role's name.")]
Policy = Annotated[str, typer.Argument(help="A built-in policy, or one of the account's own.")]


@app.command()
def create(
    name: Name,
    trust: Annotated[typer.FileText, typer.Option("--trust", help="File with the trust policy (JSON), or -.")],
    max_session: Annotated[
        int, typer.Option("--max-session", min=900, max=LONGEST_SESSION, help="Longest session, in seconds.")
    ] = LONGEST_SESSION,
    data: Data = None,
    account_id: Account = None,
    *,
    as_json: Json = False,
) -> None:
    """Create a role. Its trust policy says who may take it on."""
    text = trust.read(policies.MAX_LENGTH + 1)
    with writing(data, account_id) as ctx:
        arn = roles.create(ctx, EntityName.parse(name), text, max_session)
    say(f"{arn} created", {"arn": arn, "name": name}, as_json=as_json)


@app.command("list")
def list_(data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """List the roles."""
    with writing(data, account_id) as ctx:
        rows = roles.list_roles(ctx)
    show(rows, ["name", "maxSession", "policies", "boundary"], as_json=as_json)


@app.command()
def delete(name: Name, data: Data = None, account_id: Account = None) -> None:
    """Delete a role; its sessions and docker logins end with it."""
    with writing(data, account_id) as ctx:
        identities.delete(ctx, ROLE, EntityName.parse(name))
    typer.echo(f"role {name} deleted")


@app.command()
def attach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Attach a policy to a role."""
    with writing(data, account_id) as ctx:
        identities.attach(ctx, ROLE, EntityName.parse(name), policy)
    typer.echo(f"{policy} attached to role {name}")


@app.command()
def detach(name: Name, policy: Policy, data: Data = None, account_id: Account = None) -> None:
    """Detach a policy from a role."""
    with writing(data, account_id) as ctx:
        identities.detach(ctx, ROLE, EntityName.parse(name), policy)
    typer.echo(f"{policy} detached from role {name}")


@app.command()
def boundary(
    name: Name,
    policy: Annotated[str | None, typer.Argument(help="A built-in policy, or one of the account's own.")] = None,
    data: Data = None,
    account_id: Account = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take the boundary away.")] = False,
) -> None:
    """Set the permissions boundary: what it does not allow, the role's own policies cannot."""
    if none == (policy is not None):
        raise typer.BadParameter("give either a policy or --none")
    with writing(data, account_id) as ctx:
        identities.set_boundary(ctx, ROLE, EntityName.parse(name), policy)
    typer.echo(f"role {name} has " + (f"the boundary {policy}" if policy else "no boundary"))
