"""``moorage oidc``: issuers of web identities (GitHub Actions, GitLab CI, Kubernetes) that an account trusts."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import say, show
from moorage.registry import roles

app = Commands(help="Issuers of web identities.", no_args_is_help=True)
Issuer = Annotated[str, named("oidc", "The issuer's URL, as its tokens name it.")]


@app.command()
def add(
    issuer: Issuer,
    audience: Annotated[list[str], typer.Option("--audience", help="An audience that its tokens may be for.")],
    keys: Annotated[
        typer.FileText | None, typer.Option("--keys", help="File with its keys (JWK set), if not to be fetched.")
    ] = None,
    keys_url: Annotated[str | None, typer.Option("--keys-url", help="Where its keys are, if not as published.")] = None,
) -> None:
    """Trust an issuer. Roles say which of its identities may take them on."""
    text = keys.read() if keys is not None else None
    with writing() as ctx:
        arn = roles.put_provider(ctx, issuer, audience, keys=text, keys_url=keys_url)
    say(f"{arn} trusted", {"arn": arn, "issuer": issuer})


@app.command("list")
def list_() -> None:
    """List the issuers."""
    with reading() as ctx:
        rows = roles.list_providers(ctx)
    show(rows, ["issuer", "audiences", "keys"])


@app.command()
def remove(issuer: Issuer) -> None:
    """Trust an issuer no longer."""
    with writing() as ctx:
        roles.delete_provider(ctx, issuer)
    say(f"{issuer} removed", {"issuer": issuer})
