"""What a server is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Frozen, Positive


class ServerConfig(Frozen):
    """What the server's engine is told. Durations in seconds."""

    #: where the WebSocket is
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/ws"
    #: from the first byte to the end of the upgrade request
    handshake_timeout: Positive = 10.0
    #: from the upgrade to AUTH_REQUEST, and for the authenticator
    auth_timeout: Positive = 10.0
    #: the rhythm that clients are told, and the pace of pings to plain peers
    heartbeat_interval: Positive = 30.0
    heartbeat_timeout: Positive = 5.0
    #: silence after which a peer is gone, in heartbeat intervals
    idle_intervals: Annotated[float, Field(ge=1)] = 3.0
    #: from our close frame to the peer's
    close_timeout: Positive = 5.0
    #: from the first byte of a frame or message to its last
    partial_timeout: Positive = 30.0
    #: neither an ack nor a byte taken for this long: 4008
    stall_timeout: Positive = 30.0
    #: what a draining server waits for its last commits
    drain_timeout: Positive = 10.0
    #: the largest message of a client, in bytes
    message_bytes: Annotated[int, Field(ge=1024, le=2**31)] = 65_536
    #: envelopes in one frame
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    content_units: Annotated[int, Field(ge=1, le=2**31)] = 1000
    #: connections from one address at a time, HTTP and WebSocket; more are dropped unread. High
    #: enough for an office behind one address, low enough that one host can't take all sockets
    connections_per_address: Annotated[int, Field(ge=1)] = 4096
    #: unanswered sends of one client
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 256
    #: pushes to one connection beyond its ack
    unacked: Annotated[int, Field(ge=1, le=65_536)] = 512
    #: how long an accepted (user, msgId) is remembered: longer than any client keeps a message
    dedupe_seconds: Positive = 7 * 86_400.0
    #: messages in one transaction of the store
    commit_batch: Annotated[int, Field(ge=1, le=65_536)] = 512
    #: where a device that was never here starts
    first_login: Literal["oldest", "latest"] = "oldest"
    #: seconds from a session's last message, or its beginning, to its end; a chat without a book
    #: has none. None: sessions don't expire
    session_lifetime: Positive | None = 30 * 86_400.0
    #: seconds for which a mailbox holds an entry; None: for ever. A device that was away longer is
    #: told that messages may be missing
    retention_age: Positive | None = 90 * 86_400.0
    #: the most entries of a mailbox; None: any number
    retention_count: Annotated[int, Field(ge=1)] | None = 100_000
    #: seconds between looks at what is too old
    retention_interval: Positive = 600.0
    #: seconds before its end at which a client is told that its token expires
    expiry_notice: Positive = 60.0
    #: seconds without a device until a user is told to be offline
    offline_after: Positive = 30.0
    #: seconds for which the answer of `authorize_send` is good; None asks each time
    authorization_kept: Positive | None = 60.0
    #: records in one page of a history
    history_page: Annotated[int, Field(ge=1, le=1000)] = 100
