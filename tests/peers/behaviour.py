"""What a plain server is told to do, and the records that it keeps."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from websockets.asyncio.server import ServerConnection

from peers.judge import Judge
from peers.wire import Message, UserId


@dataclass
class Behaviour:
    """What the server does; may be changed while it runs. Counts of sends are server-wide."""

    ok_code: int = 200
    ids: Literal["number", "string"] = "number"
    message_as: Literal["string", "object"] = "string"
    # An empty message as {}, null, "", "null", or not there.
    null_style: Literal["braces", "null", "empty", "word", "missing"] = "braces"
    auth_data: bool = True  # AUTH_RESPONSE has `data`

    # An AUTH_REQUEST with unknown keys: silence, a close, or code 400. With strict_user_id
    # userId is an unknown key as well.
    strict_keys: Literal["mute", "close", "reject_400"] | None = None
    strict_user_id: bool = False
    refuse_auth: int | None = None
    # After so many stored sends under one token: 40101, to sends and to its logins.
    token_expired_after: int | None = None
    lasting_tokens: Collection[str] = ()

    # By content: (code, text) instead of storing it, the first refuse_times times.
    refuse: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    refuse_times: int | None = None
    refuse_with_error_type: Literal["message", "errorMsg"] | None = None
    error_msg_id: bool = True  # CHAT_ERROR_RESPONSE has msgId

    answer_no_code: bool = False
    mute_sends: bool = False  # stores and pushes, never answers
    hold_sends: bool = False  # stores and pushes, answers at release()
    probe_sends: bool = False  # one ping and its pong before each answer: finds pipelining
    mute_heartbeat: bool = False  # answers neither heartbeats nor pings

    # The send, or sends, counted from 1, at which the TCP connection is dropped.
    drop_after_sends: int | Collection[int] = ()
    drop_before_store: int | Collection[int] = ()
    # By content: closes with this code instead of storing it.
    close_on: Mapping[str, int] = field(default_factory=dict)
    # Closes at the nth frame of a connection, instead of handling it: the first
    # close_connections connections, or all.
    close_after_frames: int | None = None
    close_code: int = 1011
    close_connections: int | None = None


class Seen(NamedTuple):
    """A data frame as it came."""

    conn: int
    raw: str | bytes


class Accepted(NamedTuple):
    """A message that was stored; the server is not idempotent, so repeats repeat."""

    conn: int
    from_user: UserId
    to_user: UserId
    msg_id: int | None
    content: str


class Auth(NamedTuple):
    """A login and the code that it was answered with, None when it was not."""

    conn: int
    token: object
    message: Message
    code: int | None


@dataclass
class Link:
    """One connection, in the order of their coming; numbers start at 0."""

    number: int
    ws: ServerConnection
    judge: Judge
    user: UserId | None = None
    token: str = ""
    open: bool = True
    dropped: bool = False
    frames: int = 0
    inbox: asyncio.Queue[str | bytes | None] = field(default_factory=asyncio.Queue)

    @property
    def close_code(self) -> int | None:
        """The close code, 1006 when there was no close frame."""
        return self.ws.close_code
