"""``moorage key``: access keys, with which users sign their requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from moorage.cli.opened import Account, Data, writing
from moorage.cli.output import Json, say, show
from moorage.domain.names import EntityName
from moorage.registry import identities

app = typer.Typer(help="Access keys.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(help="The access key's id.")]


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="The user whom the key will stand for.")],
    days: Annotated[int | None, typer.Option("--days", min=1, max=36500, help="Days until it ends by itself.")] = None,
    data: Data = None,
    account_id: Account = None,
    *,
    as_json: Json = False,
) -> None:
    """Create an access key. Its secret is shown this once and never again."""
    with writing(data, account_id) as ctx:
        expires_at = ctx.now + timedelta(days=days) if days else None
        key = identities.create_key(ctx, EntityName.parse(user), expires_at)
    shown = {"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key, "expiresAt": expires_at}
    exports = f"export AWS_ACCESS_KEY_ID={key.access_key_id}\nexport AWS_SECRET_ACCESS_KEY='{key.secret_access_key}'"
    say(exports, shown, as_json=as_json)


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(help="Only keys of this user.")] = None,
    data: Data = None,
    account_id: Account = None,
    *,
    as_json: Json = False,
) -> None:
    """List access keys, without their secrets."""
    with writing(data, account_id) as ctx:
        rows = identities.list_keys(ctx, user)
    show(rows, ["accessKeyId", "user", "active", "createdAt", "expiresAt"], as_json=as_json)


@app.command()
def disable(key_id: KeyId, data: Data = None, account_id: Account = None) -> None:
    """Disable a key: what it signs, and docker logins made with it, are refused from now on."""
    with writing(data, account_id) as ctx:
        identities.set_key_active(ctx, key_id, active=False)
    typer.echo(f"{key_id} disabled")


@app.command()
def enable(key_id: KeyId, data: Data = None, account_id: Account = None) -> None:
    """Enable a key again."""
    with writing(data, account_id) as ctx:
        identities.set_key_active(ctx, key_id, active=True)
    typer.echo(f"{key_id} enabled")


@app.command()
def delete(key_id: KeyId, data: Data = None, account_id: Account = None) -> None:
    """Delete a key for good."""
    with writing(data, account_id) as ctx:
        identities.delete_key(ctx, key_id)
    typer.echo(f"{key_id} deleted")
