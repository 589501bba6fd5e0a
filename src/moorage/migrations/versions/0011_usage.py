"""What repositories hold, counted, and quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_COUNT = """
INSERT INTO usage (repository_id, account_id, images, bytes)
SELECT r.id, r.account_id,
  (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id),
  coalesce((SELECT sum(m.size) FROM manifests m WHERE m.repository_id = r.id), 0)
  + coalesce((SELECT sum(b.size) FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
              WHERE l.repository_id = r.id), 0)
FROM repositories r
"""


def upgrade() -> None:
    """Make the tables, and count what there is."""
    op.create_table(
        "usage",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("max_images", sa.BigInteger(), nullable=True),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_usage_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name="pk_usage"),
        comment="What repositories hold, and the quotas that are their own.",
    )
    op.create_index("ix_usage_account_id", "usage", ["account_id"])
    op.create_table(
        "account_quotas",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("max_repositories", sa.BigInteger(), nullable=True),
        sa.Column("max_images", sa.BigInteger(), nullable=True),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_quotas"),
        comment="Quotas that are an account's own.",
    )
    op.execute(_COUNT)


def downgrade() -> None:
    """Remove them."""
    op.drop_table("account_quotas")
    op.drop_table("usage")
