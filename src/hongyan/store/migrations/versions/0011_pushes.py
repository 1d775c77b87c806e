"""Pushes: the channels of installations, credentials of services, and pushes that an app has asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LISTEN = (
    "INSERT OR IGNORE INTO installation_channel (app, channel, installation)"
    " SELECT i.app, c.value, i.key FROM installation i, json_each(i.columns, '$.channels') c"
    " WHERE json_type(i.columns, '$.channels') = 'array' AND c.type = 'text'"
)


def upgrade() -> None:
    op.create_table(
        "installation_channel",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("installation", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("app", "channel", "installation"),
        sqlite_with_rowid=False,
    )
    op.create_index("installation_channel_by_installation", "installation_channel", ["installation"])
    op.execute(_LISTEN)
    op.create_table(
        "push_service",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "service"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "push",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("req_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("push_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("begun", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("planned", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("devices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("successes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("invalid_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("push_by_req_id", "push", ["app", "req_id"], sqlite_where=sa.text("req_id IS NOT NULL"))
    op.create_index("push_waiting", "push", ["app", "push_at"], sqlite_where=sa.text("NOT begun"))
    op.create_index("push_by_time", "push", ["push_at"])
    op.create_index("push_by_app", "push", ["app"])
    # an older program would change the channels of an installation in one place only
    op.execute("UPDATE meta SET value = '0011' WHERE name = 'oldest_compatible'")
