"""Users with their sessions and accounts elsewhere, and installations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "user",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("mobile", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    for name, column in (("user_by_name", "username"), ("user_by_email", "email"), ("user_by_mobile", "mobile")):
        op.create_index(name, "user", ["app", column], unique=True, sqlite_where=sa.text(f"{column} IS NOT NULL"))
    op.create_table(
        "user_identity",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("user", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("app", "provider", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index("user_identity_by_user", "user_identity", ["user"], unique=False)
    op.create_table(
        "user_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("user_session_by_user", "user_session", ["user", "created_at"], unique=False)
    op.create_table(
        "installation",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("app", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=True),
        sa.Column("device_token", sa.Text(), nullable=True),
        sa.Column("device_type", sa.Text(), nullable=True),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "installation_by_id",
        "installation",
        ["app", "installation_id"],
        unique=True,
        sqlite_where=sa.text("installation_id IS NOT NULL"),
    )
    op.create_index(
        "installation_by_token",
        "installation",
        ["app", "device_token"],
        unique=False,
        sqlite_where=sa.text("device_token IS NOT NULL"),
    )
