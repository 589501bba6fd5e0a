"""Indexes of manifests hold what is looked for in them: untagged images, and what has a subject."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Leave out of two indexes the rows that most images are."""
    untagged = {"sqlite_where": sa.text("tagged = 0"), "postgresql_where": sa.text("NOT tagged")}
    _anew("ix_manifests_repository_id_tagged_digest", "ix_manifests_untagged", ["repository_id", "digest"], untagged)
    there = sa.text("subject IS NOT NULL")
    following = {"sqlite_where": there, "postgresql_where": there}
    columns = ["repository_id", "subject", "digest"]
    _anew("ix_manifests_repository_id_subject_digest", "ix_manifests_following", columns, following)


def _anew(before: str, name: str, columns: list[str], where: dict[str, Any]) -> None:
    op.drop_index(before, "manifests")
    op.create_index(name, "manifests", columns, **where)
