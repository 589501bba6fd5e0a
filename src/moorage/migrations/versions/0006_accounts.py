"""Accounts as rows, and when keys were last used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_HOLDING = ("access_keys", "users", "groups", "roles", "policies", "oidc_providers", "repositories")


def upgrade() -> None:
    """Make the table, with an account for each that anything belongs to."""
    accounts = op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        comment="Who repositories and identities belong to.",
    )
    held = [
        sa.select(table.c.account_id, table.c.created_at)
        for table in (sa.table(name, sa.column("account_id"), sa.column("created_at")) for name in _HOLDING)
    ]
    all_ = sa.union_all(*held).subquery()
    found = sa.select(all_.c.account_id, sa.null(), sa.func.min(all_.c.created_at)).group_by(all_.c.account_id)
    op.execute(accounts.insert().from_select(["id", "name", "created_at"], found))
    op.add_column("access_keys", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    op.add_column("access_keys", sa.Column("last_used_service", sa.String(length=32), nullable=True))
    op.add_column("access_keys", sa.Column("last_used_region", sa.String(length=32), nullable=True))
