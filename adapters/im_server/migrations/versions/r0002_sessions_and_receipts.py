"""Sessions, receipts, copies for one's other devices, read marks, and what retention needs.

Every two who have ever written to each other get their chat without a book, and all their messages
go into it: the first release never checked the session that a client named.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_CANONICAL = re.compile(r"[1-9][0-9]{0,18}")


def upgrade() -> None:
    _add_columns()
    _make_users()
    _make_sessions()
    _put_messages_into_chats()
    _make_entries_anew()
    op.create_index("messages_of_session", "messages", ["session_id", "recipient", "seq"])
    op.create_index(
        "messages_in_no_mailbox", "messages", ["accepted_at"], sqlite_where=sa.text("held = 0")
    )


def _add_columns() -> None:
    op.add_column(
        "mailboxes", sa.Column("delivered", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE mailboxes SET delivered = min(head, coalesce("
        "(SELECT max(cursor) FROM devices WHERE devices.user = mailboxes.user), 0))"
    )
    op.add_column(
        "devices", sa.Column("forgotten", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column(
        "messages", sa.Column("wants_receipt", sa.Boolean, nullable=False, server_default="0")
    )
    op.add_column("messages", sa.Column("held", sa.Integer, nullable=False, server_default="1"))
    op.execute(
        "UPDATE messages SET held = 0 WHERE NOT EXISTS (SELECT 1 FROM mailbox_entries e"
        " WHERE e.user = messages.recipient AND e.seq = messages.seq)"
    )


def _make_users() -> None:
    op.create_table(
        "users",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("last_seen", sa.BigInteger),
        sqlite_with_rowid=False,
    )


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("book_id", sa.BigInteger, nullable=False),
        sa.Column("buyer", sa.Text, nullable=False),
        sa.Column("seller", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("buyer_read", sa.BigInteger, nullable=False),
        sa.Column("seller_read", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_of_two", "sessions", ["buyer", "seller", "book_id"])
    active = sa.text("status = 1")
    op.create_index(
        "sessions_active",
        "sessions",
        ["book_id", "buyer", "seller"],
        unique=True,
        sqlite_where=active,
    )
    op.create_index("sessions_active_of_buyer", "sessions", ["buyer"], sqlite_where=active)
    op.create_index("sessions_active_of_seller", "sessions", ["seller"], sqlite_where=active)


def _put_messages_into_chats() -> None:
    connection = op.get_bind()
    began: dict[tuple[str, str], int] = {}
    for sender, recipient, at in connection.execute(
        sa.text(
            "SELECT sender, recipient, min(accepted_at) FROM messages"
            " GROUP BY sender, recipient ORDER BY min(id)"
        )
    ):
        pair = _in_order(sender, recipient)
        began[pair] = min(at, began.get(pair, at))
    chats = {pair: number for number, pair in enumerate(began, 1)}
    if not chats:
        return
    connection.execute(
        sa.text("INSERT INTO sessions VALUES (:id, 0, :buyer, :seller, 1, :at, NULL, 0, 0)"),
        [
            {"id": number, "buyer": buyer, "seller": seller, "at": began[buyer, seller]}
            for (buyer, seller), number in chats.items()
        ],
    )
    # In one sweep: the two of a message are its chat's, one way round or the other.
    connection.execute(
        sa.text(
            "UPDATE messages SET session_id = coalesce("
            "(SELECT id FROM sessions WHERE buyer = sender AND seller = recipient AND book_id = 0),"
            "(SELECT id FROM sessions WHERE buyer = recipient AND seller = sender AND book_id = 0))"
        )
    )


def _in_order(one: str, other: str) -> tuple[str, str]:
    """Numbers before names, the lower before the higher."""

    def rank(user: str) -> tuple[bool, int, str]:
        number = bool(_CANONICAL.fullmatch(user)) and int(user) < 2**63
        return (not number, int(user) if number else 0, user)

    first, second = sorted((one, other), key=rank)
    return first, second


def _make_entries_anew() -> None:
    """SQLite can't take NOT NULL and a foreign key off a column."""
    op.create_table(
        "new_entries",
        sa.Column("user", sa.Text, sa.ForeignKey("mailboxes.user"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("message_id", sa.Integer),
        sa.Column("data", sa.Text),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO new_entries SELECT e.user, e.seq, m.accepted_at, 0, m.id, NULL"
        " FROM mailbox_entries e JOIN messages m ON m.id = e.message_id ORDER BY e.user, e.seq"
    )
    op.drop_table("mailbox_entries")
    op.rename_table("new_entries", "mailbox_entries")
