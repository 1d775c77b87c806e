"""Service and temporary conversations, what is set about clients in conversations, seats in chat rooms, used
signatures, word lists.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


COLUMNS = (
    "key, app, id, kind, creator, name, attr, columns, unique_id, created_at, updated_at, version, member_count,"
    " last_seq, last_message_at, mention_all_seq, mention_all_by, mention_all_before"
)


def upgrade() -> None:
    _rebuild_conversation()
    op.create_table(
        "deleted_conversation",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(
        "conversation_by_expiry",
        "conversation",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "conversation_by_parent",
        "conversation",
        ["parent", "last_message_at"],
        unique=False,
        sqlite_where=sa.text("parent IS NOT NULL"),
    )
    op.create_index(
        "service_conversation",
        "conversation",
        ["app"],
        unique=False,
        sqlite_where=sa.text("kind = 3 AND parent IS NULL"),
    )
    op.create_table(
        "hidden_message",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("conversation", "client", "timestamp", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "standing",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=True),
        sa.Column("role_id", sa.Text(), nullable=True),
        sa.Column("silenced_until", sa.BigInteger(), nullable=True),
        sa.Column("blocked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("conversation", "client"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "standing_by_silence",
        "standing",
        ["conversation", "silenced_until"],
        unique=False,
        sqlite_where=sa.text("silenced_until IS NOT NULL"),
    )
    op.create_index(
        "standing_by_block",
        "standing",
        ["conversation"],
        unique=False,
        sqlite_where=sa.text("blocked_at IS NOT NULL"),
    )
    op.create_index(
        "standing_by_role",
        "standing",
        ["conversation", "role"],
        unique=False,
        sqlite_where=sa.text("role_id IS NOT NULL"),
    )
    op.create_table(
        "refusal",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("app", "client", "conversation"),
        sqlite_with_rowid=False,
    )
    op.create_index("refusal_by_conversation", "refusal", ["conversation"], unique=False)
    op.create_table(
        "seat",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Integer(), nullable=False),
        sa.Column("lost_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("app", "client", "device"),
        sqlite_with_rowid=False,
    )
    op.create_index("seat_by_loss", "seat", ["lost_at"], unique=False, sqlite_where=sa.text("lost_at IS NOT NULL"))
    op.create_index("seat_by_conversation", "seat", ["conversation"], unique=False)
    op.create_table(
        "used_signature",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("used_signature_by_expiry", "used_signature", ["expires_at"], unique=False)
    op.create_table(
        "word_list",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app"),
    )


def _rebuild_conversation() -> None:
    """Only a new table can have keys that are never given again."""
    op.create_table(
        "conversation_new",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("attr", sa.JSON(), nullable=True),
        sa.Column("columns", sa.JSON(), nullable=True),
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
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("swept_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("swept_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.execute(f"INSERT INTO conversation_new ({COLUMNS}) SELECT {COLUMNS} FROM conversation")
    op.drop_table("conversation")
    op.rename_table("conversation_new", "conversation")
    op.create_index(
        "conversation_by_unique_id",
        "conversation",
        ["app", "unique_id"],
        unique=False,
        sqlite_where=sa.text("unique_id IS NOT NULL"),
    )
