"""The parts of a message that have arrived, while others of it still wait."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hub_delivery", sa.Column("parts", sa.JSON(), nullable=True))
