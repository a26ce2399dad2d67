"""A client's engine in virtual time, and a server that sends it whatever bytes it likes."""

from __future__ import annotations

import gc
import itertools
import json
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeVar

from core.client_kit import START, WALL, make_config
from core.test_framing_kit import CLOSE, PING, PONG, TEXT, KeyRandom, answer, frame
from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.framing import CloseFrame, FrameEvent, Framing, TextFrame
from im_proto.limits import FrameLimits
from im_proto.machines.product import illegal

A = TypeVar("A")
#: A token that nothing but AUTH_REQUEST may hold.
TOKEN = "N33DLE-the-token"


class Victim:
    """A ClientEngine under attack.

    After each step the engine must be readable: its states go together, `explain()` is one line of
    bounded length, and a client that wants a link waits for something.
    """

    def __init__(self, **config: Any) -> None:
        self.config = make_config(**({"token": TOKEN} | config))
        self.engine = ClientEngine(self.config, now=START, wall=WALL, rng=KeyRandom(7))
        self.now = START
        #: everything that the engine wanted since `forget()`
        self.actions: list[act.Action] = []
        self._refs = itertools.count(1)
        self._far: Framing | None = None
        #: what came out of the client's frames since `forget()`
        self.heard: list[FrameEvent] = []

    # ------------------------------------------------------------ what happens

    def do(self, event: inp.Input) -> list[act.Action]:
        """One input, now."""
        actions = self.engine.step(event, self.now)
        self.actions += actions
        for action in actions:
            if isinstance(action, act.SendBytes):
                self._read(action.data)
        self._check()
        return actions

    def _read(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            self._far = Framing.server(limits=FrameLimits(message_bytes=1 << 22))
            self._far.receive(data, 0.0)
            self._far.accept()
        elif self._far is not None:
            self.heard += self._far.receive(data, 0.0)

    def _check(self) -> None:
        core = self.engine.core
        states = (core.connection, core.login.state, core.liveness.state, core.reconnect)
        assert illegal(*states) is None, illegal(*states)
        words = self.engine.explain(self.now)
        assert words.isprintable(), ascii(words)
        assert len(words) < 1500
        assert TOKEN not in words
        if self.engine.state(self.now).status is not ev.Status.DISCONNECTED:
            assert self.engine.next_deadline() is not None, words

    def connect(self) -> Victim:
        """The client has asked for its upgrade."""
        if self.engine.core.reconnect == "waiting":
            self.pass_time(3600.0, until=act.OpenTransport)
        else:
            self.do(inp.Connect())
        self.do(inp.TransportOpened(transport=self.transport))
        return self

    def bytes(self, data: bytes) -> Victim:
        """These bytes come in, in one read."""
        self.do(inp.BytesReceived(transport=self.transport, data=data))
        return self

    def link(self, *headers: str, behind: bytes = b"") -> Victim:
        """The upgrade is answered as it should be; `behind`: with this in the same read."""
        return self.connect().bytes(answer(*headers) + behind)

    def login(self, **data: Any) -> Victim:
        """Log in, at a server of ours unless told otherwise."""
        self.link()
        granted = {"deviceId": self.engine.device_id, "capabilities": ["seq", "batch"]}
        return self.say("AUTH_RESPONSE", code=0, data=granted | {"epoch": "e1", "seq": 0} | data)

    def say(self, kind: str, /, **message: Any) -> Victim:
        """The server says this."""
        return self.text(envelope(kind, **message))

    def text(self, text: str) -> Victim:
        """A text frame comes in."""
        return self.bytes(text_frame(text))

    def push(self, seq: int | None, content: str = "hi", **more: Any) -> Victim:
        """A message for this user."""
        fields = {"content": content, "fromUser": 2, "msgId": seq, "seq": seq} | more
        return self.say("CHAT_REDIRECT_TO_USER_REQUEST", **fields)

    def send(self, content: str = "hello", to: int = 2) -> int:
        """The application sends something."""
        ref = next(self._refs)
        self.do(inp.Send(ref=ref, to_user=to, content=content))
        return ref

    def pass_time(self, seconds: float, *, until: type | None = None) -> Victim:
        """Time passes, up to an action of that class if one is named."""
        end = self.now + seconds
        for _ in range(20_000):
            at = self.engine.next_deadline()
            if at is None or at > end:
                self.now = end
                return self
            self.now = max(self.now, at)
            actions = self.do(inp.TimePassed())
            if until is not None and any(isinstance(action, until) for action in actions):
                return self
        raise AssertionError("no end: a livelock")

    # ------------------------------------------------------------ what came of it

    @property
    def transport(self) -> int:
        """The present transport."""
        return self.engine.core.transport

    def forget(self) -> Victim:
        """Only what comes from now on counts."""
        self.actions, self.heard = [], []
        return self

    def of(self, kind: type[A]) -> list[A]:
        """The actions, or the events, of that class."""
        found = [action for action in self.actions if isinstance(action, kind)]
        return found or [event for event in self.events() if isinstance(event, kind)]

    def events(self) -> list[Any]:
        """What the application heard."""
        return [action.event for action in self.actions if isinstance(action, act.Notify)]

    def violations(self) -> list[str]:
        """The reasons of the violations that the application heard of."""
        return [event.reason for event in self.of(ev.ProtocolViolation)]

    def said(self, kind: str) -> list[dict[str, Any]]:
        """The messages of that type that the client has sent."""
        found = []
        for event in self.heard:
            if isinstance(event, TextFrame):
                frame = json.loads(event.text)
                for each in frame if isinstance(frame, list) else [frame]:
                    if each["type"] == kind:
                        message = each["message"]
                        found.append(json.loads(message) if isinstance(message, str) else message)
        return found

    def closed(self) -> int | None:
        """The code of the close frame that the client has sent."""
        codes = [event.code for event in self.heard if isinstance(event, CloseFrame)]
        return codes[0] if codes else None

    @property
    def status(self) -> str:
        """The state in one word."""
        return str(self.engine.state(self.now).status)

    @property
    def error(self) -> Any:
        """The last error."""
        return self.engine.state(self.now).last_error


def envelope(kind: str, /, **message: Any) -> str:
    """A message as a server writes it."""
    return json.dumps({"type": kind, "message": json.dumps(message)})


def text_frame(text: str) -> bytes:
    """A text frame of a server."""
    return frame(TEXT, text.encode("utf-8", "surrogatepass"), mask=None)


def ping(payload: bytes = b"") -> bytes:
    """A Ping of a server."""
    return frame(PING, payload, mask=None)


def pong(payload: bytes = b"") -> bytes:
    """A Pong of a server."""
    return frame(PONG, payload, mask=None)


def close(payload: bytes = b"\x03\xe8") -> bytes:
    """A Close of a server."""
    return frame(CLOSE, payload, mask=None)


def held(attack: Callable[[], object]) -> tuple[int, int]:
    """Bytes that are still held behind an attack, and the most that were held within it."""
    gc.collect()
    tracemalloc.start()
    try:
        attack()
        gc.collect()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
