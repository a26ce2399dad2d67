"""What a server is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .base import Positive
from .limits import Limits
from .origins import check_hosts, check_origins, check_proxies


class ServerConfig(Limits):
    """What the server's engine is told, beside the `Limits`. Durations in seconds."""

    #: where the WebSocket is
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/ws"
    #: pages of which other sites may connect: "https://shop.example", exactly as browsers write it;
    #: "*": of any. A page of the server's own host always may, and what is no browser has no origin
    origins: Annotated[tuple[str, ...], AfterValidator(check_origins)] = ()
    #: the names under which the server is asked for, without ports; None: any. With "localhost" and
    #: the like alone no page can pass itself off as a local one by a name that leads here
    hosts: Annotated[tuple[str, ...] | None, AfterValidator(check_hosts)] = None
    #: proxies, as addresses or networks ("10.0.0.0/8"), whose X-Forwarded-For is believed
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(check_proxies)] = ()
    #: the rhythm that clients are told, and the pace of pings to plain peers
    heartbeat_interval: Positive = 30.0
    heartbeat_timeout: Positive = 5.0
    #: silence after which a peer is gone, in heartbeat intervals
    idle_intervals: Annotated[float, Field(ge=1)] = 3.0
    #: what a draining server waits for its last commits
    drain_timeout: Positive = 10.0
    #: how long an accepted (user, msgId) is remembered: longer than any client keeps a message
    dedupe_seconds: Positive = 7 * 86_400.0
    #: messages in one transaction of the store: who comes next waits for all of them, some 2 ms;
    #: twice as many would be a twentieth more a second …
    commit_batch: Annotated[int, Field(ge=1, le=65_536)] = 256
    #: … and after one that took longer than this, the next ones are smaller
    commit_time: Positive = 0.005
    #: where a device that was never here starts
    first_login: Literal["oldest", "latest"] = "oldest"
    #: seconds from a session's last message, or its beginning, to its end; a chat without a book
    #: has none. None: sessions don't expire
    session_lifetime: Positive | None = 30 * 86_400.0
    #: seconds for which a mailbox holds an entry, and a device that stays away its place; None: for
    #: ever. A device that was away longer is told that messages may be missing
    retention_age: Positive | None = 90 * 86_400.0
    #: seconds between looks at what is too old
    retention_interval: Positive = 600.0
    #: seconds before its end at which a client is told that its token expires
    expiry_notice: Positive = 60.0
    #: seconds without a device until a user is told to be offline
    offline_after: Positive = 30.0
    #: seconds for which the answer of `authorize_send` is good; None asks each time
    authorization_kept: Positive | None = 60.0
