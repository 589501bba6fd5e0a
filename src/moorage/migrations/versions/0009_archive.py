"""Archived images, pull times, and settings of scanning."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables and columns."""
    _archivals()
    _pulls()
    _pull_exclusions()
    op.add_column("registries", sa.Column("scan_type", sa.String(length=16), nullable=True))
    op.add_column("registries", sa.Column("scan_rules", sa.JSON(), nullable=True))
    op.add_column("repositories", sa.Column("scan_on_push", sa.Boolean(), nullable=False, server_default=sa.false()))


def _of_image(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["manifests.repository_id", "manifests.digest"],
            name=f"fk_{table}_repository_id_digest",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=f"fk_{table}_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=f"pk_{table}"),
    )


def _archivals() -> None:
    op.create_table(
        "archivals",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        *_of_image("archivals"),
        comment="Images that are archived, or once were. Every other one is ACTIVE.",
    )


def _pulls() -> None:
    op.create_table(
        "pulls",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("pulled_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        *_of_image("pulls"),
        comment="When each image was last pulled, and how often. Written in batches, never by a pull.",
    )


def _pull_exclusions() -> None:
    op.create_table(
        "pull_exclusions",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("principal_arn", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "region", "principal_arn", name="pk_pull_exclusions"),
        comment="Users and roles whose pulls leave no time.",
    )
