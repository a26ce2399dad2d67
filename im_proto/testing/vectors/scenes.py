"""Lives against a peer that does anything: every answer, every close, in both dialects.

A world's servers are good ones, so much of what a client must bear never happens in it. Here the
peer is a die: whatever is possible at the moment may be thrown.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from ...client import ClientCore
from ...client import actions as act
from ...client import events as ev
from ...client import inputs as inp
from ...client.journal import JournalState
from ...config import ClientConfig
from ...errors import IMError, LocalProtocolError
from ...wire.session import SessionOp
from .lives import Life, Recorder
from .peers import Peer, TypedPeer

_WALL: Final = 1_700_000_000.0
_USERS: Final = (1, 2, 7, "bravo", "café", 2**60)
_CLOSES: Final = (
    *(1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013),
    *(3000, 4001, 4002, 4003, 4004, 4008, 4009, 4999),
)
_STATUSES: Final = (200, 301, 400, 401, 403, 404, 426, 429, 500, 502, 503)
#: What no content may be, or only just.
_CONTENTS: Final = (
    "",
    " \t\ufeff",
    "nul\x00",
    "\ud800",
    "x" * 1001,
    "\U0001f600" * 60,
    "line\u2028",
)


def lives_of_a_scene(seed: int, steps: int) -> list[Life]:
    """What one client has lived through; where it has a journal, its process begins anew.

    Args:
        seed: of everything.
        steps: of each life.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    scene = _Scene(rng, steps)
    scene.begin()
    scene.go_on(steps)
    if scene.disk is not None:
        scene.begin()
        scene.go_on(steps)
    return scene.recorder.lives


class _Scene:
    def __init__(self, rng: random.Random, steps: int) -> None:
        self.rng = rng
        self.recorder = Recorder(steps)
        typed = rng.random() < 0.2
        self.peer: Peer = (TypedPeer if typed else Peer)(rng, _USERS)
        self.config = self._config()
        self.disk: JournalState | None = None
        if rng.random() < 0.4:
            self.disk = JournalState(known_pairs=self.config.known_pairs)
        self.now = float(rng.choice((0.0, 5.0, 1234.5)))
        #: wall clock minus `now`; it runs on while the machine sleeps
        self.offset = _WALL
        self.ref = 0
        #: what the peer often closes with
        self.favourite = rng.choice(_CLOSES)
        self.core: ClientCore
        self.peer.user = self.config.user_id
        # a client has its moods: of some kinds of moves it makes many
        self._moods = {name: rng.choice((0.2, 1.0, 1.0, 1.0, 3.0)) for name in _MOVES}

    def _config(self) -> ClientConfig:
        choice, typed = self.rng.choice, self.peer.dialect == "typed"
        token: Any = choice(("a token", lambda: "never called"))
        told: dict[str, Any] = {
            "ws_url": choice(("ws://server/ws", "wss://server:8443/ws?a=b")),
            "token": token,
            "user_id": choice(_USERS),
            "dialect": "typed" if typed else "invocation",
            "extensions": choice((True, True, True, False)),
            "device_id": choice((None, None, "phone")),
            "reconnect": choice(({}, {"max_retries": 1, "jitter": "none"}, {"strategy": "linear"})),
            "heartbeat": choice(({}, {}, {"interval": 5.0, "timeout": 2.0, "max_missed": 1})),
            "http": choice(({}, {"prefix": "", "create_path": "/session/add"})),
            "in_flight": choice((1, 2, 64)),
            "max_queue": choice((3, 10_000)),
            "max_queue_bytes": choice((1024, 16_777_216)),
            "when_queue_full": choice(("reject", "drop_oldest", "drop_lowest_priority")),
            "time_to_live": choice((None, None, 20.0)),
            "keys_kept": choice((30.0, 7 * 86_400.0)),
            "max_unhandled": choice((2, 1000)),
            "when_full": choice(("block", "drop_oldest")),
            "ack": choice(("auto", "manual")),
            "handler_attempts": choice((1, 3)),
            "sleep_watch": choice((None, 10.0)),
            "known_pairs": choice((0, 2, 4096)),
            "resend_when_unsure": choice((True, False)),
            "max_sends": choice((1, 3)),
        }
        return ClientConfig.model_validate(told)

    # ------------------------------------------------------------ a process

    def begin(self) -> None:
        """A new process, with what the journal has kept."""
        self.core = self.recorder.core(
            self.config, now=self.now, wall=self.now + self.offset, rng=self.rng, journal=self.disk
        )
        self.transport = 0
        self.tokens: list[int] = []
        self.calls: list[act.CallHttp] = []
        self.writes: list[act.WriteJournal] = []
        self.waiting: list[int] = []
        self.pairs: list[tuple[Any, int]] = []
        self.refs: list[int] = []
        self.do(inp.Connect())

    def go_on(self, steps: int) -> None:
        """So many moves."""
        for _ in range(steps):
            moves = [name for name, (possible, _, _) in _MOVES.items() if possible(self)]
            weights = [_MOVES[name][1] * self._moods[name] for name in moves]
            _MOVES[self.rng.choices(moves, weights)[0]][2](self)

    def do(self, event: inp.CoreInput) -> None:
        """One step of the core, and what follows for its surroundings."""
        try:
            actions = self.core.step(event, self.now)
        except (IMError, LocalProtocolError):
            return
        for action in actions:
            self._carry_out(action)

    def _carry_out(self, action: act.CoreAction) -> None:
        match action:
            case act.OpenTransport():
                self.transport = action.transport
                self.peer.begin()
            case act.SendText():
                self.peer.hear(action.text)
            case act.FetchToken():
                self.tokens.append(action.request)
            case act.CallHttp():
                self.calls.append(action)
            case act.WriteJournal():
                self.writes.append(action)
            case act.Notify(event=ev.MessageReceived() as message):
                self.waiting.append(message.delivery)
                if message.from_user is not None and message.msg_id is not None:
                    self.pairs.append((message.from_user, message.msg_id))
            case act.Notify(event=ev.MessageDropped(delivery=delivery)):
                self.waiting = [one for one in self.waiting if one != delivery]

    # ------------------------------------------------------------ the application

    def send(self) -> None:
        """A message, with anything beside it."""
        rng = self.rng
        self.ref += 1
        more: dict[str, Any] = {}
        for name, chance, values in (
            ("message_type", 0.1, ("image", "image", "")),
            ("session_id", 0.2, (5, 5, 2**60, 0)),
            ("priority", 0.3, ("high", "low")),
            ("key", 0.2, ("a", "b", f"key {self.ref}", "k" * 257)),
            ("ttl", 0.2, (0.5, 10.0, 10.0, 100.0, 0.0)),
            ("wait", 0.2, (True,)),
        ):
            if rng.random() < chance:
                more[name] = rng.choice(values)
        content = f"message {self.ref}"
        if rng.random() < 0.08:
            content = rng.choice(_CONTENTS)
        to_user = rng.choice((*_USERS * 3, "", 0))
        self.refs.append(self.ref)
        ref = self.ref - (rng.random() < 0.03)
        self.do(inp.Send(ref=ref, to_user=to_user, content=content, **more))

    def ask(self) -> None:
        """A call about sessions."""
        rng = self.rng
        op = rng.choice(list(SessionOp))
        self.ref += 1
        about: dict[str, Any] = {}
        three = {
            "book_id": rng.choice((0, 1, 2**60)),
            "buyer_id": 1,
            "seller_id": rng.choice(_USERS),
        }
        if op in (SessionOp.CREATE, SessionOp.START_CHAT):
            about = three
        elif op is SessionOp.GET:
            about = rng.choice((three, {"session_id": rng.choice((5, 6))}))
        elif op is SessionOp.HISTORY:
            about = {
                **rng.choice(({"session_id": 5}, {"peer_id": rng.choice(_USERS)})),
                "start_msg_id": rng.choice((None, 3)),
                "direction": rng.choice(("before", "after")),
                "page_size": rng.choice((2, 50)),
            }
        if rng.random() < 0.1:
            about = rng.choice(({"session_id": -1}, {"direction": "up"}, {"buyer_id": ""}))
        ref = self.ref - (rng.random() < 0.1)
        self.do(inp.SessionCall(ref=ref, op=op, **about))

    def mark_read(self) -> None:
        """What came last was read, or what never came."""
        user, msg_id = self.rng.choice([*self.pairs[-3:] * 2, (2, 99), ("", 9), (7, 0)])
        self.do(inp.MarkRead(from_user=user, msg_id=msg_id))

    def typing(self) -> None:
        """Somebody is written to."""
        user = self.rng.choice((2, 2, 2, 2, "bravo", ""))
        self.do(inp.SetTyping(to_user=user, active=self.rng.random() < 0.5))

    def handle(self) -> None:
        """One of the messages that wait is handled, or fails."""
        delivery = self.rng.choice(self.waiting[:4])
        ok = self.rng.random() < 0.8
        if ok:
            self.waiting.remove(delivery)
        self.do(inp.MessageHandled(delivery=delivery, ok=ok))

    def take(self) -> None:
        """The application begins with one."""
        self.do(inp.MessageTaken(delivery=self.rng.choice(self.waiting)))

    def cancel(self) -> None:
        """One of the newest is withdrawn."""
        self.do(inp.Cancel(ref=self.rng.choice(self.refs[-4:])))

    def new_token(self) -> None:
        """The application has another token, or nonsense."""
        token = self.rng.choice(("another token", "a third", "", "\ud800"))
        self.do(inp.UpdateToken(token=token))

    # ------------------------------------------------------------ answers

    def token_answered(self) -> None:
        """The token function answers, or an earlier one does."""
        request, rng = self.tokens.pop(), self.rng
        if rng.random() < 0.25:
            self.do(inp.TokenFailed(request=request, reason="no token\n"))
        else:
            token = rng.choice(("token", "token", f"token {rng.randrange(3)}", "t\u00f6ken", ""))
            self.do(inp.TokenReady(request=request, token=token))

    def http_answered(self) -> None:
        """The site's HTTP server answers."""
        call, rng = self.calls.pop(), self.rng
        if rng.random() < 0.15:
            self.do(inp.HttpFailed(request=call.request, reason="reset by peer"))
            return
        status = 200 if rng.random() < 0.7 else rng.choice(_STATUSES)
        body = self.peer.http(call.url).encode()
        if rng.random() < 0.1:
            body = rng.choice((b"", b"{", b"[]", b'{"code":"x"}', b"x" * 200))
        wait = rng.choice((None, None, 0.5, 3.0))
        self.do(inp.HttpAnswered(request=call.request, status=status, body=body, retry_after=wait))

    def journal_answered(self) -> None:
        """The disk has written, or has not."""
        action = self.writes.pop()
        if self.rng.random() < 0.2:
            self.do(inp.JournalFailed(request=action.request, reason="disk full"))
            return
        assert self.disk is not None
        self.disk.apply(action.changes)
        self.do(inp.JournalWritten(request=action.request))

    # ------------------------------------------------------------ the network

    def opened(self) -> None:
        """A transport, or none."""
        if self.rng.random() < 0.8:
            self.do(inp.TransportOpened(transport=self.transport))
        else:
            kind = self.rng.choice(list(inp.TransportFailure))
            reason = self.rng.choice(("", f"it was {kind}"))
            self.do(inp.TransportFailed(transport=self.transport, kind=kind, reason=reason))

    def upgraded(self) -> None:
        """The upgrade is answered."""
        rng = self.rng
        if rng.random() < 0.85:
            capable = rng.random() < 0.5
            self.do(inp.LinkOpened(transport=self.transport, capable=capable))
        else:
            self.do(
                inp.LinkRefused(
                    transport=self.transport,
                    status=rng.choice(_STATUSES),
                    retry_after=rng.choice((None, 2.0, 1e6)),
                    reason=rng.choice(("", "no\x07")),
                )
            )

    def lost(self) -> None:
        """The transport ends."""
        reason = self.rng.choice(("", "connection reset"))
        self.do(inp.TransportLost(transport=self.transport, reason=reason))

    def closed(self) -> None:
        """The peer says goodbye, or breaks the framing."""
        rng = self.rng
        if rng.random() < 0.85:
            code = self.favourite if rng.random() < 0.5 else rng.choice(_CLOSES)
            reason = rng.choice(("", "go away"))
            self.do(inp.PeerClosed(transport=self.transport, code=code, reason=reason))
        else:
            code = rng.choice((1002, 1007, 1009))
            self.do(
                inp.FramingViolated(transport=self.transport, code=code, reason="a reserved bit")
            )

    def said(self) -> None:
        """The peer says something."""
        text = self.peer.say()
        self.do(inp.TextReceived(transport=self.transport, text=text))

    def half(self) -> None:
        """Something has begun to come in, or a ping came."""
        if self.rng.random() < 0.5:
            self.do(inp.ControlReceived(transport=self.transport))
        else:
            partial = self.rng.random() < 0.6
            self.do(inp.PartialChanged(transport=self.transport, partial=partial))

    def blocked(self) -> None:
        """The peer reads slowly, or again."""
        kind = self.rng.choice((inp.WriteBlocked, inp.WriteReady, inp.WriteReady))
        self.do(kind(transport=self.transport))

    # ------------------------------------------------------------ time

    def wait(self) -> None:
        """Until the next deadline, in time or too late, or a little."""
        rng, deadline = self.rng, self.core.next_deadline()
        if deadline is None or rng.random() < 0.4:
            self.now += rng.choice((0.0, 0.0625, 0.5, 2.0))
        else:
            self.now = max(self.now, deadline) + rng.choice((0.0, 0.0, 0.0, 0.25, 5.0))
        self._look()

    def sleep(self) -> None:
        """The machine sleeps, or its wall clock is set."""
        self.offset += self.rng.choice((60.0, 3600.0, -100.0))
        if self.rng.random() < 0.3:
            self.do(inp.WallClock(wall=self.now + self.offset))
        else:
            self._look()

    def _look(self) -> None:
        wall = self.rng.choice((None, self.now + self.offset))
        self.do(inp.TimePassed(wall=wall))


def _at(*states: str) -> Callable[[_Scene], bool]:
    return lambda scene: scene.core.connection in states


def _always(_: _Scene) -> bool:
    return True


#: By name: when it is possible, how likely it is, and what it does.
_MOVES: Final[dict[str, tuple[Callable[[_Scene], bool], float, Callable[[_Scene], None]]]] = {
    "connect": (lambda s: not s.core.link_wanted, 6.0, lambda s: s.do(inp.Connect())),
    "connect again": (_always, 0.1, lambda s: s.do(inp.Connect())),
    "disconnect": (lambda s: s.core.link_wanted, 0.25, lambda s: s.do(inp.Disconnect())),
    "send": (_always, 1.5, _Scene.send),
    "ask": (_always, 0.4, _Scene.ask),
    "mark read": (_always, 0.4, _Scene.mark_read),
    "typing": (_always, 0.4, _Scene.typing),
    "handle": (lambda s: bool(s.waiting), 1.5, _Scene.handle),
    "take": (lambda s: bool(s.waiting), 0.4, _Scene.take),
    "cancel": (lambda s: bool(s.refs), 0.4, _Scene.cancel),
    "new token": (_always, 0.2, _Scene.new_token),
    "network changed": (_always, 0.2, lambda s: s.do(inp.NetworkChanged())),
    "token answered": (lambda s: bool(s.tokens), 10.0, _Scene.token_answered),
    "http answered": (lambda s: bool(s.calls), 3.0, _Scene.http_answered),
    "journal answered": (lambda s: bool(s.writes), 10.0, _Scene.journal_answered),
    "opened": (_at("opening"), 25.0, _Scene.opened),
    "upgraded": (_at("handshaking"), 30.0, _Scene.upgraded),
    "lost": (_at("opening", "handshaking", "open", "closing"), 0.25, _Scene.lost),
    "closed": (_at("open", "closing"), 0.25, _Scene.closed),
    "said": (_at("open"), 14.0, _Scene.said),
    "said too late": (_at("closing"), 0.5, _Scene.said),
    "half": (_at("open"), 0.3, _Scene.half),
    "blocked": (_at("open"), 0.3, _Scene.blocked),
    "wait": (_always, 2.5, _Scene.wait),
    "sleep": (_always, 0.1, _Scene.sleep),
}
