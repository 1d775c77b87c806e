"""Alembic's entry: migrations run on the connection that `versions.migrate` hands over."""

from alembic import context

from hongyan.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
