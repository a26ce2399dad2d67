"""What one peer, one user, one address and all of them together may take of a server.

All of it is on by default, and stands here with its reason. A limit that is met is told to the
peer as docs/security.md says; other connections don't notice.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .base import Frozen, Positive

_Count = Annotated[int, Field(ge=1)]
_Bytes = Annotated[int, Field(ge=1024, le=2**31)]
_Few = Annotated[int, Field(ge=1, le=65_536)]


class Limits(Frozen):
    """See the module. Durations in seconds."""

    # ---- how many

    #: connections in all, HTTP and WebSocket. One that is logged in and quiet holds some 12 KB, and
    #: a process may have so many open files only after it was asked for
    connections: _Count = 10_000
    #: connections from one address. High enough for an office behind one address, low enough that
    #: one host can't take all of them
    connections_per_address: _Count = 1_000
    #: … and how many come from it each second: what is refused after its request was read costs
    #: 0.3 ms, what is dropped before it a third of that …
    arrivals_per_address: Positive = 10.0
    #: … and at once: a page and its requests, an office that comes back after a cut of the network
    arrivals_burst: _Count = 200
    #: a connection that broke the rules counts as so many more: it cost some milliseconds, and the
    #: next one from there will hardly be better
    fault_arrivals: Annotated[int, Field(ge=0)] = 10
    #: logged-in connections of one user, all devices and tabs
    connections_per_user: _Count = 32
    #: WebSockets that are not logged in yet. They live for `auth_timeout` at the most; so many log
    #: in within that time anyway if `admissions` is what it is
    unauthenticated: _Count = 2_000
    #: … and of one address, so that ten hosts can't keep everybody else out
    unauthenticated_per_address: _Count = 200
    #: log-ins that begin in any `admission_window`; who comes above that is sent away with a time
    #: of its own at which to come back. A log-in is a look at a token and a transaction of the
    #: store, about 1 ms
    admissions: _Count = 50
    admission_window: Positive = 0.1
    #: … and in any second from one address, so that who guesses tokens keeps nobody else waiting
    admissions_per_address: _Count = 50
    #: bad tokens by HTTP from one address each second: each costs a look at a signature, and who
    #: has a good one is limited by its user …
    bad_tokens_per_address: Positive = 10.0
    #: … and at once: pages whose tokens have all expired meanwhile
    bad_tokens_burst: _Count = 100

    # ---- how long before the log-in

    #: from the first byte to the end of the upgrade request: a round trip and a slow phone
    handshake_timeout: Positive = 10.0
    #: from the upgrade to AUTH_REQUEST, and for the authenticator
    auth_timeout: Positive = 10.0

    # ---- how large

    #: the head of a request: room for a long token, not for a flood
    handshake_bytes: _Bytes = 8_192
    #: header lines of a request: a browser sends about 15, a chain of proxies adds as many again
    handshake_headers: _Few = 64
    #: a message before the log-in: the longest token (8 KiB) escaped, and what goes with it
    auth_bytes: _Bytes = 20_480
    #: a message of a client: 1000 UTF-16 units are 6 KB when escaped, the rest is room for batches
    message_bytes: _Bytes = 65_536
    #: frames of one message: nobody cuts 64 KiB smaller than 1 KiB, and an empty frame costs 15 us.
    #: Twice as many that end no message may come at once, and `messages_per_second` of them
    message_frames: _Few = 64
    #: envelopes in one frame
    batch: _Few = 64
    #: UTF-16 units of a content after trimming, as the family has it
    content_units: Annotated[int, Field(ge=1, le=2**31)] = 1000
    #: records in one page of a history
    history_page: Annotated[int, Field(ge=1, le=1000)] = 100

    # ---- how fast

    #: what one user may want of the store, on all connections and by HTTP, each second: messages,
    #: read marks, questions. A person writes two, a busy bot tens
    messages_per_second: Positive = 100.0
    #: … and at once, after a time of quiet: an outbox that was filled without a network. Above it
    #: the user is read more slowly; with as much again taken all the same, its connection ends
    #: with 4009
    message_burst: _Count = 1_000
    #: envelopes of one connection each second, whatever they are; one costs some 25 us
    envelopes_per_second: Positive = 500.0
    #: … and at once; above it the connection is read more slowly, then ends with 4009
    envelope_burst: _Count = 1_000
    #: Ping and Pong frames of one connection each second, and, before its log-in, envelopes: far
    #: above any keepalive …
    control_rate: Positive = 20.0
    #: … and at once: those that heaped up behind a stalled link arrive together
    control_burst: _Count = 50

    # ---- how much may wait

    #: unanswered sends and questions of one connection; with more it is not read
    in_flight: _Few = 256
    #: pushes to one connection beyond its ack
    unacked: _Few = 512
    #: bytes of answers to one connection that takes none; with more it is not read, with four times
    #: as much it ends with 4008
    blocked_bytes: _Bytes = 65_536
    #: devices with a name that are remembered of one user; a new one takes the place of that which
    #: has logged in longest ago. A person has ten, and whoever draws a new name for each log-in
    #: must not fill the disk
    devices_per_user: _Count = 64
    #: the most entries of a mailbox; None: any number
    retention_count: _Count | None = 100_000

    # ---- how long without progress

    #: from the first byte of a frame or message to its last
    partial_timeout: Positive = 30.0
    #: neither an ack nor a byte taken for this long: 4008
    stall_timeout: Positive = 30.0
    #: from our close frame to the peer's
    close_timeout: Positive = 5.0
