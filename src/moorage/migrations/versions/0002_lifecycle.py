"""Lifecycle policies and their previews."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of lifecycle policies."""
    _policies()
    _previews()
    _results()


def _of_repository(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_repository_id"
    return sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=name, ondelete="CASCADE")


def _policies() -> None:
    op.create_table(
        "lifecycle_policies",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        _of_repository("lifecycle_policies"),
        sa.PrimaryKeyConstraint("repository_id", name="pk_lifecycle_policies"),
        comment="Which images have had their time, and when that is next looked at.",
    )
    op.create_index("ix_lifecycle_policies_due_at_repository_id", "lifecycle_policies", ["due_at", "repository_id"])


def _previews() -> None:
    op.create_table(
        "lifecycle_previews",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("expiring", sa.Integer(), nullable=False),
        sa.Column("transitioning", sa.Integer(), nullable=False),
        _of_repository("lifecycle_previews"),
        sa.PrimaryKeyConstraint("repository_id", name="pk_lifecycle_previews"),
        comment="The last preview of a lifecycle policy, one a repository.",
    )


def _results() -> None:
    op.create_table(
        "lifecycle_results",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("preview_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("storage_class", sa.String(length=16), nullable=False),
        _of_repository("lifecycle_results"),
        sa.PrimaryKeyConstraint("repository_id", "preview_id", "position", name="pk_lifecycle_results"),
        comment="What a preview found, in order.",
    )
