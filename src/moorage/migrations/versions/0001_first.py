"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    _attachments()
    _blobs()
    _groups()
    _oidc_providers()
    _policies()
    _repositories()
    _roles()
    _users()
    _access_keys()
    _manifests()
    _memberships()
    _repository_blobs()
    _uploads()
    _edges()
    _tags()


def _attachments() -> None:
    op.create_table(
        "attachments",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("policy", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", "name", "policy", name="pk_attachments"),
        comment="Which policy is attached to which user or group.",
    )


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
        comment="Bytes, once for the whole installation, and where they are.",
    )


def _groups() -> None:
    op.create_table(
        "groups",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_groups"),
    )


def _oidc_providers() -> None:
    op.create_table(
        "oidc_providers",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("audiences", sa.JSON(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=True),
        sa.Column("keys_url", sa.String(length=2048), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "issuer", name="pk_oidc_providers"),
        comment="Issuers of web identities: their keys, or where they are; else found by discovery.",
    )


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_policies"),
        comment="Identity policies of an account's own, beside the built-in ones.",
    )


def _repositories() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tag_mutability", sa.String(length=32), nullable=False),
        sa.Column("mutability_filters", sa.JSON(), nullable=False),
        sa.Column("resource_tags", sa.JSON(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_repositories"),
        sa.UniqueConstraint("account_id", "region", "name", name="uq_repositories_account_id_region_name"),
    )


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=128), nullable=False),
        sa.Column("trust", sa.Text(), nullable=False),
        sa.Column("max_session", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_roles"),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_users"),
    )


def _access_keys() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "user_name"],
            ["users.account_id", "users.name"],
            name="fk_access_keys_account_id_user_name",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
        comment="Who may sign: a user, or without one the account's root. The secret is sealed.",
    )
    op.create_index("ix_access_keys_account_id_user_name", "access_keys", ["account_id", "user_name"])


def _manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("media_type", sa.String(length=255), nullable=False),
        sa.Column("artifact_type", sa.String(length=1024), nullable=True),
        sa.Column("subject", sa.String(length=135), nullable=True),
        sa.Column("image_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=True),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("tagged", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_manifests_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name="pk_manifests"),
        comment="Images: one stored manifest each, its bytes as they came.",
    )
    op.create_index(
        "ix_manifests_repository_id_pushed_at_digest", "manifests", ["repository_id", "pushed_at", "digest"]
    )
    op.create_index("ix_manifests_repository_id_subject_digest", "manifests", ["repository_id", "subject", "digest"])
    op.create_index("ix_manifests_repository_id_tagged_digest", "manifests", ["repository_id", "tagged", "digest"])


def _memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "group_name"],
            ["groups.account_id", "groups.name"],
            name="fk_memberships_account_id_group_name",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "user_name"],
            ["users.account_id", "users.name"],
            name="fk_memberships_account_id_user_name",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "user_name", "group_name", name="pk_memberships"),
    )
    op.create_index("ix_memberships_account_id_group_name", "memberships", ["account_id", "group_name"])


def _repository_blobs() -> None:
    op.create_table(
        "repository_blobs",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("media_type", sa.String(length=1024), nullable=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_repository_blobs_digest"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_repository_blobs_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name="pk_repository_blobs"),
        comment="Who may see which layer.",
    )
    op.create_index("ix_repository_blobs_digest", "repository_blobs", ["digest"])


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("small_parts", sa.Integer(), nullable=False),
        sa.Column("last_part_small", sa.Boolean(), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_uploads_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        comment="Layers on their way in.",
    )
    op.create_index("ix_uploads_repository_id", "uploads", ["repository_id"])
    op.create_index("ix_uploads_touched_at", "uploads", ["touched_at"])


def _edges() -> None:
    op.create_table(
        "edges",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.String(length=135), nullable=False),
        sa.Column("child", sa.String(length=135), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "parent"],
            ["manifests.repository_id", "manifests.digest"],
            name="fk_edges_repository_id_parent",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_edges_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "parent", "child", "kind", name="pk_edges"),
        comment="What a manifest refers to: layer (config included), image (index to child), subject.",
    )
    op.create_index("ix_edges_repository_id_child_kind", "edges", ["repository_id", "child", "kind"])


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("repository_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("tagged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["manifests.repository_id", "manifests.digest"],
            name="fk_tags_repository_id_digest",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_tags_repository_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name="pk_tags"),
    )
    op.create_index("ix_tags_repository_id_digest_name", "tags", ["repository_id", "digest", "name"])
