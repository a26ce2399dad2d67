"""All that two have written to each other, found in the order of acceptance."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("messages_of_two", "messages", ["sender", "recipient"])
