"""When conversations were brought in from another server, and their columns of which nothing here makes use."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("imported_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "imported_column",
        sa.Column("conversation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "name"),
        sqlite_with_rowid=False,
    )
