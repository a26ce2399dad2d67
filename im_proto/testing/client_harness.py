"""What stands around a `ClientEngine` in its machine: hooks, and one step with its checks."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from ..client import ClientEngine
from ..client import actions as act
from ..client import events as ev
from ..client import inputs as inp
from ..config import ClientConfig
from ..errors import IMError, LocalProtocolError
from ..framing import CloseFrame, HandshakeRejected, TextFrame, Violation
from ..machines.product import illegal
from ..wire import Message, UserId
from .harness import START, WALL, Harness
from .heard import MAX_BATCH
from .model import ClientModel
from .peers import FarServer
from .strategies import client_configs


class ClientHarness(Harness[inp.Input]):
    """`ClientEngineMachine` without its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.engine: ClientEngine
        self.model: ClientModel
        self.config: ClientConfig
        #: the server's end of the present transport
        self.link: FarServer | None = None
        #: the FetchToken that waits for an answer
        self.token_request: int | None = None
        #: every CallHttp that waits for an answer
        self.http_requests: set[int] = set()
        #: the last ref that `send` has drawn
        self.last_ref = 1_000
        #: every msgId that was handed over
        self.used_ids: list[int] = [1]
        self._transports = 0
        self._said: ev.ConnectionState

    # ------------------------------------------------------------ hooks

    def make_config(self) -> ClientConfig:
        """The configuration of this run; by default any. `self.draw(strategy)` works here."""
        return self.draw(client_configs())

    def make_engine(self, config: ClientConfig) -> ClientEngine:
        """The engine under test; override this for a subclass of your own."""
        return ClientEngine(config, now=START, wall=WALL, rng=random.Random(0))  # noqa: S311

    def on_action(self, action: act.Action) -> None:
        """The engine wants this done; called for each action, in order, Notify included."""

    def on_event(self, event: ev.Event) -> None:
        """The application is told this."""

    # ------------------------------------------------------------ for rules of a subclass

    def send(self, to_user: UserId, content: str, **more: Any) -> int:
        """The application sends a message; returns its ref. The engine may refuse it (QUEUE_FULL,
        MESSAGE_FORMAT_ERROR): then it never is in `model.pending`. `more` are fields of `Send`."""
        self.last_ref += 1
        self.do(inp.Send(ref=self.last_ref, to_user=to_user, content=content, **more))
        return self.last_ref

    def say(self, *messages: Message, under_way: int = 0) -> None:
        """The server says this in one frame (several only if it grants `batch`); nothing happens
        when there is no WebSocket. The last bytes may stay `under_way` for now."""
        link = self.link
        if link is not None and link.framing.open:
            self._arrive(link, link.text(*messages), under_way)

    @property
    def logged_in(self) -> bool:
        """The client is logged in."""
        return self.model.logged_in

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """A new client."""
        self._data = data
        self.config = self.make_config()
        assert self.config.dialect == "invocation", "this machine speaks dialect='invocation'"
        self.engine = self.make_engine(self.config)
        self._data = None
        self._said = self.engine.state(START)
        self.model = ClientModel(self.config)
        self.model.device_id = self.engine.device_id

    # ------------------------------------------------------------ one step

    def _arrive(self, link: FarServer, data: bytes, under_way: int = 0) -> None:
        link.unread += data
        count = max(0, len(link.unread) - under_way)
        data, link.unread = link.unread[:count], link.unread[count:]
        if data:
            self.do(inp.BytesReceived(transport=link.transport, data=data))

    def _step(self, event: inp.Input) -> None:
        engine = self.engine
        deadline = engine.next_deadline()
        nothing = self._means_nothing(event, deadline)
        too_early = isinstance(event, inp.TlsStarted) and bool(nothing)
        may_refuse = self.model.may_refuse(event) or too_early
        before = self._glance() if nothing or may_refuse else ()
        link = self.link
        if isinstance(event, inp.BytesReceived) and link and not nothing:
            self._read_along(link, event.data)
        self._latest = max(self._latest, self.now)
        try:
            actions = engine.step(event, self.now)
        except (LocalProtocolError, IMError) as error:
            assert may_refuse, f"{event} was refused: {error}"
            assert self._glance() == before, f"{event} was refused, and changed something"
            return
        if nothing:
            assert actions == [], f"{event} is {nothing}, and brought about {actions}"
            assert self._glance() == before, f"{event} is {nothing}, and changed something"
        self._take_note(event, link)
        self.model.took(event)
        for action in actions:
            self._check(action)
            self.on_action(action)
        self._check_state(event, deadline)

    def _glance(self) -> tuple[object, ...]:
        """What anybody can see of the engine."""
        engine = self.engine
        refs = list(self.model.pending)[:3]
        return (
            engine.state(self.now),
            engine.explain(self.now),
            [engine.explain(self.now, ref) for ref in refs],
            engine.next_deadline(),
            asdict(engine.counters),
        )

    def _means_nothing(self, event: inp.Input, deadline: float | None) -> str:
        """Why an input must change nothing; "" if it may."""
        transport: int | None = getattr(event, "transport", None)
        if transport is not None and (self.link is None or transport != self.link.transport):
            return "of another transport"
        if isinstance(event, inp.TokenReady | inp.TokenFailed):
            return "" if event.request == self.token_request else "not what was asked"
        if isinstance(event, inp.HttpAnswered | inp.HttpFailed):
            return "" if event.request in self.http_requests else "not what was asked"
        if isinstance(event, inp.JournalWritten | inp.JournalFailed):
            return "of a journal that it has not"
        if isinstance(event, inp.TlsStarted) and self.link and self.link.tunnel != "tls":
            return "not what was asked"
        if isinstance(event, inp.MessageHandled | inp.MessageTaken):
            return "" if event.delivery in self.model.unhandled else "of no delivery"
        if isinstance(event, inp.TimePassed) and event.wall is None:
            return "" if deadline is not None and deadline <= self._now_there else "too early"
        return ""

    def _read_along(self, link: FarServer, data: bytes) -> None:
        if link.reader is None or link.closed or link.leaving:
            return
        for frame in link.reader.receive(data, self.now):
            if isinstance(frame, TextFrame):
                self.model.heard(frame.text)
            elif isinstance(frame, CloseFrame):
                self.model.heard(frame.code)
            elif isinstance(frame, Violation | HandshakeRejected):
                self.model.must_end(f"{frame}")

    def _take_note(self, event: inp.Input, link: FarServer | None) -> None:
        """What an input means for the transport or the token."""
        transport: int | None = getattr(event, "transport", None)
        if isinstance(event, inp.TokenReady | inp.TokenFailed):
            if event.request == self.token_request:
                self.token_request = None
        elif isinstance(event, inp.HttpAnswered | inp.HttpFailed):
            self.http_requests.discard(event.request)
        elif link is None or transport != link.transport:
            return
        elif isinstance(event, inp.TransportOpened):
            link.opened = True
        elif isinstance(event, inp.TlsStarted):
            link.tunnel = ""
        elif isinstance(event, inp.TransportFailed | inp.TransportLost):
            self.link = None
            self.model.link_gone()

    def _check(self, action: act.Action) -> None:
        link, model = self.link, self.model
        if isinstance(action, act.Notify):
            event = action.event
            if isinstance(event, ev.StateChanged):
                self._said = event.current
            elif isinstance(event, ev.MessageHandedOver):
                self.used_ids.append(event.msg_id)
            model.saw(event)
            self.on_event(event)
        elif isinstance(action, act.FetchToken):
            wanted = model.may_connect or model.calls
            assert wanted and self.token_request is None, "a token for nothing"
            self.token_request = action.request
        elif isinstance(action, act.CancelToken):
            assert action.request == self.token_request, "cancels what it did not ask for"
            self.token_request = None
        elif isinstance(action, act.CallHttp):
            self.http_requests.add(action.request)
        elif isinstance(action, act.WriteJournal):
            raise AssertionError("it was given no journal")
        elif isinstance(action, act.CancelHttp):
            assert action.request in self.http_requests, "cancels what it did not ask for"
            self.http_requests.discard(action.request)
        elif isinstance(action, act.OpenTransport):
            assert model.may_connect and link is None, "a transport for nothing"
            assert action.transport > self._transports, "the name of a transport is used again"
            self._transports = action.transport
            self.link = FarServer(
                action.transport,
                message_bytes=self.config.message_bytes,
                proxied=self.config.proxy is not None,
            )
        elif isinstance(action, act.AbortTransport):
            assert action.transport == self._transports, "aborts another transport"
            self.link = None
            model.link_gone()
        else:
            assert link is not None, f"{action}, and there is no transport"
            assert action.transport == link.transport and link.opened and not link.closed, action
            self._check_use(action, link)

    def _check_use(
        self,
        action: act.SendBytes
        | act.CloseTransport
        | act.StartTls
        | act.PauseReading
        | act.ResumeReading,
        link: FarServer,
    ) -> None:
        model = self.model
        if isinstance(action, act.SendBytes):
            self._read(link, action.data)
        elif isinstance(action, act.CloseTransport):
            link.closed = True
            model.link_gone()
        elif isinstance(action, act.StartTls):
            assert self.config.secure and link.tunnel == "asked", "TLS that nobody wanted"
            link.tunnel = "tls"
        else:
            pause = isinstance(action, act.PauseReading)
            assert pause != model.paused, f"{action} twice"
            model.paused = pause

    def _read(self, link: FarServer, data: bytes) -> None:
        assert not link.leaving, "bytes after the close frame"
        if link.tunnel == "asked" and not self.config.secure:
            link.tunnel = ""  # the proxy has answered well, and the upgrade request follows
        batch = MAX_BATCH if self.model.batch else 0
        for frame in link.take(data):
            assert not isinstance(frame, Violation), f"the client broke RFC 6455: {frame}"
            if isinstance(frame, TextFrame):
                for message in link.messages(frame.text, batch=batch):
                    self.model.wrote(message)
            elif isinstance(frame, CloseFrame):
                link.leaving = True
                self.model.link_gone()

    def _check_state(self, event: inp.Input, before: float | None) -> None:
        engine, link = self.engine, self.link
        state, at = engine.state(self._now_there), engine.next_deadline()
        up = link is not None and link.opened and not link.closed and not link.leaving
        self.model.settled(state.status, link_up=up)
        told = (self._said.status, self._said.reason)
        assert told == (state.status, state.reason), "a change of state was not told"
        core = engine.core
        broken = illegal(core.connection, core.login.state, core.liveness.state, core.reconnect)
        assert broken is None, broken
        if state.status is not ev.Status.DISCONNECTED:
            assert at is not None, "wants a link and waits for nothing"
        if at is not None and (before is None or at < before):
            assert at >= self._latest, f"a deadline in the past: {at}, now {self._latest}"
        if isinstance(event, inp.TimePassed):
            assert at is None or at > self._latest, "no time would pass: a livelock"

    def teardown(self) -> None:
        """After Disconnect, and the time that a goodbye takes, nothing is left to wait for."""
        if self._broken or not hasattr(self, "engine"):
            return
        self.do(inp.Disconnect())
        for _ in range(10):
            at = self.engine.next_deadline()
            if at is None:
                break
            self.now = max(self._now_there, at)
            self.do(inp.TimePassed())
        assert self.engine.next_deadline() is None, "disconnected, and still waits for something"
        assert self.link is None and self.token_request is None, "left behind: a link or a token"
