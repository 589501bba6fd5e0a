"""A unit of work for commands that manage an installation, beside a running server or without one."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage import installation
from moorage.cli.options import Data, fail, settings_of
from moorage.domain.errors import Failure
from moorage.registry.auth import Identity
from moorage.registry.identities import root_principal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.core import Context, Registry

__all__ = ["Account", "Data", "opened", "writing"]

Account = Annotated[
    str | None,
    typer.Option("--account-id", help="The account. [default: the one that is served]", envvar="MOORAGE_ACCOUNT_ID"),
]


@contextmanager
def opened(data: Path | None, account_id: str | None = None) -> Iterator[Registry]:
    """Open the installation of a data folder; whatever is refused ends the command with its message."""
    from moorage import app  # noqa: PLC0415 (half a second, that only commands which open a registry should take)

    given: dict[str, Any] = {"data": data, "account_id": account_id}
    settings = settings_of(None, **given)
    if account_id is None and (serving := installation.read_address(settings.data)):
        settings = dataclasses.replace(settings, account_id=serving.account_id, region=serving.region)
    app.prepare(settings)
    registry = app.open_registry(settings)
    try:
        yield registry
    except Failure as failure:
        fail(failure.message)
    finally:
        registry.close()


@contextmanager
def writing(data: Path | None, account_id: str | None) -> Iterator[Context]:
    """Open a transaction as the account's root; whatever is refused ends the command with its message."""
    with opened(data, account_id) as registry:
        account, region = registry.settings.account_id, registry.settings.region
        with registry.write(Identity(root_principal(account), "cli", account, region)) as ctx:
            yield ctx
