"""The tables' history, as Alembic revisions; `upgrade` brings a database to `HEAD`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

HEAD: Final = "0006"
"""The revision that this version of Moorage works with (a test holds it to Alembic's own answer)."""


def current(engine: sa.Engine) -> str | None:
    """Return the revision of a database, None for an empty one. Does not need Alembic, whose import takes time."""
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        revision: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Run the revisions that a database lacks, in one transaction."""
    from alembic import command  # noqa: PLC0415 (slow to import, rarely needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
