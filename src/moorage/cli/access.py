"""``moorage access``: access as a file."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage.cli.managing import Commands
from moorage.cli.opened import reading
from moorage.registry import access, accounts

app = Commands(help="Access as a file: see `moorage apply`.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Access as a file: see `moorage apply`."""


@app.command()
def export(
    *, all_accounts: Annotated[bool, typer.Option("--all-accounts", help="Of every account, by its id.")] = False
) -> None:
    """Print what there is as a file that `moorage apply` takes. Keys are not in it."""
    with reading(any_account=all_accounts) as ctx:
        if all_accounts:
            rows = [(row["accountId"], row["name"]) for row in accounts.list_accounts(ctx.tx)]
            texts = [access.write(account, name, access.state(ctx.at(account))) for account, name in rows]
        else:
            texts = [access.write(None, None, access.state(ctx))]
    typer.echo("\n".join(texts), nl=False)
