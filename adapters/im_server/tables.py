"""The tables of the store.

A user id is kept as text, an int as its decimal: `user_id()` reads a canonical decimal as the
int, so the text stands for one id only. Times are in milliseconds since 1970.

What changes here gets a revision in `migrations/versions/`, and the number of that revision is
`SCHEMA_VERSION`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from im_proto.wire.session import ACTIVE

__all__ = [
    "MESSAGE",
    "READ_SYNC",
    "RECEIPT",
    "SCHEMA_VERSION",
    "devices",
    "entries",
    "fences",
    "mailboxes",
    "messages",
    "meta",
    "metadata",
    "revocations",
    "sessions",
    "users",
]

SCHEMA_VERSION = 4

#: The kinds of entries.
MESSAGE, RECEIPT, READ_SYNC = range(3)

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    sqlite_with_rowid=False,
)

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("user", Text, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("head", BigInteger, nullable=False),
    # The highest seq that any device of the user has acknowledged.
    Column("delivered", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

#: The present generation and the cursor. All plain logins of a user share the device "".
devices = Table(
    "devices",
    metadata,
    Column("user", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("cursor", BigInteger),  # NULL: it has acknowledged nothing yet
    Column("last_msg_id", BigInteger, nullable=False),
    Column("last_login_at", BigInteger),
    # The highest msgId of a message of it that retention has let go.
    Column("forgotten", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

#: When who was here last.
users = Table(
    "users",
    metadata,
    Column("user", Text, primary_key=True),
    Column("last_seen", BigInteger),  # NULL: it is nobody's business
    sqlite_with_rowid=False,
)

#: Whose tokens that were made before are good no longer.
revocations = Table(
    "revocations",
    metadata,
    Column("user", Text, primary_key=True),
    Column("before", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("book_id", BigInteger, nullable=False),  # 0: a chat without a book
    Column("buyer", Text, nullable=False),
    Column("seller", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # NULL: never
    # The seq, in the own mailbox, of the newest message that was read.
    Column("buyer_read", BigInteger, nullable=False),
    Column("seller_read", BigInteger, nullable=False),
)
Index("sessions_of_two", sessions.c.buyer, sessions.c.seller, sessions.c.book_id)
_active = sessions.c.status == literal_column(str(ACTIVE))
Index(
    "sessions_active",
    sessions.c.book_id,
    sessions.c.buyer,
    sessions.c.seller,
    unique=True,
    sqlite_where=_active,
)
Index("sessions_active_of_buyer", sessions.c.buyer, sqlite_where=_active)
Index("sessions_active_of_seller", sessions.c.seller, sqlite_where=_active)

#: Row numbers count up in the order of acceptance: they are the places of a history.
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    # The sender's own id where the server had to make another (plain senders), else NULL.
    Column("client_msg_id", BigInteger),
    Column("msg_id", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    # The entry in the recipient's mailbox, so that a repeat is answered without an index there.
    Column("seq", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    # Never NULL; the first release allowed it, and SQLite can't forbid it without a new table.
    Column("session_id", BigInteger),
    Column("accepted_at", BigInteger, nullable=False),
    Column("wants_receipt", Boolean, nullable=False, server_default="0"),
    # How many mailboxes have an entry of it.
    Column("held", Integer, nullable=False, server_default="1"),
    UniqueConstraint("sender", "msg_id"),
)
# Nearly empty, as nearly every message has NULL there: it costs an ordinary insert nothing.
Index(
    "messages_by_client_msg_id",
    messages.c.sender,
    messages.c.client_msg_id,
    sqlite_where=messages.c.client_msg_id.is_not(None),
)
# What is unread, and the history of a session. One index for both: all messages to one user have
# their seqs and their row numbers in the same order.
Index("messages_of_session", messages.c.session_id, messages.c.recipient, messages.c.seq)
# The history of two, in all their sessions: an index ends with the row number.
Index("messages_of_two", messages.c.sender, messages.c.recipient)
# What a retention may let go; empty but for what waits for it.
Index(
    "messages_in_no_mailbox",
    messages.c.accepted_at,
    sqlite_where=messages.c.held == literal_column("0"),
)

#: The logins of a device, and the last message before each: what an older login has written behind
#: that row got past its fence. Nothing reads it but an audit.
fences = Table(
    "fences",
    metadata,
    Column("user", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("logged_in_at", BigInteger, nullable=False),
    Column("last_message_id", Integer, nullable=False),
    sqlite_with_rowid=False,
)

#: What stands in a mailbox. A copy of what its user has sent refers to the same message as the
#: entry of the recipient does.
entries = Table(
    "mailbox_entries",
    metadata,
    Column("user", Text, ForeignKey("mailboxes.user"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Integer, nullable=False),
    # Not a foreign key: for each message that goes, SQLite would look through all entries.
    Column("message_id", Integer),  # NULL in all kinds but MESSAGE
    Column("data", Text),  # JSON of the others
    sqlite_with_rowid=False,
)
