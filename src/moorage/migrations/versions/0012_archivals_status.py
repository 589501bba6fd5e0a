"""Whether a repository has anything archived is asked by each pull of a layer."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_archivals_repository_id_status", "archivals", ["repository_id", "status"])
