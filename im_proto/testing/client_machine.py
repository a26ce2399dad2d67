"""`ClientEngineMachine`: whatever can happen to a client, in any order, held to `ClientModel`."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ..client import inputs as inp
from ..wire import (
    AuthData,
    AuthExpiring,
    AuthResponse,
    ChatError,
    ChatRedirectToUser,
    ChatSendResponse,
    HeartbeatHint,
    HeartbeatResponse,
    Kick,
    Message,
    ReadSync,
    ReceiptPush,
    ServerLimits,
    SessionResponse,
    SyncResponse,
    UserId,
)
from ..wire.session import SessionOp
from ..wire.types import MAX_ID
from .client_harness import ClientHarness
from .harness import START, WALL
from .strategies import client_inputs, frames, garbage_bytes, garbage_frames, server_messages

__all__ = ["ClientEngineMachine"]


_codes: Final = st.sampled_from(
    [0, 0, 0, 0, 0, 200, None, 400, 40400, 40900, 40900, 40100, 500, 50000]
)
_closes: Final = st.sampled_from(
    [1000, 1001, 1002, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4002, 4003, 4004, 4008, 4009]
)
#: how many bytes at the end of what the server says are still under way
_CAPABILITIES: Final = ["seq", "batch", "receipts", "typing", "presence"]
_under_way: Final = st.sampled_from([0, 0, 0, 0, 1, 7])
_welcomes: Final = st.fixed_dictionaries(
    {
        "ours": st.sampled_from([True, True, False]),
        "epoch": st.sampled_from(["e0", "e0", "e1"]),
        "reset": st.sampled_from([False, False, True]),
        "seq": st.integers(0, 3),
        "in_flight": st.none() | st.integers(1, 4),
        "hint": st.booleans(),
        "more": st.booleans(),
        "expires_in": st.sampled_from([None, None, 20.0, 0.5]),
    }
)


class ClientEngineMachine(ClientHarness):
    """Gives a `ClientEngine` any input at any time, often enough the right one, and checks after
    each that what it does is what a client promises (`im_proto.testing.model.ClientModel`).

    Subclass it to test what you build on a client. Your program's part is in the hooks, what must
    hold for it in rules and invariants of your own:

        class EchoMachine(ClientEngineMachine):
            def __init__(self):
                super().__init__()
                self.asked, self.answered = 0, 0

            def on_event(self, event):
                if isinstance(event, MessageReceived) and event.from_user is not None:
                    self.asked += 1
                    self.send(event.from_user, f"You said: {event.content}"[:1000])
                    self.do(MessageHandled(delivery=event.delivery))

        TestEcho = EchoMachine.TestCase          # for pytest and unittest

    Hooks: `make_config`, `make_engine`, `on_action`, `on_event`. For your rules: `do` and `send`
    (also from inside a hook: they wait for the step to end), `say` for the server, `engine`,
    `model`, `now`, `logged_in`. Failures show the inputs that lead to them, as few as possible.
    `docs/how-to/test-your-application.md` has examples that run.

    What is checked of every step: no input of a peer or a network raises; a mistake of the
    application changes nothing; stale ids and early wake-ups change nothing; the states of the
    client's machines go together; no deadline in the past, and always one while a link is wanted;
    bytes go only to a transport that takes them and keep RFC 6455; and all of the model: every
    message ends once, only by what the server said, in order per recipient, no push is lost,
    repeated or acknowledged unhandled. At the end: after `Disconnect` nothing is left behind.
    """

    # ------------------------------------------------------------ rules: on the way to a log-in

    @precondition(lambda self: not self.logged_in)
    @rule(steps=st.sampled_from([6, 6, 6, 3, 1]), welcome=_welcomes)
    def gets_on(self, steps: int, welcome: dict[str, Any]) -> None:
        """All goes well, for so many steps on the way to a log-in."""
        for _ in range(steps):
            if not self.logged_in:
                self._get_on(welcome)

    def _get_on(self, welcome: dict[str, Any]) -> None:
        link = self.link
        if not self.model.wants_link:
            self.do(inp.Connect())
        elif self.token_request is not None:
            self.do(inp.TokenReady(request=self.token_request, token="fresh"))  # noqa: S106
        elif link is None:
            self.now = max(self.now, self._latest, self.engine.next_deadline() or 0)
            self.do(inp.TimePassed())
        elif link.closed or link.leaving:
            self.do(inp.TransportLost(transport=link.transport))
        elif not link.opened:
            self.do(inp.TransportOpened(transport=link.transport))
        elif link.tunnel == "asked":
            self._arrive(link, b"HTTP/1.1 200 Go on\r\n\r\n")
        elif link.tunnel == "tls":
            self.do(inp.TlsStarted(transport=link.transport))
        elif link.asks and not link.unread:
            self._arrive(link, link.answer())
        elif self.model.asked is not None:
            self.say(self._welcome(welcome))
        else:
            self.do(inp.TransportLost(transport=link.transport))

    def _welcome(self, w: dict[str, Any]) -> AuthResponse:
        asked = self.model.asked
        assert asked is not None
        if not w["ours"]:
            return AuthResponse(code=200, message="hello")
        resume = asked.resume
        recovered = resume is not None and resume.epoch == w["epoch"] and not w["reset"]
        told = w["in_flight"] and ServerLimits(
            frame_bytes=65_536, batch=3, content_units=1000, in_flight=w["in_flight"],
            unacked=9, dedupe_seconds=60.0,
        )  # fmt: skip
        data = AuthData(
            device_id=asked.device_id,
            capabilities=_CAPABILITIES + (["refresh", "sessions"] if w["more"] else []),
            expires_in=w["expires_in"] if w["more"] else None,
            epoch=w["epoch"],
            resume=None if resume is None else ("recovered" if recovered else "reset"),
            oldest=w["seq"] + 1 if resume is not None and not recovered else None,
            seq=resume.seq if resume is not None and recovered else w["seq"],
            limits=told,
            heartbeat=HeartbeatHint(interval=7.0, timeout=2.0) if w["hint"] else None,
            last_msg_id=5,
        )
        return AuthResponse(code=0, message="", data=data)

    @rule(what=st.sampled_from(["connect", "network", "network", "token", "disconnect"]))
    def the_application_wishes(self, what: str) -> None:
        """connect(), disconnect(), a new token, another network."""
        wishes: dict[str, inp.Input] = {
            "connect": inp.Connect(),
            "network": inp.NetworkChanged(),
            "token": inp.UpdateToken(token="new"),  # noqa: S106
            "disconnect": inp.Disconnect(),
        }
        self.do(wishes[what])

    @precondition(lambda self: self.token_request is not None)
    @rule(token=st.sampled_from(["t1", "t2", "", None]))
    def the_token_function_answers(self, token: str | None) -> None:
        """With a token, nonsense or an exception."""
        assert self.token_request is not None
        if token is None:
            self.do(inp.TokenFailed(request=self.token_request, reason="no"))
        else:
            self.do(inp.TokenReady(request=self.token_request, token=token))

    @precondition(lambda self: self.link and self.link.asks)
    @rule(status=st.sampled_from([101, 301, 401, 404, 429, 503]), under_way=_under_way)
    def the_upgrade_is_answered(self, status: int, under_way: int) -> None:
        """By a server that says that it is one of ours, or refuses."""
        link = self.link
        assert link is not None
        self._arrive(link, link.answer(status=status, capable=True), under_way)

    @precondition(lambda self: self.model.asked is not None)
    @rule(code=st.sampled_from([400, 40101, 401, 403, 500]))
    def the_login_is_refused(self, code: int) -> None:
        """AUTH_RESPONSE with a code that is no success."""
        self.say(AuthResponse(code=code, message="no"))

    # ------------------------------------------------------------ rules: messages

    @rule(
        to_user=st.sampled_from([2, 2, 3, "bravo"]),
        contents=st.lists(st.text(max_size=8), max_size=4),
        how=st.sampled_from(
            [{}, {}, {}, {}, {}, {"key": "k1"}, {"ttl": 0.2}, {"ttl": 20.0}, {"wait": True}]
        ),
    )
    def the_application_sends(
        self, to_user: UserId, contents: list[str], how: dict[str, Any]
    ) -> None:
        """Some messages to one recipient, the first in a way of its own; refused are empty ones,
        and another content under a key that was used."""
        for n, content in enumerate(contents or ["hello"]):
            self.send(to_user, content, **(how if n == 0 else {}))

    @precondition(lambda self: "sessions" in self.model.granted)
    @rule(
        op=st.sampled_from([SessionOp.GET_CURRENT, SessionOp.GET, SessionOp.HISTORY, None, None]),
        code=_codes,
        data=st.sampled_from([[], {}, None, "no"]),
    )
    def sessions_are_asked_for(self, op: SessionOp | None, code: int | None, data: object) -> None:
        """The application makes a call, or (None) the server answers one: rightly, or not."""
        ids = sorted(self.model.questions)
        if op is None and ids:
            self.say(SessionResponse(id=ids[0], code=code or 0, data=data))
            return
        self.last_ref += 1
        op = op or SessionOp.GET_CURRENT
        about = {SessionOp.GET: {"session_id": 7}, SessionOp.HISTORY: {"peer_id": 2}}
        fields: dict[str, Any] = {"ref": self.last_ref, "op": op, **about.get(op, {})}
        self.do(inp.SessionCall(**fields))

    @precondition(lambda self: "refresh" in self.model.granted)
    @rule(
        code=st.sampled_from([0, 0, 0, 40100, 500, None]),
        expires_in=st.sampled_from([None, 0.5, 20.0, 3600.0]),
    )
    def the_server_speaks_of_the_token(self, code: int | None, expires_in: float | None) -> None:
        """It takes the new one, or refuses it; or says that the old one is about to expire."""
        if self.model.renewing and code is not None:
            data = AuthData(expires_in=expires_in)
            self.say(AuthResponse(code=code, message="so", data=data))
        else:
            self.say(AuthExpiring(expires_in=expires_in or 0.0))

    @precondition(lambda self: self.model.pending)
    @rule(which=st.integers(0, 20))
    def the_application_withdraws(self, which: int) -> None:
        """One of the pending messages; it is too late for some."""
        self.do(inp.Cancel(ref=list(self.model.pending)[which % len(self.model.pending)]))

    @precondition(lambda self: self.model.unhandled)
    @rule(which=st.integers(0, 20), how=st.sampled_from(["all", "one", "taken", "taken", "fails"]))
    def the_application_handles(self, which: int, how: str) -> None:
        """What it has received: all, one, or it begins with one, or fails on it."""
        waiting = list(self.model.unhandled)
        one = waiting[which % len(waiting)]
        if how == "taken":
            self.do(inp.MessageTaken(delivery=one))
            return
        if how == "fails":
            self.do(inp.MessageHandled(delivery=one, ok=False))
            return
        for delivery in waiting if how == "all" else [one]:
            self.do(inp.MessageHandled(delivery=delivery))

    @precondition(lambda self: self.logged_in and self.model.flying)
    @rule(
        which=st.integers(0, 20),
        codes=st.lists(_codes, min_size=1, max_size=3),
        error=st.sampled_from([False, False, False, True]),
        under_way=_under_way,
    )
    def the_server_answers(
        self, which: int, codes: list[int | None], error: bool, under_way: int
    ) -> None:
        """Unanswered messages, one or (in a batch) several; any of them first."""
        ids = list(self.model.flying)
        answers: list[Message] = []
        for n, code in enumerate(codes if self.model.batch else codes[:1]):
            msg_id = ids[(which + n) % len(ids)]
            if error:
                answers.append(ChatError(code=code, msg_id=msg_id if which % 2 else None))
            else:
                answers.append(ChatSendResponse(msg_id=msg_id, code=code, message="so"))
        self.say(*answers, under_way=under_way)

    @precondition(lambda self: self.logged_in)
    @rule(which=st.integers(0, 20), code=_codes)
    def the_server_answers_once_more(self, which: int, code: int | None) -> None:
        """What was answered long ago, or never sent."""
        msg_id = self.used_ids[which % len(self.used_ids)]
        self.say(ChatSendResponse(msg_id=msg_id, code=code))

    @precondition(lambda self: self.model.flying or self.model.unhandled)
    @rule()
    def all_goes_well(self) -> None:
        """The server accepts what is unanswered, the application handles what it has."""
        for msg_id in list(self.model.flying):
            self.say(ChatSendResponse(msg_id=msg_id, code=0, timestamp=1))
        for delivery in list(self.model.unhandled):
            self.do(inp.MessageHandled(delivery=delivery))

    @precondition(lambda self: self.logged_in)
    @rule(
        steps=st.lists(st.sampled_from([1, 1, 1, 0, 0, -1, 3, None]), min_size=2, max_size=5),
        from_user=st.sampled_from([2, 3, None]),
        twin=st.booleans(),
        kinds=st.lists(
            st.sampled_from(["message", "message", "receipt", "read", "copy", "own"]),
            min_size=5,
            max_size=5,
        ),
        under_way=_under_way,
    )
    def the_server_pushes(
        self,
        steps: list[int | None],
        from_user: UserId | None,
        twin: bool,
        kinds: list[str],
        under_way: int,
    ) -> None:
        """What is next in the mailbox, with repeats and holes; some without a number."""
        at = self.model.received or 0
        pushes: list[Message] = []
        for step, kind in zip(steps, kinds, strict=False):
            at = min(MAX_ID, max(at, 1 if step == 0 else at + (step or 0)))
            msg_id = max(1, at if step is not None and not twin else 7)
            seq = max(1, at) if step is not None else None
            pushes.append(self._push(kind, seq, msg_id, from_user))
        if self.model.batch:
            self.say(*pushes, under_way=under_way)
            return
        for push in pushes:
            self.say(push, under_way=under_way)

    def _push(self, kind: str, seq: int | None, msg_id: int, from_user: UserId | None) -> Message:
        if kind == "receipt":
            return ReceiptPush(msg_ids=[msg_id], user=2, status="delivered", seq=seq)
        if kind == "read":
            return ReadSync(from_user=2, msg_id=msg_id, seq=seq)
        content = f"m{msg_id}"
        if kind == "message":
            return ChatRedirectToUser(content=content, from_user=from_user, msg_id=msg_id, seq=seq)
        return ChatRedirectToUser(
            content=content,
            from_user=self.config.user_id,
            to_user=2,
            device_id=self.engine.device_id if kind == "own" else "another",
            msg_id=msg_id,
            seq=seq,
        )

    @precondition(lambda self: self.logged_in)
    @rule(
        message=st.one_of(
            st.builds(
                SyncResponse,
                status=st.sampled_from(["recovered", "reset"]),
                oldest=st.integers(0, 4),
                epoch=st.sampled_from([None, "e0", "e1"]),
            ),
            st.builds(
                Kick,
                reason=st.just("because"),
                reconnect=st.booleans(),
                retry_after=st.none() | st.floats(0, 60),
            ),
            st.builds(HeartbeatResponse),
        )
    )
    def the_server_says(self, message: Message) -> None:
        """SYNC_RESPONSE, KICK, HEARTBEAT_RESPONSE, called for or not."""
        self.say(message)

    @precondition(lambda self: self.link and self.link.framing.open)
    @rule(text=frames(server_messages, batch=3) | garbage_frames)
    def the_server_says_anything(self, text: str) -> None:
        """Any message, or nonsense."""
        link = self.link
        assert link is not None
        if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text):
            self._arrive(link, link.framing.send_text(text))

    # ------------------------------------------------------------ rules: the network

    @precondition(lambda self: self.link and self.link.unread)
    @rule()
    def the_rest_arrives(self) -> None:
        """What was under way."""
        assert self.link is not None
        self._arrive(self.link, b"")

    @precondition(lambda self: self.link)
    @rule(how=_closes | garbage_bytes | st.sampled_from(["lost", "failed", "ping"]))
    def the_link_suffers(self, how: int | bytes | str) -> None:
        """The server closes or pings, garbage comes in, the transport is lost or can't be had."""
        link = self.link
        assert link is not None
        transport = link.transport
        if isinstance(how, bytes):
            if link.opened:
                self._arrive(link, how)
        elif isinstance(how, int) or how == "ping":
            if link.framing.open:
                ping = how == "ping"
                data = link.framing.send_ping(b"?") if ping else link.framing.send_close(int(how))
                self._arrive(link, data)
        elif how == "failed" and (not link.opened or link.tunnel):
            self.do(inp.TransportFailed(transport=transport, reason="refused"))
        elif link.opened:
            self.do(inp.TransportLost(transport=transport, reason="reset"))

    @precondition(lambda self: self.link and self.link.opened)
    @rule(blocked=st.booleans())
    def the_write_buffer_fills(self, blocked: bool) -> None:
        """Or is empty again."""
        assert self.link is not None
        kind = inp.WriteBlocked if blocked else inp.WriteReady
        self.do(kind(transport=self.link.transport))

    # ------------------------------------------------------------ rules: time, and anything

    @rule(late=st.sampled_from([0.0, 0.0, 0.0, 0.4, 2.0, 90.0]))
    def a_deadline_comes(self, late: float) -> None:
        """The engine is woken when it wanted, or too late."""
        at = self.engine.next_deadline()
        if at is not None:
            self.now = max(self.now, at + late)
            self.do(inp.TimePassed())

    @rule(
        step=st.sampled_from([0.0, 0.001, 0.3, 1.5, 6.0, 31.0, 400.0, -3.0]),
        slept=st.sampled_from([None, 0.0, 5.0, 3600.0, -60.0]),
    )
    def time_passes(self, step: float, slept: float | None) -> None:
        """A clock that jumps, stands still or goes back; a wall clock that does otherwise."""
        self.now += step
        wall = None if slept is None else WALL + self.now - START + slept
        self.do(inp.TimePassed(wall=wall))

    @rule(event=client_inputs())
    def anything_happens(self, event: inp.Input) -> None:
        """Any input at all: stale, too early, nonsense."""
        self.do(event)
