"""Messages, mailboxes, devices and fences: the tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailboxes",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("head", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "devices",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.BigInteger),
        sa.Column("last_msg_id", sa.BigInteger, nullable=False),
        sa.Column("last_login_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("client_msg_id", sa.BigInteger),
        sa.Column("msg_id", sa.BigInteger, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("message_type", sa.Text, nullable=False),
        sa.Column("session_id", sa.BigInteger),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("sender", "msg_id"),
    )
    op.create_index(
        "messages_by_client_msg_id",
        "messages",
        ["sender", "client_msg_id"],
        sqlite_where=sa.text("client_msg_id IS NOT NULL"),
    )
    op.create_table(
        "fences",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("logged_in_at", sa.BigInteger, nullable=False),
        sa.Column("last_message_id", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailbox_entries",
        sa.Column("user", sa.Text, sa.ForeignKey("mailboxes.user"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("message_id", sa.Integer, sa.ForeignKey("messages.id"), nullable=False),
        sqlite_with_rowid=False,
    )
