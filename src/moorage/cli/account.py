"""``moorage account``: whom repositories and identities belong to."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage import installation
from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import chosen_settings, reading, writing
from moorage.cli.options import fail
from moorage.cli.output import say, show, show_one
from moorage.registry import accounts

app = Commands(help="Accounts. What belongs to one, no other sees.", no_args_is_help=True)
Id = Annotated[str, named("account", "Twelve digits.")]


@app.command()
def create(
    account: Id,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
) -> None:
    """Create an account and its root access key, whose secret is shown this once."""
    with writing(any_account=True) as ctx:
        accounts.create(ctx, account, name)
        key = accounts.create_root_key(ctx, account)
    value = {"accountId": account, "accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key}
    say(key.exports, value)


@app.command("list")
def list_() -> None:
    """List the accounts."""
    with reading(any_account=True) as ctx:
        rows = accounts.list_accounts(ctx.tx)
    show(rows, ["accountId", "name", "createdAt", "repositories", "users", "roles", "keys"])


@app.command("show")
def show_(account: Id) -> None:
    """Show an account."""
    with reading(any_account=True) as ctx:
        accounts.require(ctx.tx, account)
        row = next(row for row in accounts.list_accounts(ctx.tx) if row["accountId"] == account)
    show_one(row)


@app.command()
def rename(account: Id, name: Annotated[str, typer.Argument(help="What people call it.")]) -> None:
    """Give an account another name."""
    with writing(any_account=True) as ctx:
        accounts.rename(ctx, account, name)
    say(f"account {account} is named {name}", {"accountId": account, "name": name})


@app.command()
def delete(account: Id) -> None:
    """Delete an account that has no repositories, users and roles any more."""
    settings = chosen_settings()
    serving = installation.read_address(settings.data)
    if account == (serving.account_id if serving else settings.account_id):
        fail(f"account {account} is the one that is served here")
    with writing(any_account=True) as ctx:
        accounts.delete(ctx, account)
    installation.root_key_file(settings.data, account).unlink(missing_ok=True)
    say(f"account {account} deleted", {"accountId": account})
