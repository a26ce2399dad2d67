"""Lives that chance hardly meets, written down: several things in a row have to go wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

from ...client import inputs as inp
from ...client.journal import JournalState
from ...config import ClientConfig
from ...errors import IMError, LocalProtocolError
from ...wire.session import SessionOp
from .lives import Life, Recorder

_CAPABILITIES: Final = ["seq", "batch", "status", "sessions", "inline"]


class _Script:
    """A client, its server, and the time."""

    def __init__(self, journaled: bool = False, **config: Any) -> None:
        usual = {"ws_url": "ws://server/ws", "token": "a", "user_id": 1, "sleep_watch": None}
        self.recorder = Recorder(60)
        self.now = 1.0
        self.core = self.recorder.core(
            ClientConfig.model_validate(usual | {"device_id": "phone"} | config),
            now=self.now,
            wall=1_700_000_000.0,
            rng=random.Random(0),  # noqa: S311 - repeatable on purpose
            journal=JournalState() if journaled else None,
        )
        self._ref = 0
        self._logged_in = 0

    def do(self, event: inp.CoreInput) -> None:
        """One step, a tenth of a second after the one before."""
        self.now += 0.125
        try:
            self.core.step(event, self.now)
        except (IMError, LocalProtocolError):
            return

    def wait(self, times: int = 1) -> None:
        """Until the next deadline."""
        for _ in range(times):
            self.now = self.core.next_deadline() or self.now
            self.core.step(inp.TimePassed(), self.now)

    def say(self, kind: str, **body: Any) -> None:
        """The server says something."""
        text = json.dumps({"type": kind, "message": body}, separators=(",", ":"))
        self.do(inp.TextReceived(transport=self.core.transport, text=text))

    def up(self) -> None:
        """A link, as far as the log-in's request."""
        if not self.core.link_wanted:
            self.do(inp.Connect())
        elif self.core.connection == "disconnected":
            self.wait()
        self.do(inp.TransportOpened(transport=self.core.transport))
        self.do(inp.LinkOpened(transport=self.core.transport, capable=True))

    def log_in(self, **data: Any) -> None:
        """A link with a log-in. The later ones are resumed."""
        self.up()
        self._logged_in += 1
        resume = {"resume": "recovered"} if self._logged_in > 1 else {}
        told = {"userId": 1, "capabilities": _CAPABILITIES, "epoch": "e", "seq": 0}
        self.say("AUTH_RESPONSE", code=0, data=told | resume | data)

    def send(self) -> int:
        """A message; its msgId."""
        self._ref += 1
        self.do(inp.Send(ref=self._ref, to_user=2, content=f"message {self._ref}"))
        oldest = self.core.sending.outbox.oldest
        return 0 if oldest is None else oldest.msg_id

    def lost(self) -> None:
        """The link is gone."""
        self.do(inp.TransportLost(transport=self.core.transport, reason="reset"))

    def closed(self, code: int) -> None:
        """The peer closes, and the transport ends."""
        self.do(inp.PeerClosed(transport=self.core.transport, code=code, reason=""))
        self.lost()


def _status_is_never_told(script: _Script) -> None:
    script.log_in()
    script.send()
    script.lost()
    script.log_in()
    script.wait(4)


def _status_is_forgotten(script: _Script) -> None:
    script.log_in()
    msg_id = script.send()
    other = script.send()
    script.lost()
    script.log_in()
    items = [{"msgId": msg_id, "status": "forgotten"}, {"msgId": other + 1, "status": "never"}]
    script.say("MESSAGE_STATUS_RESPONSE", items=items)
    script.wait(2)


def _three_closes_over_one_message(script: _Script) -> None:
    script.send()
    for _ in range(4):
        script.log_in(capabilities=["seq"])
        script.closed(1002)


def _the_largest_is_too_large(script: _Script) -> None:
    script.send()
    script.do(inp.Send(ref=9, to_user="bravo", content="long " * 20))
    script.log_in()
    script.closed(1009)
    script.log_in()


def _no_log_in_holds(script: _Script) -> None:
    for _ in range(2):
        script.log_in()
        script.say("CHAT_SEND_RESPONSE", msgId=script.send(), code=40100, message="who?")
        script.lost()


def _a_hole_that_nobody_fills(script: _Script) -> None:
    script.log_in()
    script.say("CHAT_REDIRECT_TO_USER_REQUEST", content="one", fromUser=2, msgId=1, seq=1)
    for seq in (5, 6, 7):
        hole = {"content": "far", "fromUser": 2, "msgId": seq, "seq": seq}
        script.say("CHAT_REDIRECT_TO_USER_REQUEST", **hole)
        script.say("SYNC_RESPONSE", status="recovered", oldest=1)
        script.say("CHAT_REDIRECT_TO_USER_REQUEST", **hole)
        script.lost()
        script.log_in(seq=1)


def _a_strict_server_is_found_out(script: _Script) -> None:
    for _ in range(2):
        script.do(inp.Connect())
        script.do(inp.TransportOpened(transport=script.core.transport))
        script.do(inp.LinkOpened(transport=script.core.transport))
        script.closed(1011)
        script.wait()
    script.do(inp.TransportOpened(transport=script.core.transport))
    script.do(inp.LinkOpened(transport=script.core.transport))
    script.say("AUTH_RESPONSE", code=200, data="")
    script.say("CHAT_SEND_RESPONSE", msgId=script.send(), code=200)


def _half_a_message(script: _Script) -> None:
    script.log_in()
    script.do(inp.PartialChanged(transport=script.core.transport, partial=True))
    for _ in range(9):
        script.wait()
        if script.core.connection == "open":
            script.do(inp.ControlReceived(transport=script.core.transport))


def _many_read_marks(script: _Script) -> None:
    for user in range(1, 13):
        script.do(inp.MarkRead(from_user=user, msg_id=user))
    script.log_in(capabilities=["seq", "receipts"])


def _many_session_calls(script: _Script) -> None:
    script.do(inp.Connect())
    for ref in range(1, 11):
        script.do(inp.SessionCall(ref=ref, op=SessionOp.GET, session_id=ref))
    script.wait(3)


def _a_session_that_was_made_and_is_not_there(script: _Script) -> None:
    script.log_in()
    script.do(inp.SessionCall(ref=1, op=SessionOp.START_CHAT, book_id=1, buyer_id=1, seller_id=2))
    for answer in ({"code": 0, "data": 7}, {"code": 40400}):
        asked = script.recorder.lives[0].steps[-1]["actions"]
        texts = [json.loads(one["text"]) for one in asked if one["type"] == "SendText"]
        calls = [one["message"] for one in texts if one["type"] == "SESSION_REQUEST"]
        if calls:
            script.say("SESSION_RESPONSE", id=calls[-1]["id"], **answer)


def _framing_broken_before_the_upgrade(script: _Script) -> None:
    script.do(inp.Connect())
    script.do(inp.TransportOpened(transport=script.core.transport))
    broken = inp.FramingViolated(transport=script.core.transport, code=1002, reason="no HTTP")
    script.do(broken)
    script.wait()


def _every_end(script: _Script) -> None:
    for code in (1000, 1005, 1006, 1012, 1013, 4002, 4008, 4009, 4004):
        script.log_in()
        script.closed(code)


def _pairs_are_known(script: _Script) -> None:
    for _ in range(2):
        script.up()
        script.say("AUTH_RESPONSE", code=0, data={"userId": 1})
        for msg_id in (1, 2, 1):
            text = f"message {msg_id}"
            script.say("CHAT_REDIRECT_TO_USER_REQUEST", content=text, fromUser=2, msgId=msg_id)
        script.do(inp.MessageHandled(delivery=1))
        script.do(inp.MessageHandled(delivery=2))
        script.do(inp.JournalWritten(request=2))
        script.lost()


def _an_old_token_is_replaced(script: _Script) -> None:
    script.do(inp.Connect())
    script.do(inp.TokenReady(request=1, token="a"))  # noqa: S106 - no password
    script.log_in(capabilities=["refresh"], expiresIn=1000)
    while script.now < 900:
        script.wait()
        script.say("HEARTBEAT_RESPONSE")
    script.do(inp.TokenReady(request=2, token="b"))  # noqa: S106 - no password
    script.say("AUTH_RESPONSE", code=0, data={"expiresIn": 1000})


def _an_outbox_fills_and_drains(script: _Script) -> None:
    for _ in range(9):
        script.send()
    script.log_in()
    while (oldest := script.core.sending.outbox.oldest) is not None:
        script.say("CHAT_SEND_RESPONSE", msgId=oldest.msg_id, code=0)


#: By name, each with what its client is told beside the usual.
_SCRIPTS: Final[dict[str, tuple[Callable[[_Script], None], dict[str, Any]]]] = {
    "status is never told": (_status_is_never_told, {}),
    "status is forgotten": (_status_is_forgotten, {}),
    "three closes over one message": (_three_closes_over_one_message, {}),
    "the largest is too large": (_the_largest_is_too_large, {}),
    "no log-in holds": (_no_log_in_holds, {}),
    "a hole that nobody fills": (_a_hole_that_nobody_fills, {}),
    "a strict server is found out": (_a_strict_server_is_found_out, {}),
    "half a message": (_half_a_message, {"heartbeat": {"interval": 40}}),
    "many read marks": (_many_read_marks, {}),
    "many session calls": (_many_session_calls, {}),
    "a session that is not there": (_a_session_that_was_made_and_is_not_there, {}),
    "framing broken before the upgrade": (_framing_broken_before_the_upgrade, {}),
    "pairs are known": (_pairs_are_known, {"journaled": True}),
    "an old token is replaced": (
        _an_old_token_is_replaced,
        {"token": lambda: "never called", "heartbeat": {"interval": 60}},
    ),
    "an outbox fills and drains": (_an_outbox_fills_and_drains, {"max_queue": 10}),
    "every end": (_every_end, {"reconnect": {"stable_after": 0}}),
}


def lives_of_scripts() -> list[tuple[str, Life]]:
    """All of them, with their names."""
    lives = []
    for name, (play, config) in _SCRIPTS.items():
        script = _Script(**config)
        play(script)
        lives.append((name, script.recorder.lives[0]))
    return lives
