"""Locations of any length, and which upload a blob's bytes came from: a sweep looks by that."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Widen the locations (SQLite holds no text to its length), and add the upload to the blobs."""
    if op.get_context().dialect.name != "sqlite":
        for table in ("blobs", "uploads"):
            op.alter_column(table, "location", type_=sa.Text(), existing_type=sa.String(1024), existing_nullable=False)
    op.add_column("blobs", sa.Column("upload_id", sa.String(length=36), nullable=True))
    op.create_index("ix_blobs_upload_id", "blobs", ["upload_id"])
    op.execute("UPDATE blobs SET upload_id = substr(location, 4, 36)")
