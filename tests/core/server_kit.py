"""A real gateway in virtual time, real WebSocket bytes to it, and a store that tests can hold.

`Kit` carries out what the gateway wants; `Peer` is a scripted client, written on `Framing` and
`json` alone, so that it shares no code with what it tests. Nothing is random.
"""

from __future__ import annotations

import json
import random
from collections import deque
from typing import Any

from hypothesis import settings

from im_proto.config import ServerConfig
from im_proto.framing import CloseFrame, Framing, PingFrame, TextFrame
from im_proto.limits import FrameLimits
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.hub import HubTimer
from im_proto.server.login import CAPABILITIES
from im_proto.server.records import Submission
from im_proto.testing.memory import MemoryStore
from im_proto.wire import UserId

START, WALL = 1_000.0, 1_700_000_000.0
DETERMINISTIC = settings(derandomize=True, database=None, deadline=None)
#: what clients ask for that only send and receive
FULL: dict[str, Any] = {"capabilities": ["seq", "batch"], "deviceId": "phone"}
FULL |= {"limits": {"batch": 64, "frameBytes": 65_536}}
#: … and what our own clients ask for
ALL = FULL | {"capabilities": list(CAPABILITIES)}


class Kit:
    """See the module.

    Attributes:
        holding: store actions wait in `held` for `answer` or `fail`.
        verifying: tokens are verified at once; a token is `user`, `user:role`, or `refuse:CODE`.
        expires_in, show_last_seen: what is said of a token that is verified.
        authorizing: what the site was asked, and `authorize` answers.
        said: everything that the gateway wanted, in order.
    """

    def __init__(self, *, authorizes: bool = False, tells: bool = False, **config: Any) -> None:
        self.now = START
        self.config = ServerConfig(**config)
        self.gateway = Gateway(
            self.config, now=START, wall=WALL, authorizes=authorizes, tells=tells, strict=True
        )
        self.store = MemoryStore()
        self.peers: dict[int, Peer] = {}
        self.holding = False
        self.verifying = True
        self.expires_in: float | None = None
        self.show_last_seen = True
        self.authorizing: deque[act.Authorize] = deque()
        self.held: deque[act.StoreAction] = deque()
        self.said: list[act.Action] = []
        self._inputs: deque[inp.Input] = deque()
        self._busy = False

    # ------------------------------------------------------------ inputs and time

    def do(self, event: inp.Input) -> None:
        """Give the gateway an input now, and all that follows from it."""
        self._inputs.append(event)
        if self._busy:
            return
        self._busy = True
        steps = 0
        try:
            while self._inputs or self.gateway.turns_wait:
                if not self._inputs:  # the loop has nothing else to do: the next one's turn
                    self._inputs.append(inp.TimePassed())
                steps += 1
                assert steps < 10_000, "no end: each answer brings another question"
                for action in self.gateway.step(self._inputs.popleft(), self.now):
                    self.said.append(action)
                    self._carry_out(action)
        finally:
            self._busy = False

    def wait(self, seconds: float) -> None:
        """Let time pass; the gateway is woken at each of its deadlines, and never in vain."""
        end = self.now + seconds
        spins = 0
        while (at := self.gateway.next_deadline()) is not None and at <= end:
            spins = spins + 1 if at <= self.now else 0
            assert spins < 20, "a livelock: woken again and again at the same time"
            self.now = max(self.now, at)
            self.do(inp.TimePassed())
        self.now = end

    def oversleep(self, seconds: float) -> None:
        """Let time pass while the process stands still; then it wakes up."""
        self.now += seconds
        self.do(inp.TimePassed())

    # ------------------------------------------------------------ the store

    def answer(self, count: int = 1) -> None:
        """Let the store do what it was asked first."""
        for _ in range(count):
            self._store(self.held.popleft())

    def fail(self) -> None:
        """Let the store fail at what it was asked first."""
        self.do(inp.StoreFailed(request=self.held.popleft().request, reason="the disk is full"))

    def release(self) -> None:
        """Let the store do everything, and hold nothing from now on."""
        self.holding = False
        while self.held:
            self.answer()

    def authorize(self, allowed: bool | None) -> None:
        """Answer as the site what it was asked first."""
        request = self.authorizing.popleft().request
        self.do(inp.Authorized(request=request, allowed=allowed))

    @property
    def waits(self) -> bool:
        """Is there a deadline but the one at which the store lets go what is too old?"""
        gateway = self.gateway
        hub = [timer for timer, _ in gateway.hub.deadlines() if timer is not HubTimer.RETAIN]
        return bool(gateway._armed or hub)

    @property
    def answered(self) -> list[act.Answered]:
        """What the site was answered."""
        return [action for action in self.said if isinstance(action, act.Answered)]

    @property
    def commits(self) -> list[act.StoreCommit]:
        """Everything that was to be committed."""
        return [action for action in self.said if isinstance(action, act.StoreCommit)]

    @property
    def submissions(self) -> list[Submission]:
        """Every message that was to be committed, in order."""
        return [s for commit in self.commits for s in commit.submissions]

    @property
    def stored(self) -> list[tuple[UserId, str]]:
        """(sender, content) of what is in the store."""
        return [(message.sender, message.content) for message in self.store.messages]

    def cursor(self, user: UserId, device: str = "phone") -> int | None:
        """What the store would say is acknowledged."""
        action = act.StoreLogin(request=0, user=user, device="", resume_seq=None)
        if device:
            known = self.store._devices.get((user, device))
            return known.cursor if known else None
        return self.store.login(action).login.cursor

    # ------------------------------------------------------------ peers

    def peer(self, *, upgrade: bool = True, address: str = "") -> Peer:
        """A new connection; with `upgrade` it is a WebSocket already."""
        peer = Peer(self, len(self.peers) + 1)
        self.peers[peer.connection] = peer
        self.do(inp.ConnectionMade(connection=peer.connection, peer=address))
        if upgrade:
            peer.upgrade()
        return peer

    def user(self, user: UserId, device: str = "phone", **auth: Any) -> Peer:
        """Somebody logged in with one of our clients."""
        peer = self.peer()
        peer.login(user, **(FULL | {"deviceId": device} | auth))
        return peer

    def plain(self, user: UserId, **auth: Any) -> Peer:
        """Somebody logged in with a plain client of the family."""
        peer = self.peer()
        peer.login(user, **auth)
        return peer

    # ------------------------------------------------------------ the gateway's wishes

    def _carry_out(self, action: act.Action) -> None:
        if isinstance(action, act.StoreAction):
            if self.holding:
                self.held.append(action)
            else:
                self._store(action)
        elif isinstance(action, act.Authenticate):
            if self.verifying:
                self.verify(action)
        elif isinstance(action, act.Authorize):
            self.authorizing.append(action)
        elif isinstance(action, act.Drained | act.MessageStored | act.Answered | act.RulesBroken):
            return
        else:
            self.peers[action.connection].carry_out(action)

    def verify(self, action: act.Authenticate) -> None:
        """Answer as the authenticator."""
        name, _, more = action.token.partition(":")
        if name == "refuse":
            self.do(
                inp.TokenRefused(connection=action.connection, code=int(more), reason="no, never")
            )
            return
        self.do(
            inp.TokenVerified(
                connection=action.connection,
                user=int(name) if name.isdigit() else name,
                roles=frozenset(filter(None, more.split(","))),
                expires_in=self.expires_in,
                show_last_seen=self.show_last_seen,
            )
        )

    def _store(self, action: act.StoreAction) -> None:
        answer = self.store.carry_out(action)
        if answer is not None:
            self.do(answer)


class Peer:
    """One connection, from the other end.

    Attributes:
        frames: the text frames that came.
        messages: (type, message) of every envelope that came.
        close: (code, reason) of the server's close frame.
        ended: "closed" or "aborted" once the server let go of the transport.
        ponging: pings are answered, as every WebSocket library does by itself.
    """

    def __init__(self, kit: Kit, connection: int) -> None:
        self.kit = kit
        self.connection = connection
        self.frames: list[str] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.pings: list[bytes] = []
        self.close: tuple[int, str] | None = None
        self.http = b""
        self.ended: str | None = None
        self.paused = False
        self.ponging = True
        limits = FrameLimits(message_bytes=2**24, control_burst=10**6)
        self._framing = Framing.client(
            host="server", target="/ws", rng=random.Random(connection), limits=limits
        )

    # ------------------------------------------------------------ what it does

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self.kit.do(inp.BytesReceived(connection=self.connection, data=data))

    def upgrade(self) -> None:
        """Send the upgrade request."""
        self.raw(self._framing.request())

    def text(self, text: str) -> None:
        """Send a text frame."""
        self.raw(self._framing.send_text(text))

    def send(self, kind: str, **message: Any) -> None:
        """Send one envelope."""
        self.text(self.envelope(kind, **message))

    def envelope(self, kind: str, **message: Any) -> str:
        """One envelope, as the family writes it."""
        return json.dumps({"type": kind, "message": json.dumps(message)})

    def login(self, user: UserId, **auth: Any) -> None:
        """Send AUTH_REQUEST; `token` is the user's name unless it is given."""
        token = str(auth.pop("token", user))
        self.send("AUTH_REQUEST", accessToken=token, **({"userId": user} | auth))

    def chat(self, msg_id: int, to: UserId, content: str, **more: Any) -> None:
        """Send a chat message."""
        body = {"msgId": msg_id, "toUser": to, "content": content} | more
        self.send("CHAT_SEND_TO_ONE_REQUEST", **body)

    def batch(self, *envelopes: str) -> None:
        """Send envelopes as one frame."""
        self.text(f"[{','.join(envelopes)}]")

    def ack(self, seq: int) -> None:
        """Acknowledge pushes."""
        self.send("CHAT_ACK_REQUEST", seq=seq)

    def ping(self, size: int = 0) -> bytes:
        """The bytes of a ping with a payload of that size."""
        return self._framing.send_ping(b"p" * size)

    def pong(self, payload: bytes) -> None:
        """Send a pong."""
        self.raw(self._framing.send_pong(payload))

    def bytes_of(self, text: str) -> bytes:
        """The bytes of a text frame."""
        return self._framing.send_text(text)

    def bytes_of_close(self, code: int = 1000) -> bytes:
        """The bytes of a close frame."""
        return self._framing.send_close(code)

    def say_close(self, code: int = 1000) -> None:
        """Send a close frame."""
        self.raw(self.bytes_of_close(code))

    def lose(self) -> None:
        """The network drops the connection."""
        self.kit.do(inp.ConnectionLost(connection=self.connection))

    def block(self) -> None:
        """Take no more bytes."""
        self.kit.do(inp.WriteBlocked(connection=self.connection))

    def unblock(self) -> None:
        """Take bytes again."""
        self.kit.do(inp.WriteReady(connection=self.connection))

    # ------------------------------------------------------------ what it saw

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type that came."""
        return [message for one, message in self.messages if one == kind]

    @property
    def kinds(self) -> list[str]:
        """The types of what came, in order."""
        return [kind for kind, _ in self.messages]

    @property
    def data(self) -> dict[str, Any]:
        """`data` of the last AUTH_RESPONSE."""
        data: dict[str, Any] = self.of("AUTH_RESPONSE")[-1]["data"]
        return data

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The CHAT_SEND_RESPONSEs that came."""
        return self.of("CHAT_SEND_RESPONSE")

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """The messages that were pushed."""
        return self.of("CHAT_REDIRECT_TO_USER_REQUEST")

    @property
    def contents(self) -> list[str]:
        """Their contents."""
        return [push["content"] for push in self.pushes]

    @property
    def code(self) -> int | None:
        """The server's close code."""
        return self.close[0] if self.close else None

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.frames.clear()
        self.messages.clear()
        self.pings.clear()

    # ------------------------------------------------------------ the server's wishes

    def carry_out(self, action: act.Action) -> None:
        """What the gateway wants of this connection; nothing after its end."""
        assert self.ended is None, f"{type(action).__name__} after the end"
        if isinstance(action, act.SendBytes):
            self._take(action.data)
        elif isinstance(action, act.PauseReading):
            self.paused = True
        elif isinstance(action, act.ResumeReading):
            self.paused = False
        elif isinstance(action, act.CloseTransport):
            self.ended = "closed"
            self.kit.do(inp.ConnectionLost(connection=self.connection))
        elif isinstance(action, act.AbortTransport):
            self.ended = "aborted"

    def _take(self, data: bytes) -> None:
        if data.startswith(b"HTTP/"):
            self.http += data
        for event in self._framing.receive(data, self.kit.now):
            if isinstance(event, TextFrame):
                self.frames.append(event.text)
                frame = json.loads(event.text)
                for envelope in frame if isinstance(frame, list) else [frame]:
                    assert envelope.keys() == {"type", "message"}
                    body = envelope["message"]
                    body = json.loads(body) if isinstance(body, str) else body
                    self.messages.append((envelope["type"], body))
            elif isinstance(event, PingFrame):
                self.pings.append(event.payload)
                if self.ponging:
                    self.kit.do(
                        inp.BytesReceived(
                            connection=self.connection,
                            data=self._framing.send_pong(event.payload),
                        )
                    )
            elif isinstance(event, CloseFrame):
                assert self.close is None
                self.close = (event.code, event.reason)
