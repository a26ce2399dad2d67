"""One log-in at the server: who it is, what it may use, and what it is told."""

from __future__ import annotations

from typing import Final

from ..config import ServerConfig
from ..errors import printable
from ..wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    HeartbeatHint,
    ServerLimits,
    UserId,
    codes,
    user_id,
)
from ..wire.types import MAX_SECONDS
from . import talk
from .inputs import TokenVerified
from .records import PLAIN

#: What this server can grant of protocol.md section 2.
CAPABILITIES: Final = (
    "seq",
    "batch",
    "status",
    "receipts",
    "typing",
    "presence",
    "refresh",
    "sessions",
    "inline",
)
#: … only to a named device: without one there is no cursor to number pushes against, and nobody
#: whose messages could be told from those of others.
OF_DEVICES: Final = frozenset({"seq", "status", "receipts"})


class Login:
    """From AUTH_REQUEST to AUTH_RESPONSE.

    Attributes:
        granted: the capabilities that this connection may use.
        extended: it asked for capabilities, so it may be told of section 2 at all.
        user: who it is.
        peer_batch, peer_frame_bytes: what we put into one frame of several envelopes.
        peer_message_bytes: the largest frame that the peer takes, if it has said so.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._request: AuthRequest | None = None
        self._verified: TokenVerified | None = None
        self.user: UserId = 0
        self._device = PLAIN
        self.extended = False
        self.granted: frozenset[str] = frozenset()
        self.peer_batch = 1
        self.peer_frame_bytes = config.message_bytes
        self.peer_message_bytes: int | None = None

    def asked(self, request: AuthRequest) -> None:
        """AUTH_REQUEST came."""
        self._request = request
        self.extended = request.capabilities is not None

    @property
    def token(self) -> str:
        """The token that it came with."""
        assert self._request is not None
        return self._request.access_token

    def verified(self, verified: TokenVerified) -> str | None:
        """The authenticator knows the user. Returns why the log-in is refused all the same."""
        request = self._request
        assert request is not None
        try:
            self.user = user_id(verified.user)
        except ValueError:
            return "the token names no user"
        if request.user_id is not None and request.user_id != self.user:
            return "the token is another user's"
        self._verified = verified
        if self.extended:
            self._device = request.device_id or PLAIN
        granted = set(request.capabilities or ()).intersection(CAPABILITIES)
        if self._device == PLAIN:
            granted -= OF_DEVICES
        if "seq" not in granted:
            granted.discard("receipts")  # they are numbered
        self.granted = frozenset(granted)
        if request.limits is not None:
            self.peer_message_bytes = request.limits.frame_bytes
        if "batch" in self.granted and request.limits is not None:
            config, limits = self._config, request.limits
            self.peer_batch = min(limits.batch or 1, config.batch)
            self.peer_frame_bytes = min(
                limits.frame_bytes or config.message_bytes, config.message_bytes
            )
        return None

    def to_hub(self, connection: int) -> talk.LoginAsked:
        """What the hub is asked for."""
        assert self._request is not None
        assert self._verified is not None
        return talk.LoginAsked(
            connection=connection,
            user=self.user,
            roles=self._verified.roles,
            device=self._device,
            granted=self.granted,
            resume=self._request.resume if "seq" in self.granted else None,
            show_last_seen=self._verified.show_last_seen,
        )

    def same_user(self, request: AuthRequest, verified: TokenVerified) -> bool:
        """Does a later token belong to the user who is logged in?"""
        try:
            user = user_id(verified.user)
        except ValueError:
            return False
        return user == self.user and request.user_id in (None, user)

    @property
    def _window(self) -> int:
        """What a client may send without an answer: never so much that it is sent away for it, as
        it would send the same again."""
        config = self._config
        return min(config.in_flight, config.message_burst, config.envelope_burst)

    @property
    def username(self) -> str:
        """The user's name, for people."""
        verified = self._verified
        return printable((verified and verified.username) or str(self.user))

    def response(
        self, login: talk.LoggedIn, wall_ms: int, expires_in: float | None
    ) -> AuthResponse:
        """AUTH_RESPONSE; strict in what is sent, so a plain peer gets nothing of section 2."""
        config, username = self._config, self.username
        if not self.extended:
            data = AuthData(user_id=self.user, username=username)
        else:
            numbered = "seq" in self.granted
            data = AuthData(
                user_id=self.user,
                username=username,
                device_id=self._device or None,
                capabilities=sorted(self.granted),
                server_time=wall_ms,
                expires_in=expires_in,
                last_msg_id=login.last_msg_id,
                resume=login.resume if numbered else None,
                epoch=login.epoch if numbered else None,
                oldest=login.oldest if login.resume == "reset" else None,
                seq=login.base if numbered else None,
                heartbeat=HeartbeatHint(
                    interval=config.heartbeat_interval, timeout=config.heartbeat_timeout
                ),
                limits=ServerLimits(
                    frame_bytes=config.message_bytes,
                    batch=config.batch,
                    content_units=config.content_units,
                    in_flight=self._window,
                    unacked=config.unacked,
                    dedupe_seconds=config.dedupe_seconds,
                ),
            )
        return AuthResponse(code=codes.OK, message="", data=data)


def wire_seconds(seconds: float | None) -> float | None:
    """A duration that somebody else has drawn up, in the bounds of the wire."""
    if seconds is None or seconds != seconds:  # not a number
        return None
    return min(max(seconds, 0.0), MAX_SECONDS)
