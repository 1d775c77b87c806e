"""Service and temporary conversations, what is set about clients in conversations, seats in chat rooms, used
signatures, word lists.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("conversation", sa.Column("parent", sa.Integer(), nullable=True))
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
        "erasure",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("conversation"),
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
    op.create_table(
        "refusal",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("app", "client", "conversation"),
        sqlite_with_rowid=False,
    )
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
