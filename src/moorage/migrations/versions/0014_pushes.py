"""Images with tags, or without, in the order of their pushes: a list of the few among many is as quick as any other."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the index."""
    columns = ["repository_id", "tagged", "pushed_at", "digest"]
    op.create_index("ix_manifests_repository_id_tagged_pushed_at_digest", "manifests", columns)
