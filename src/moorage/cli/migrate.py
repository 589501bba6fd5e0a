"""``moorage migrate``: bring the tables of a database to this version's."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage import migrations
from moorage.cli.options import Config, Data, Database, MasterKeyFile, fail, settings_of
from moorage.config import SettingsError
from moorage.domain.errors import Unavailable


def migrate(
    data: Data = None,
    config: Config = None,
    database: Database = None,
    master_key_file: MasterKeyFile = None,
    account_id: Annotated[str | None, typer.Option(help="Twelve digits. \\[default: 000000000000]")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only tell whether it is needed: status 1 if it is.")] = False,
) -> None:
    """
    Bring the tables of a database to this version's, and make the root access key of a new one.

    Needed on PostgreSQL, once before the first `moorage serve` and once before a new version is rolled out: nodes
    of the version before go on working. Can be run again. SQLite is brought up to date by `serve` itself.
    """
    given = {"data": data, "database": database, "master_key_file": master_key_file, "account_id": account_id}
    settings = settings_of(config, **given)
    from moorage import app  # noqa: PLC0415 (half a second, that only commands which open a registry should take)

    try:
        if check:
            app.check_tables(settings)
        else:
            app.migrate(settings)
    except SettingsError as problem:
        if check:
            typer.echo(f"moorage: {problem}", err=True)
            raise typer.Exit(1) from None
        fail(str(problem))
    except (Unavailable, OSError) as problem:
        fail(str(problem))
    typer.echo(f"the tables are at revision {migrations.HEAD}")
