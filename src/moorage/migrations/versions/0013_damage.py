"""What was found damaged, and since when: it counts as missing until it is pushed again."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the marks, and indexes of the few rows that will have one."""
    marked = sa.text("damaged_at IS NOT NULL")
    for table in ("blobs", "manifests"):
        op.add_column(table, sa.Column("damaged_at", sa.BigInteger(), nullable=True))
        op.create_index(f"ix_{table}_damaged_at", table, ["damaged_at"], sqlite_where=marked, postgresql_where=marked)
