"""A driver for ClientCore in virtual time: a test says what happens, and asks what came of it."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any, TypeVar

from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.errors import IMError
from im_proto.machines.product import illegal

START = 100.0
WALL = 1_700_000_000.0

A = TypeVar("A")

#: Delays that a test can name: no jitter.
PLAIN_DELAYS = {"jitter": "none"}


def make_config(**fields: Any) -> ClientConfig:
    """A configuration without jitter; `reconnect` and others may be given as dicts."""
    reconnect = PLAIN_DELAYS | fields.pop("reconnect", {})
    defaults = {"ws_url": "ws://chat.example/ws", "token": "t0", "user_id": 1, "sleep_watch": None}
    return ClientConfig.model_validate(defaults | {"reconnect": reconnect} | fields)


def make_core(config: ClientConfig, *, seed: int = 0) -> ClientCore:
    """A core that starts at START."""
    return ClientCore(config, now=START, wall=WALL, rng=random.Random(seed))


def states(core: ClientCore) -> tuple[str, str, str, str]:
    """The four states that have to go together."""
    return core.connection, core.login.state, core.liveness.state, core.reconnect


class Driver:
    """A ClientCore, its clock, and everything that it wanted so far.

    `actions` are those since the last `forget()`; each step checks that the machines go together.
    """

    def __init__(self, *, seed: int = 0, **config: Any) -> None:
        self.config = make_config(**config)
        self.core = make_core(self.config, seed=seed)
        self.now = START
        self.actions: list[act.CoreAction] = []
        self._refs = itertools.count(1)
        self._ids: dict[int, int] = {}

    # ------------------------------------------------------------ inputs

    def do(self, event: inp.CoreInput) -> list[act.CoreAction]:
        """One input, now."""
        actions = self.core.step(event, self.now)
        assert illegal(*states(self.core)) is None, illegal(*states(self.core))
        self.actions += actions
        for action in actions:
            if isinstance(action, act.Notify) and isinstance(action.event, ev.MessageHandedOver):
                self._ids[action.event.ref] = action.event.msg_id
        return actions

    def connect(self) -> Driver:
        """Connect() and nothing else."""
        self.do(inp.Connect())
        return self

    def disconnect(self) -> Driver:
        """Disconnect() and nothing else."""
        self.do(inp.Disconnect())
        return self

    def token(self, token: str = "fresh") -> Driver:
        """The token function answers."""
        self.do(inp.TokenReady(request=self.core.login.request, token=token))
        return self

    def link(self, *, capable: bool = False) -> Driver:
        """Whatever is needed until AUTH_REQUEST is out; `capable`: the 101 says so."""
        if self.core.reconnect == "waiting":
            self.pass_time(self.until(self.core.state().retry_at))
        elif self.core.reconnect != "attempting":
            self.connect()
        if self.core.login.state == "fetching_token":
            self.token()
        if self.core.connection == "opening":
            self.do(inp.TransportOpened(transport=self.transport))
        if self.core.connection == "handshaking":
            self.do(inp.LinkOpened(transport=self.transport, capable=capable))
        assert self.core.login.state == "authenticating"
        return self

    def login(self, **data: Any) -> Driver:
        """Log in to a plain server, or to one that says `data`."""
        self.link()
        self.frame("AUTH_RESPONSE", code=0, message="ok", **({"data": data} if data else {}))
        assert self.core.login.state == "authenticated"
        return self

    def login_ours(self, **more: Any) -> Driver:
        """Log in to a server of ours: seq, batch, the identity of a send."""
        data: dict[str, Any] = {"deviceId": self.core.device_id, "capabilities": ["seq", "batch"]}
        data |= {"epoch": "e1", "seq": 0} | more
        return self.login(**data)

    def refuse(self, code: int, message: str = "no") -> Driver:
        """AUTH_RESPONSE with a code that is no success."""
        self.frame("AUTH_RESPONSE", code=code, message=message)
        return self

    def frame(self, kind: str, **message: Any) -> Driver:
        """A frame comes in, its message as a string of JSON."""
        self.text(json.dumps({"type": kind, "message": json.dumps(message)}))
        return self

    def text(self, text: str) -> Driver:
        """Any text comes in."""
        self.do(inp.TextReceived(transport=self.transport, text=text))
        return self

    def push(self, seq: int | None, content: str = "hi", **more: Any) -> Driver:
        """A message for this user; its msgId is its seq unless told otherwise."""
        fields: dict[str, Any] = {"content": content, "fromUser": 2, "msgId": seq, "seq": seq}
        fields = {key: v for key, v in (fields | more).items() if v is not None}
        return self.frame("CHAT_REDIRECT_TO_USER_REQUEST", **fields)

    def handle(self, *deliveries: int) -> Driver:
        """The application is done with these."""
        for delivery in deliveries:
            self.do(inp.MessageHandled(delivery=delivery))
        return self

    def send(self, content: str = "hello", to: int | str = 2) -> int:
        """Queue a message; returns its ref."""
        ref = next(self._refs)
        self.do(inp.Send(ref=ref, to_user=to, content=content))
        return ref

    def answer(self, ref: int, code: int | None = 0, **more: Any) -> Driver:
        """The server answers a message that was handed over."""
        fields: dict[str, Any] = {"msgId": self._ids[ref]} | more
        if code is not None:
            fields["code"] = code
        return self.frame("CHAT_SEND_RESPONSE", **fields)

    def lose(self) -> Driver:
        """The transport breaks."""
        self.do(inp.TransportLost(transport=self.transport, reason="reset by peer"))
        return self

    def close(self, code: int, reason: str = "", *, gone: bool = True) -> Driver:
        """The peer closes; `gone`: and the transport ends."""
        self.do(inp.PeerClosed(transport=self.transport, code=code, reason=reason))
        if gone and self.core.connection == "closing":
            self.lose()
        return self

    # ------------------------------------------------------------ time

    def pass_time(self, seconds: float) -> Driver:
        """Time passes; every deadline in between is met."""
        end = self.now + seconds
        for _ in range(10_000):
            at = self.core.next_deadline()
            if at is None or at > end:
                self.now = end
                return self
            self.now = max(self.now, at)
            self.do(inp.TimePassed())
        raise AssertionError("no end: a livelock")

    def stall(self, seconds: float) -> Driver:
        """Time passes unseen (a stopped process), then the engine is woken once."""
        self.now += seconds
        self.do(inp.TimePassed())
        return self

    def until(self, at: float | None) -> float:
        """Seconds from now until then."""
        assert at is not None
        return max(0.0, at - self.now)

    # ------------------------------------------------------------ what came of it

    @property
    def transport(self) -> int:
        """The present transport."""
        return self.core.transport

    def forget(self) -> Driver:
        """Only what comes from now on counts."""
        self.actions = []
        return self

    def of(self, kind: type[A]) -> list[A]:
        """The actions, or the events, of that class."""
        found: list[A] = [a for a in self.actions if isinstance(a, kind)]
        return found or [e for e in self.events() if isinstance(e, kind)]

    def events(self) -> list[ev.Event]:
        """Everything that the application heard."""
        return [a.event for a in self.actions if isinstance(a, act.Notify)]

    def said(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The messages that went out, of one type or (with `type`) of all, batches taken apart."""
        messages = []
        for action in self.actions:
            if isinstance(action, act.SendText):
                frame = json.loads(action.text)
                for envelope in frame if isinstance(frame, list) else [frame]:
                    message = envelope["message"]
                    message = json.loads(message) if isinstance(message, str) else message
                    if kind is None:
                        messages.append(message | {"type": envelope["type"]})
                    elif envelope["type"] == kind:
                        messages.append(message)
        return messages

    def chats(self) -> list[str]:
        """The contents that went out, in order."""
        return [message["content"] for message in self.said("CHAT_SEND_TO_ONE_REQUEST")]

    def probes(self) -> int:
        """How many heartbeats went out."""
        return len(self.said("HEARTBEAT_REQUEST"))

    def received(self) -> list[str]:
        """The contents that the application got, in order."""
        return [event.content for event in self.of(ev.MessageReceived)]

    def accepted(self) -> list[int]:
        """The refs that were accepted, in order."""
        return [event.ref for event in self.of(ev.MessageAccepted)]

    def failed(self) -> dict[int, str]:
        """The refs that failed, and as what."""
        return {event.ref: str(event.error.code) for event in self.of(ev.MessageFailed)}

    def errors(self) -> list[str]:
        """The codes of the errors that the application was told."""
        return [str(event.error.code) for event in self.of(ev.ErrorOccurred)]

    def delay(self) -> float:
        """How long the last Reconnecting waits."""
        return self.of(ev.Reconnecting)[-1].delay

    @property
    def status(self) -> str:
        """The state in one word."""
        return str(self.core.state().status)

    @property
    def error(self) -> IMError | None:
        """The last error."""
        return self.core.state().last_error
