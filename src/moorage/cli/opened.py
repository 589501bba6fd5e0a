"""A unit of work for commands that manage an installation, beside a running server or without one."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moorage import installation
from moorage.cli.managing import Given, given, in_one_line
from moorage.cli.options import Account, Data, settings_of
from moorage.cli.recorded import recorded
from moorage.registry import accounts
from moorage.registry.auth import Identity
from moorage.registry.identities import root_principal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from moorage.config import Settings
    from moorage.registry.audit import Entry
    from moorage.registry.core import Context, Registry

__all__ = ["Account", "Data", "chosen_settings", "opened", "reading", "root_of", "writing"]


def chosen_settings(data: Path | None = None, account_id: str | None = None) -> Settings:
    """Return the settings of the installation that the command is for: as told, else as it is served."""
    told = {field.name: getattr(given.get(), field.name) for field in dataclasses.fields(Given)}
    told |= {name: value for name, value in (("data", data), ("account_id", account_id)) if value is not None}
    config = told.pop("config")
    settings = settings_of(config, **told)
    serving = installation.read_address(settings.data)
    if serving is not None:
        settings = settings_of(config, serving.defaults, **told)
    # A command's standard output is for what it says.
    return dataclasses.replace(settings, audit=None) if settings.audit == "-" else settings


@contextmanager
def opened(data: Path | None = None, account_id: str | None = None) -> Iterator[Registry]:
    """Open the installation that the command is for; ends the command where none is."""
    from moorage import app  # noqa: PLC0415 (half a second, that only commands which open a registry should take)

    with in_one_line():
        registry = app.open_prepared(chosen_settings(data, account_id))
        try:
            yield registry
        finally:
            registry.close()


@contextmanager
def reading(data: Path | None = None, account_id: str | None = None, *, any_account: bool = False) -> Iterator[Context]:
    """Open a reading transaction, otherwise as `writing`."""
    with opened(data, account_id) as registry, registry.read(root_of(registry.settings)) as ctx:
        if not any_account:
            accounts.require(ctx.tx, ctx.registry_id)
        yield ctx


@contextmanager
def writing(data: Path | None = None, account_id: str | None = None, *, any_account: bool = False) -> Iterator[Context]:
    """
    Open a writing transaction as the account's root; whatever is refused ends the command with its message.

    The account must be there, unless the command is about accounts (``any_account``).
    """
    with opened(data, account_id) as registry, recorded(registry) as entry, _write(registry, entry) as ctx:
        if not any_account:
            accounts.require(ctx.tx, ctx.registry_id, lock=True)
        yield ctx


def _write(registry: Registry, entry: Entry | None) -> AbstractContextManager[Context]:
    facts = {} if entry is None else dict(entry.facts)
    request_id = "-" if entry is None else entry.request_id
    return registry.write(root_of(registry.settings), request_id=request_id, facts=facts, entry=entry)


def root_of(settings: Settings) -> Identity:
    """Return the identity that commands work as: the root of the account that they are for."""
    account = settings.account_id
    return Identity(root_principal(account), "cli", account, settings.region)
