"""Alembic's entry: run the revisions on the connection that `moorage.migrations.upgrade` gave."""

from alembic import context

from moorage.registry.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
