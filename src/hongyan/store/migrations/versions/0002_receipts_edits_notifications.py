"""Receipt marks, an index of edited messages, notifications kept for clients that are away."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("member", sa.Column("read_to", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("member", sa.Column("ack_to", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("message", sa.Column("acked_at", sa.BigInteger(), nullable=True))
    op.add_column("message", sa.Column("read_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "message_by_patch",
        "message",
        ["conversation", "patched_at"],
        unique=False,
        sqlite_where=sa.text("patched_at IS NOT NULL"),
    )
    op.create_table(
        "notification",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", "client", "at", "conversation"),
        sqlite_with_rowid=False,
    )
    op.create_index("notification_by_time", "notification", ["at"], unique=False)
    # Nobody acknowledged anything before: what was sent until now counts as received. The time of what was read is
    # known where that was the last message; to look for the others would take long.
    op.execute(
        "UPDATE member SET ack_seq = c.last_seq, ack_to = coalesce(c.last_message_at, 0),"
        " read_to = CASE WHEN read_at > 0 AND read_seq = c.last_seq THEN coalesce(c.last_message_at, 0) ELSE 0 END"
        " FROM conversation c WHERE c.key = member.conversation"
    )
