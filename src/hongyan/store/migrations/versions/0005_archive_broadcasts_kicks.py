"""Messages of an app by time, who has written where, broadcasts to all clients, clients that logged in, kicks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("app", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE message SET app = (SELECT c.app FROM conversation c WHERE c.key = message.conversation)"
        " WHERE app IS NULL"
    )
    op.create_index("message_by_time", "message", ["app", "timestamp"], unique=False)
    _authors()
    _broadcasts()
    _clients()
    op.create_table(
        "kick",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "client"),
        sqlite_with_rowid=False,
    )
    op.create_index("kick_by_expiry", "kick", ["expires_at"], unique=False)
    # an older program would show what was deleted
    op.execute("UPDATE meta SET value = '0005' WHERE name = 'oldest_compatible'")


def _authors() -> None:
    op.create_table(
        "author",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("app", "client", "conversation"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO author (app, client, conversation)"
        " SELECT DISTINCT app, sender, conversation FROM message WHERE app IS NOT NULL"
    )
    op.create_index("author_by_conversation", "author", ["conversation"], unique=False)


def _broadcasts() -> None:
    op.create_table(
        "broadcast",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.Integer(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("flags", sa.Integer(), server_default="0", nullable=False),
        sa.Column("patched_at", sa.BigInteger(), nullable=True),
        sa.Column("valid_till", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("broadcast_by_conversation", "broadcast", ["conversation", "timestamp"], unique=False)
    op.create_index("broadcast_by_app", "broadcast", ["app", "timestamp"], unique=False)
    op.create_index("broadcast_by_end", "broadcast", ["valid_till"], unique=False)


def _clients() -> None:
    """Whoever is a member of anything has logged in before, or will be taken for such a one."""
    op.create_table(
        "client",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("seen_day", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("app", "client"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO client (app, client, seen_day) SELECT DISTINCT app, client, 0 FROM member")
