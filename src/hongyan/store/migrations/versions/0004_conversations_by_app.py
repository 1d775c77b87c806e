"""An index of an app's conversations in the order in which they were made, for whoever walks them all."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("conversation_by_app", "conversation", ["app"], sqlite_where=sa.text("parent IS NULL"))
