"""``moorage oidc``: issuers of web identities (GitHub Actions, GitLab CI, Kubernetes) that an account trusts."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, show
from moorage.registry import roles

app = typer.Typer(help="Issuers of web identities.", no_args_is_help=True)
Issuer = Annotated[str, typer.Argument(help="The issuer's URL, as its tokens name it.")]


@app.command()
def add(
    issuer: Issuer,
    audience: Annotated[list[str], typer.Option("--audience", help="An audience that its tokens may be for.")],
    keys: Annotated[
        typer.FileText | None, typer.Option("--keys", help="File with its keys (JWK set), if not to be fetched.")
    ] = None,
    keys_url: Annotated[str | None, typer.Option("--keys-url", help="Where its keys are, if not as published.")] = None,
    data: Data = None,
    account_id: Account = None,
) -> None:
    """Trust an issuer. Roles say which of its identities may take them on."""
    text = keys.read() if keys is not None else None
    with writing(data, account_id) as ctx:
        arn = roles.put_provider(ctx, issuer, audience, keys=text, keys_url=keys_url)
    typer.echo(f"{arn} trusted")


@app.command("list")
def list_(data: Data = None, account_id: Account = None, *, as_json: Json = False) -> None:
    """List the issuers."""
    with writing(data, account_id) as ctx:
        rows = roles.list_providers(ctx)
    show(rows, ["issuer", "audiences", "keys"], as_json=as_json)


@app.command()
def remove(issuer: Issuer, data: Data = None, account_id: Account = None) -> None:
    """Trust an issuer no longer."""
    with writing(data, account_id) as ctx:
        roles.delete_provider(ctx, issuer)
    typer.echo(f"{issuer} removed")
