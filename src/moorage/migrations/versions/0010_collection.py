"""What garbage collection looks at, and deleted images."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the queues of the collector, and look once at everything that is there."""
    _loose_layers()
    _loose_blobs()
    _condemned()
    _deleted_images()
    # What was deleted before this release was noted nowhere.
    op.execute(
        "INSERT INTO loose_layers (repository_id, digest, due_at) "
        "SELECT repository_id, digest, linked_at FROM repository_blobs"
    )
    op.execute("INSERT INTO loose_blobs (digest, due_at) SELECT digest, created_at FROM blobs")


def _loose_layers() -> None:
    op.create_table(
        "loose_layers",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["repository_blobs.repository_id", "repository_blobs.digest"],
            name="fk_loose_layers_repository_id_digest",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name="pk_loose_layers"),
        comment="Layers of a repository that perhaps no image needs, and when that is looked at.",
    )
    op.create_index("ix_loose_layers_due_at", "loose_layers", ["due_at"])


def _loose_blobs() -> None:
    op.create_table(
        "loose_blobs",
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_loose_blobs_digest", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_loose_blobs"),
        comment="Blobs that perhaps no repository has, and when that is looked at.",
    )
    op.create_index("ix_loose_blobs_due_at", "loose_blobs", ["due_at"])


def _condemned() -> None:
    op.create_table(
        "condemned",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_condemned"),
        comment="Bytes that nothing refers to any more, to be deleted.",
    )
    op.create_index("ix_condemned_due_at", "condemned", ["due_at"])


def _deleted_images() -> None:
    op.create_table(
        "deleted_images",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("media_type", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=135), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by", sa.String(length=2048), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_deleted_images_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name="pk_deleted_images"),
        comment="Images that were deleted and can still be restored.",
    )
    op.create_index("ix_deleted_images_expires_at", "deleted_images", ["expires_at"])
    op.create_index("ix_deleted_images_repository_id_subject", "deleted_images", ["repository_id", "subject"])
