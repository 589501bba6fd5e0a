"""``moorage key``: access keys, with which users sign their requests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.options import fail
from moorage.cli.output import say, show
from moorage.domain.names import EntityName
from moorage.registry import accounts, keys

if TYPE_CHECKING:
    from moorage.registry.core import Context

app = Commands(help="Access keys.", no_args_is_help=True)
KeyId = Annotated[str, named("key", "The access key's id.")]
Days = Annotated[int | None, typer.Option("--days", min=1, max=36500, help="Days until it ends by itself.")]


@app.command()
def create(
    user: Annotated[str | None, named("user", "The user whom the key will stand for.")] = None,
    days: Days = None,
    *,
    root: Annotated[bool, typer.Option("--root", help="A key of the account's root, instead of a user's.")] = False,
) -> None:
    """Create an access key. Its secret is shown this once and never again."""
    if (user is None) != root or (root and days is not None):
        fail("name a user, or give --root alone")
    with writing() as ctx:
        ends = _after(ctx, days)
        key = accounts.create_root_key(ctx, ctx.registry_id) if user is None else _create(ctx, user, ends)
    say(key.exports, _shown(key, ends))


def _create(ctx: Context, user: str, ends: datetime | None) -> keys.AccessKey:
    return keys.create(ctx, EntityName.parse(user), ends)


def _after(ctx: Context, days: int | None) -> datetime | None:
    return ctx.now + timedelta(days=days) if days else None


def _shown(key: keys.AccessKey, ends: datetime | None) -> dict[str, object]:
    return {"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key, "expiresAt": ends}


@app.command()
def rotate(
    user: Annotated[str, named("user", "The user who gets a new key.")],
    days: Days = None,
    *,
    disable_old: Annotated[bool, typer.Option("--disable-old", help="Disable the user's other keys.")] = False,
) -> None:
    """Create a user's next key. The one before works until it is disabled: with --disable-old, or later."""
    with writing() as ctx:
        ends = _after(ctx, days)
        key, old = keys.rotate(ctx, EntityName.parse(user), ends, disable_old=disable_old)
    say(key.exports, {**_shown(key, ends), "oldAccessKeyIds": old, "oldDisabled": disable_old})
    for one in old:
        typer.echo(f"# {one} is disabled" if disable_old else f"# later: moorage key disable {one}", err=True)


@app.command("list")
def list_(
    user: Annotated[str | None, named("user", "Only keys of this user.")] = None,
) -> None:
    """List access keys, without their secrets, and when and for what each was last used."""
    with reading() as ctx:
        rows = keys.show(ctx, user)
    used = ["lastUsedAt", "lastUsedService", "lastUsedRegion"]
    show(rows, ["accessKeyId", "user", "active", "createdAt", "expiresAt", *used])


@app.command()
def expire(
    key_id: KeyId,
    days: Days = None,
    *,
    never: Annotated[bool, typer.Option("--never", help="Do not let it end by itself.")] = False,
) -> None:
    """Let a key end by itself after some days, counted from now."""
    if (days is None) != never:
        fail("give --days or --never")
    with writing() as ctx:
        ends = _after(ctx, days)
        keys.expire(ctx, key_id, ends)
    said = f"{key_id} ends on {ends:%Y-%m-%d %H:%M} UTC" if ends else f"{key_id} does not end by itself"
    say(said, {"accessKeyId": key_id, "expiresAt": ends})


@app.command()
def disable(key_id: KeyId) -> None:
    """Disable a key: what it signs, and docker logins made with it, are refused from now on."""
    with writing() as ctx:
        keys.set_active(ctx, key_id, active=False)
    say(f"{key_id} disabled", {"accessKeyId": key_id, "active": False})


@app.command()
def enable(key_id: KeyId) -> None:
    """Enable a key again."""
    with writing() as ctx:
        keys.set_active(ctx, key_id, active=True)
    say(f"{key_id} enabled", {"accessKeyId": key_id, "active": True})


@app.command()
def delete(key_id: KeyId) -> None:
    """Delete a key for good."""
    with writing() as ctx:
        keys.delete(ctx, key_id)
    say(f"{key_id} deleted", {"accessKeyId": key_id})
