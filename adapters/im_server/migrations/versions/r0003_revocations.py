"""Whose tokens are good no longer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("before", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
