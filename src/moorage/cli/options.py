"""Options that several commands have, and settings made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from moorage.config import Settings, SettingsError

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the database, the layers and the keys.", envvar="MOORAGE_DATA"),
]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings.", envvar="MOORAGE_CONFIG", dir_okay=False)
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="Database URL. \\[default: SQLite in the data folder]", envvar="MOORAGE_DATABASE"),
]
MasterKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--master-key-file",
        help="File of the master key. \\[default: master.key in the data folder]",
        envvar="MOORAGE_MASTER_KEY_FILE",
        dir_okay=False,
    ),
]
Account = Annotated[
    str | None,
    typer.Option("--account-id", help="The account. \\[default: the one that is served]", envvar="MOORAGE_ACCOUNT_ID"),
]


def settings_of(config: Path | None, defaults: Mapping[str, Any] | None = None, /, **given: Any) -> Settings:
    """Return the settings that flags, environment and file make; ends the command where they cannot be used."""
    try:
        return Settings.load(given, file=config, defaults=defaults)
    except (SettingsError, OSError, ValueError) as problem:
        fail(str(problem))


def fail(message: str) -> NoReturn:
    """End the command with a message and exit status 2."""
    typer.echo(f"moorage: {message}", err=True)
    raise typer.Exit(2)
