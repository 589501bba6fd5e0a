"""
The tables, and nothing else.

Account and region are columns from the first migration. Times are whole
microseconds since the epoch: they sort, they fit 64 bits, and they are the
same on every database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since the epoch."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Return what the database stores."""
        return None if value is None else (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Return what the program works with."""
        return None if value is None else at(value)


def at(micros: int) -> datetime:
    """Return the moment that the database stores so; for lists, which read the number itself."""
    return EPOCH + timedelta(microseconds=micros)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_BY_KEY: Final[dict[str, Any]] = {"sqlite_with_rowid": False}
"""Of a table that is little more than its key: kept in the order of the key, which each of its indexes then holds."""


def _repository_id() -> sa.Column[str]:
    return sa.Column(
        "repository_id", sa.String(32), sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True
    )


def _some(where: str, name: str | None, *columns: str, sqlite: str = "") -> sa.Index:
    """Return an index of those rows only that are looked for in it: the others cost it nothing."""
    # PostgreSQL's condition is in its migration alone: to name it here loads its dialect, at each start.
    return sa.Index(name, *columns, sqlite_where=sa.text(sqlite or where))


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(64), nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    comment="Who repositories and identities belong to.",
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    comment="What is true of the installation: a check of its master key, the oldest version that can work on it.",
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("boundary", sa.String(128), nullable=True),
)

groups = sa.Table(
    "groups",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("user_name", sa.String(64), primary_key=True),
    sa.Column("group_name", sa.String(128), primary_key=True),
    sa.ForeignKeyConstraint(["account_id", "user_name"], ["users.account_id", "users.name"], ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["account_id", "group_name"], ["groups.account_id", "groups.name"], ondelete="CASCADE"),
    sa.Index(None, "account_id", "group_name"),
)

roles = sa.Table(
    "roles",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role_id", sa.String(128), nullable=False),
    sa.Column("trust", sa.Text, nullable=False),
    sa.Column("max_session", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("boundary", sa.String(128), nullable=True),
)

oidc_providers = sa.Table(
    "oidc_providers",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("issuer", sa.String(512), primary_key=True),
    sa.Column("audiences", sa.JSON, nullable=False),
    sa.Column("keys", sa.Text, nullable=True),
    sa.Column("keys_url", sa.String(2048), nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    comment="Issuers of web identities: their keys, or where they are; else found by discovery.",
)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    comment="Identity policies of an account's own, beside the built-in ones.",
)

attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("policy", sa.String(128), primary_key=True),
    comment="Which policy is attached to which user or group.",
)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("user_name", sa.String(64), nullable=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("expires_at", Instant, nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant, nullable=True),
    sa.Column("last_used_service", sa.String(32), nullable=True),
    sa.Column("last_used_region", sa.String(32), nullable=True),
    sa.ForeignKeyConstraint(["account_id", "user_name"], ["users.account_id", "users.name"], ondelete="CASCADE"),
    sa.Index(None, "account_id", "user_name"),
    comment="Who may sign: a user, or without one the account's root. The secret is sealed.",
)

registries = sa.Table(
    "registries",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("policy", sa.Text, nullable=True),
    sa.Column("policy_scope", sa.String(2), nullable=True),
    sa.Column("blob_mounting", sa.String(8), nullable=True),
    sa.Column("scan_type", sa.String(16), nullable=True),
    sa.Column("scan_rules", sa.JSON, nullable=True),
    comment="What is set for a registry as a whole. Without a row, or with NULL, the default holds.",
)

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("tag_mutability", sa.String(32), nullable=False),
    sa.Column("mutability_filters", sa.JSON, nullable=False),
    sa.Column("resource_tags", sa.JSON, nullable=False),
    sa.Column("policy", sa.Text, nullable=True),
    sa.Column("scan_on_push", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("account_id", "region", "name"),
)

creation_templates = sa.Table(
    "creation_templates",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("prefix", sa.String(256), primary_key=True),
    sa.Column("written", sa.String(256), nullable=False),
    sa.Column("description", sa.String(256), nullable=True),
    sa.Column("tag_mutability", sa.String(32), nullable=False),
    sa.Column("mutability_filters", sa.JSON, nullable=False),
    sa.Column("resource_tags", sa.JSON, nullable=False),
    sa.Column("repository_policy", sa.Text, nullable=True),
    sa.Column("lifecycle_policy", sa.Text, nullable=True),
    sa.Column("applied_for", sa.JSON, nullable=False),
    sa.Column("custom_role_arn", sa.String(2048), nullable=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    comment="What a repository gets that a push makes. The prefix without its last slash, and as it was written.",
)

_LOCATION: Final = sa.Text().with_variant(sa.String(1024), "sqlite")
"""Longer than SQLite's column says, which holds no text to that: an upload in thousands of parts names each."""

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("location", _LOCATION, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # Empty in what a node of an earlier version adds while the nodes are upgraded.
    sa.Column("upload_id", sa.String(36), nullable=True),
    sa.Column("damaged_at", Instant, nullable=True),
    sa.Index(None, "upload_id"),
    _some("damaged_at IS NOT NULL", None, "damaged_at"),
    comment="Bytes, once for the whole installation, and where they are.",
)

repository_blobs = sa.Table(
    "repository_blobs",
    metadata,
    _repository_id(),
    sa.Column("digest", sa.String(135), sa.ForeignKey("blobs.digest"), primary_key=True),
    sa.Column("media_type", sa.String(1024), nullable=True),
    sa.Column("linked_at", Instant, nullable=False),
    sa.Index(None, "digest"),
    comment="Who may see which layer.",
)

manifests = sa.Table(
    "manifests",
    metadata,
    _repository_id(),
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("media_type", sa.String(255), nullable=False),
    sa.Column("artifact_type", sa.String(1024), nullable=True),
    sa.Column("subject", sa.String(135), nullable=True),
    sa.Column("image_size", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("annotations", sa.JSON, nullable=True),
    sa.Column("pushed_at", Instant, nullable=False),
    sa.Column("tagged", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("damaged_at", Instant, nullable=True),
    sa.Index(None, "repository_id", "pushed_at", "digest"),
    _some("NOT tagged", "ix_manifests_untagged", "repository_id", "digest", sqlite="tagged = 0"),
    sa.Index(None, "repository_id", "tagged", "pushed_at", "digest"),
    _some("subject IS NOT NULL", "ix_manifests_following", "repository_id", "subject", "digest"),
    _some("damaged_at IS NOT NULL", None, "damaged_at"),
    comment="Images: one stored manifest each, its bytes as they came.",
)


def _of_image() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"], ondelete="CASCADE"
    )


archivals = sa.Table(
    "archivals",
    metadata,
    _repository_id(),
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("archived_at", Instant, nullable=False),
    sa.Column("activated_at", Instant, nullable=True),
    _of_image(),
    sa.Index(None, "repository_id", "status"),
    comment="Images that are archived, or once were. Every other one is ACTIVE.",
)

pulls = sa.Table(
    "pulls",
    metadata,
    _repository_id(),
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("pulled_at", Instant, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    _of_image(),
    comment="When each image was last pulled, and how often. Written in batches, never by a pull.",
)

pull_exclusions = sa.Table(
    "pull_exclusions",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("principal_arn", sa.String(200), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
    comment="Users and roles whose pulls leave no time.",
)

tags = sa.Table(
    "tags",
    metadata,
    _repository_id(),
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("digest", sa.String(135), nullable=False),
    sa.Column("tagged_at", Instant, nullable=False),
    _of_image(),
    sa.Index(None, "repository_id", "digest", "name"),
    **_BY_KEY,
)

edges = sa.Table(
    "edges",
    metadata,
    _repository_id(),
    sa.Column("parent", sa.String(135), primary_key=True),
    sa.Column("child", sa.String(135), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.ForeignKeyConstraint(
        ["repository_id", "parent"], ["manifests.repository_id", "manifests.digest"], ondelete="CASCADE"
    ),
    sa.Index(None, "repository_id", "child", "kind"),
    **_BY_KEY,
    comment="What a manifest refers to: layer (config included), image (index to child), subject.",
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("repository_id", sa.String(32), sa.ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("small_parts", sa.Integer, nullable=False),
    sa.Column("last_part_small", sa.Boolean, nullable=False),
    sa.Column("location", _LOCATION, nullable=False),
    sa.Column("touched_at", Instant, nullable=False),
    sa.Index(None, "repository_id"),
    sa.Index(None, "touched_at"),
    comment="Layers on their way in.",
)

lifecycle_policies = sa.Table(
    "lifecycle_policies",
    metadata,
    _repository_id(),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evaluated_at", Instant, nullable=True),
    sa.Column("due_at", Instant, nullable=False),
    sa.Index(None, "due_at", "repository_id"),
    comment="Which images have had their time, and when that is next looked at.",
)

lifecycle_previews = sa.Table(
    "lifecycle_previews",
    metadata,
    _repository_id(),
    sa.Column("id", sa.String(36), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("expiring", sa.Integer, nullable=False),
    sa.Column("transitioning", sa.Integer, nullable=False),
    comment="The last preview of a lifecycle policy, one a repository.",
)

lifecycle_results = sa.Table(
    "lifecycle_results",
    metadata,
    _repository_id(),
    sa.Column("preview_id", sa.String(36), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(135), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("pushed_at", Instant, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("storage_class", sa.String(16), nullable=False),
    comment="What a preview found, in order.",
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("argument", sa.String(512), primary_key=True),
    sa.Column("next_run_at", Instant, nullable=False),
    sa.Column("again", sa.Boolean, nullable=False),
    sa.Column("leased_by", sa.String(128), nullable=True),
    sa.Column("leased_until", Instant, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("progress", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("cursor", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("started_at", Instant, nullable=True),
    sa.Column("finished_at", Instant, nullable=True),
    sa.Column("succeeded_at", Instant, nullable=True),
    sa.Column("outcome", sa.String(16), nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    sa.Index(None, "next_run_at"),
    comment="Work that no request waits for: when it is due, who has it, how far it is, what came of it.",
)

loose_layers = sa.Table(
    "loose_layers",
    metadata,
    sa.Column("repository_id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("due_at", Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["repository_id", "digest"],
        ["repository_blobs.repository_id", "repository_blobs.digest"],
        ondelete="CASCADE",
    ),
    sa.Index(None, "due_at"),
    **_BY_KEY,
    comment="Layers of a repository that perhaps no image needs, and when that is looked at.",
)

loose_blobs = sa.Table(
    "loose_blobs",
    metadata,
    sa.Column("digest", sa.String(135), sa.ForeignKey("blobs.digest", ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", Instant, nullable=False),
    sa.Index(None, "due_at"),
    comment="Blobs that perhaps no repository has, and when that is looked at.",
)

condemned = sa.Table(
    "condemned",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("claimed_until", Instant, nullable=True),
    sa.Index(None, "due_at"),
    comment="Bytes that nothing refers to any more, to be deleted.",
)

deleted_images = sa.Table(
    "deleted_images",
    metadata,
    _repository_id(),
    sa.Column("digest", sa.String(135), primary_key=True),
    sa.Column("media_type", sa.String(255), nullable=False),
    sa.Column("subject", sa.String(135), nullable=True),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("pushed_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant, nullable=False),
    sa.Column("deleted_by", sa.String(2048), nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index(None, "expires_at"),
    sa.Index(None, "repository_id", "subject"),
    comment="Images that were deleted and can still be restored.",
)

usage = sa.Table(
    "usage",
    metadata,
    _repository_id(),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("images", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("max_images", sa.BigInteger, nullable=True),
    sa.Column("max_bytes", sa.BigInteger, nullable=True),
    sa.Index(None, "account_id"),
    comment="What repositories hold, and the quotas that are their own.",
)

account_quotas = sa.Table(
    "account_quotas",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("max_repositories", sa.BigInteger, nullable=True),
    sa.Column("max_images", sa.BigInteger, nullable=True),
    sa.Column("max_bytes", sa.BigInteger, nullable=True),
    comment="Quotas that are an account's own.",
)
