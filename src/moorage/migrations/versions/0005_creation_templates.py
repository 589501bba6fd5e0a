"""Repository creation templates."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "creation_templates",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("prefix", sa.String(length=256), nullable=False),
        sa.Column("written", sa.String(length=256), nullable=False),
        sa.Column("description", sa.String(length=256), nullable=True),
        sa.Column("tag_mutability", sa.String(length=32), nullable=False),
        sa.Column("mutability_filters", sa.JSON(), nullable=False),
        sa.Column("resource_tags", sa.JSON(), nullable=False),
        sa.Column("repository_policy", sa.Text(), nullable=True),
        sa.Column("lifecycle_policy", sa.Text(), nullable=True),
        sa.Column("applied_for", sa.JSON(), nullable=False),
        sa.Column("custom_role_arn", sa.String(length=2048), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "region", "prefix", name="pk_creation_templates"),
        comment="What a repository gets that a push makes. The prefix without its last slash, and as it was written.",
    )
