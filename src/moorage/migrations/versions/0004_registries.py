"""Registry policies, account settings, permissions boundaries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of registries, and the columns of boundaries."""
    op.create_table(
        "registries",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("policy_scope", sa.String(length=2), nullable=True),
        sa.Column("blob_mounting", sa.String(length=8), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "region", name="pk_registries"),
        comment="What is set for a registry as a whole. Without a row, or with NULL, the default holds.",
    )
    op.add_column("users", sa.Column("boundary", sa.String(length=128), nullable=True))
    op.add_column("roles", sa.Column("boundary", sa.String(length=128), nullable=True))
