"""Uploaded files."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "file",
        sa.Column("app", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("detected", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("md5", sa.Text(), nullable=True),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("acl", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", "id"),
    )
    op.create_index("file_by_key", "file", ["key"], unique=True, sqlite_where=sa.text("key IS NOT NULL"))
    op.create_index("file_by_url", "file", ["app", "url"], unique=False, sqlite_where=sa.text("url IS NOT NULL"))
    op.create_index("file_by_time", "file", ["app", "created_at", "id"], unique=False)
    op.create_index("file_unfinished", "file", ["created_at"], unique=False, sqlite_where=sa.text("size IS NULL"))
