"""``moorage master-key``: the key that seals secrets and signs tokens."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.exceptions import InvalidTag

from moorage import installation, keyfile
from moorage.cli.managing import Commands
from moorage.cli.opened import chosen_settings, opened
from moorage.cli.options import fail
from moorage.cli.output import say
from moorage.registry import rewrap as rewrapping
from moorage.registry.auth import TOKEN_LIFETIME
from moorage.registry.secrets import Forged, MasterKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.core import Registry

app = Commands(help="The key that seals secrets and signs tokens.", no_args_is_help=True)


@app.command()
def rewrap(
    *,
    forget_old: Annotated[
        bool,
        typer.Option("--forget-old", help="Forget the key before at once: all docker logins and sessions end."),
    ] = False,
) -> None:
    """
    Make a new master key and seal every secret under it, while servers run.

    What was signed before (docker logins, sessions) is good for its 12 hours. Can be interrupted at any
    moment, and run again.
    """
    settings = chosen_settings()
    if keyfile.VARIABLE in os.environ:
        fail(f"{keyfile.VARIABLE} holds the key, which no command can change: see `moorage master-key reseal --help`")
    file = keyfile.path_of(settings)
    with opened() as registry, installation.locked(settings.data):
        now = registry.clock()
        keys = [key for key in keyfile.read(settings) if key.until is None or key.until > now.timestamp()]
        with _in_words():
            rewrapping.check(registry.database, registry.keyring)
        if not _is_unfinished(keys):
            keys = [keyfile.new_key(), *keys]
            # First known everywhere, and used for what is new; then for all there is; and only then alone.
            keyfile.write(file, keys)
        count = _reseal(registry)
        ends = (now + TOKEN_LIFETIME).timestamp()
        old = [] if forget_old else [MasterKey(key.key, key.until or ends) for key in keys[1:]]
        keyfile.write(file, [keys[0], *old])
    value = {"secrets": count, "file": str(file), "oldKeyUntil": None if forget_old else now + TOKEN_LIFETIME}
    say(f"{count} secrets sealed under the new master key in {file}", value)
    typer.echo("backups of the database that were made before need the key before", err=True)


def _is_unfinished(keys: list[MasterKey]) -> bool:
    """Whether a change of keys began that has not come to its end: a key before the one in use has none yet."""
    return any(key.until is None for key in keys[1:])


@app.command()
def reseal() -> None:
    """
    Seal every secret under the first key of those given, where this command cannot change them.

    With MOORAGE_MASTER_KEY or a read-only file: let all servers start with OLD,NEW (a comma, or a line each), then
    with NEW,OLD; run this; and take OLD away when its 12 hours are over.
    """
    with opened() as registry:
        count = _reseal(registry)
    say(f"{count} secrets sealed under the first master key", {"secrets": count})


def _reseal(registry: Registry) -> int:
    with _in_words():
        return rewrapping.reseal(registry.database, registry.keyring)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (InvalidTag, Forged):
        fail("a secret in the database is sealed with a master key that is not among those given; nothing was changed")
