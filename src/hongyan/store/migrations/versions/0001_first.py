"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "app",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "conversation",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("attr", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("columns", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("unique_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("member_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("mention_all_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mention_all_by", sa.Text(), nullable=True),
        sa.Column("mention_all_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
    )
    op.create_index(
        "conversation_by_unique_id",
        "conversation",
        ["app", "unique_id"],
        unique=False,
        sqlite_where=sa.text("unique_id IS NOT NULL"),
    )
    op.create_table(
        "member",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("muted", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("read_seq", sa.BigInteger(), nullable=False),
        sa.Column("own_since_read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("read_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mention_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ack_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ack_extra", sa.LargeBinary(), nullable=True),
        sa.Column("ack_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("conversation", "client"),
        sqlite_with_rowid=False,
    )
    op.create_index("member_by_client", "member", ["app", "client", "conversation"], unique=False)
    op.create_table(
        "message",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("flags", sa.Integer(), server_default="0", nullable=False),
        sa.Column("mentions", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("patched_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("conversation", "timestamp", "seq"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "revoked_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("revoked_token_by_expiry", "revoked_token", ["expires_at"], unique=False)
    op.create_table(
        "sent_token",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "client", "token"),
        sqlite_with_rowid=False,
    )
    op.create_index("sent_token_by_time", "sent_token", ["timestamp"], unique=False)
    op.execute("INSERT INTO meta (name, value) VALUES ('oldest_compatible', '0001')")
