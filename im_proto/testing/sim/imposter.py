"""Something else at the server's port: a proxy that refuses, another program, a poorer server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ...framing import CloseFrame, Framing, HandshakeRequested, TextFrame
from ...limits import FrameLimits
from .network import End
from .node import Node

if TYPE_CHECKING:
    from .world import SimWorld

_NO_WEBSOCKET: Final = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: nonsense\r\n\r\n",
    b"HTTP/1.1 two hundred\r\n\r\n",
)
_REFUSALS: Final = (400, 401, 403, 404, 426, 429, 500, 502, 503)
_CLOSES: Final = (1000, 1002, 1011, 1013, 4001, 4002, 4003, 4004)
#: A refused log-in, a failure, a log-in that can't be read.
_LOGIN_CODES: Final = (40101, 403, 500, 400)


class Imposter(Node[Any]):
    """Takes connections in the server's place. Of a kind that is drawn:

    * silent: takes the connection, and that is all;
    * hangs up: before the upgrade;
    * no WebSocket: answers something else;
    * refuses: answers the upgrade with 4xx or 5xx;
    * closes: upgrades, and closes at the log-in;
    * mute: upgrades, and never answers the log-in;
    * refuses logins: answers the log-in with an error;
    * plain: takes the log-in, grants nothing, and answers each message with the same error, or
      not at all. It never takes a message: that would be a lie, not a fault.

    Args:
        world: where it lives.
    """

    def __init__(self, world: SimWorld) -> None:
        super().__init__(world, "imposter", world.machine("imposter"))
        world.machines.remove(self.machine)  # nobody's whose clock or lid may be touched
        choice = world.rng.choice
        self._kind = choice(
            (
                *("silent", "hangs up", "no WebSocket", "refuses", "refuses", "closes", "mute"),
                *("refuses logins", "plain", "plain"),
            )
        )
        self._junk = choice(_NO_WEBSOCKET)
        self._status = choice(_REFUSALS)
        self._headers = choice(((), (("Retry-After", "1"),)))
        self._close = choice(_CLOSES)
        self._login_code = choice(_LOGIN_CODES)
        #: None: messages are not answered
        self._answer = choice((None, 400, 500, 50000, 40100))
        self._framings: dict[End, Framing] = {}

    def made(self, end: End) -> None:
        """A client has connected."""
        self.ends[end.name] = end
        end.tampered = True  # who is blamed for this is nobody of ours
        self._framings[end] = Framing.server(limits=FrameLimits())
        if self._kind == "hangs up":
            self.world.network.close(end)

    def bytes_in(self, end: End, data: bytes) -> None:
        """Bytes came in."""
        if self._kind in ("silent", "hangs up"):
            return
        framing = self._framings[end]
        for frame in framing.receive(data, self.now):
            if isinstance(frame, HandshakeRequested):
                self._on_upgrade(end, framing)
            elif isinstance(frame, TextFrame):
                for kind, body in _messages(frame.text):
                    self._on_message(end, framing, kind, body)
            elif isinstance(frame, CloseFrame):
                self.world.network.close(end)

    def _on_upgrade(self, end: End, framing: Framing) -> None:
        network = self.world.network
        if self._kind == "no WebSocket":
            network.write(end, self._junk)
        elif self._kind == "refuses":
            network.write(end, framing.reject(self._status, headers=self._headers))
            network.close(end)
        else:
            network.write(end, framing.accept())

    def _on_message(self, end: End, framing: Framing, kind: str, body: dict[str, Any]) -> None:
        if not framing.open:
            return
        if kind == "AUTH_REQUEST":
            # a log-in with the token alone is for a strict server: whoever takes this one for
            # such will not ask the real one for more either
            bare = "userId" not in body
            if self._kind == "closes" or (bare and self._kind == "plain"):
                self.world.network.write(end, framing.send_close(self._close))
            elif self._kind == "refuses logins":
                self._say(end, framing, "AUTH_RESPONSE", code=self._login_code, message="no")
            elif self._kind == "plain":
                self._say(end, framing, "AUTH_RESPONSE", code=0, message="")
        elif kind == "HEARTBEAT_REQUEST":
            self._say(end, framing, "HEARTBEAT_RESPONSE")
        elif kind == "CHAT_SEND_TO_ONE_REQUEST" and self._answer is not None:
            msg_id = body.get("msgId")
            self._say(end, framing, "CHAT_SEND_RESPONSE", code=self._answer, msgId=msg_id)

    def _say(self, end: End, framing: Framing, kind: str, **message: Any) -> None:
        text = json.dumps({"type": kind, "message": json.dumps(message)})
        self.world.network.write(end, framing.send_text(text))

    def leave(self) -> None:
        """It goes away, and resets whom it has."""
        self._framings.clear()
        self._die(silent=False)

    # ------------------------------------------------------------ it has no engine

    @property
    def alive(self) -> bool:
        """It takes what comes."""
        return True

    def next_deadline(self) -> float | None:
        """It waits for nothing."""
        return None

    def time_passed(self) -> Any:
        """Nothing to it."""

    def _take(self, event: Any) -> None:
        """Nor is anything else."""

    def lost(self, end: End, reason: str) -> None:
        """A client has gone."""
        self.ends.pop(end.name, None)
        self._framings.pop(end, None)

    def write_blocked(self, end: End) -> None:
        """It doesn't care."""

    def write_ready(self, end: End) -> None:
        """It doesn't care."""


def _messages(text: str) -> list[tuple[str, dict[str, Any]]]:
    """What a frame says, alone or in a batch; nothing if somebody has tampered with it."""
    try:
        found = json.loads(text)
        envelopes = found if isinstance(found, list) else [found]
        return [(envelope["type"], json.loads(envelope["message"])) for envelope in envelopes]
    except (ValueError, LookupError, TypeError):
        return []
