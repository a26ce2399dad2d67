"""The client in the second dialect: no msgId, one message in flight (protocol.md section 1)."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, get_args

import pytest

from core.client_kit import START, WALL, Driver, make_config, make_core
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.errors import IMError
from im_proto.wire import DIALECTS

MS = int(WALL * 1000)
#: What goes out at START after an ack timeout of 10 s and a probe of 5 s.
QUIET: dict[str, Any] = {"timeouts": {"ack": 10}, "heartbeat": {"interval": 1000, "timeout": 5}}


class TypedDriver(Driver):
    """A Driver whose server speaks the second dialect."""

    def __init__(self, **config: Any) -> None:
        super().__init__(dialect="typed", **config)

    def hear(self, kind: str, *, name: str | None = None, **data: Any) -> TypedDriver:
        """An envelope comes in; `name` is its id."""
        envelope: dict[str, Any] = {"type": kind, "timestamp": 1, "data": data}
        self.text(json.dumps(envelope | ({} if name is None else {"id": name})))
        return self

    def link(self, *, capable: bool = False) -> TypedDriver:
        super().link(capable=capable)
        return self

    def pass_time(self, seconds: float) -> TypedDriver:
        super().pass_time(seconds)
        return self

    def login(self, **_: Any) -> TypedDriver:
        self.link()
        self.hear("auth_response", success=True, message="ok", userId=self.config.user_id)
        assert self.core.login.state == "authenticated"
        return self

    def respond(self, ref: int | None, code: int | None = 200, **more: Any) -> TypedDriver:
        """chat_response, naming a message that was handed over, or none."""
        name = None if ref is None else f"m{self._ids[ref]}"
        return self.hear("chat_response", name=name, code=code, **more)

    def envelopes(self, kind: str) -> list[dict[str, Any]]:
        """The envelopes of a type that went out."""
        sent = [json.loads(a.text) for a in self.actions if isinstance(a, act.SendText)]
        return [envelope for envelope in sent if envelope["type"] == kind]

    def chats(self) -> list[str]:
        return [envelope["data"]["content"] for envelope in self.envelopes("chat_message")]


def test_every_dialect_that_a_configuration_can_name_is_in_the_registry() -> None:
    field = ClientConfig.model_fields["dialect"]
    assert set(get_args(field.annotation)) == set(DIALECTS)
    for name, dialect in DIALECTS.items():
        assert dialect().name == name
        assert type(make_core(make_config(dialect=name)).fx.dialect) is dialect


# ---------------------------------------------------------------- the log-in


def test_the_log_in_says_token_and_user_and_nothing_of_extensions() -> None:
    d = TypedDriver(user_id=2**53, extensions=True, device_id="phone")
    d.login()
    (auth,) = d.envelopes("auth")
    assert auth.pop("id")
    assert auth == {
        "type": "auth",
        "timestamp": MS,
        "data": {"token": "t0", "userId": "9007199254740992"},
    }
    (event,) = d.of(ev.Authenticated)
    assert event.capabilities == frozenset()


def test_a_servers_silence_is_no_sign_of_strictness() -> None:
    d = TypedDriver()
    for _ in range(4):
        d.link().pass_time(10)
        assert d.errors()[-1] == "AUTH_TIMEOUT"
    assert [auth["data"] for auth in d.envelopes("auth")] == [{"token": "t0", "userId": 1}] * 4
    d.login()
    assert not d.of(ev.ExtensionsRefused)
    assert not d.of(ev.ErrorOccurred)[-1].another_way


@pytest.mark.parametrize("resend, guarantee", [(True, "at-least-once"), (False, "at-most-once")])
def test_it_is_never_exactly_once(resend: bool, guarantee: str) -> None:
    d = TypedDriver(resend_when_unsure=resend, device_id="phone").link()
    d.hear("auth_response", success=True, deviceId="phone", capabilities=["seq", "batch"])
    assert d.status == "AUTHENTICATED"
    assert d.core.guarantee == guarantee
    assert d.core.capabilities == frozenset()


def test_a_refused_token_ends_the_asking() -> None:
    d = TypedDriver().link()
    d.hear("auth_response", success=False, message="bad token")
    assert d.status == "DISCONNECTED"
    assert d.errors() == ["AUTH_FAILED"]
    assert d.error is not None and d.error.terminal and d.error.server_text == "bad token"
    d.forget().do(inp.UpdateToken(token="t1"))
    d.login()
    assert d.envelopes("auth")[0]["data"]["token"] == "t1"


def test_a_token_function_is_asked_for_another_once() -> None:
    d = TypedDriver(token=lambda: "").link()
    d.hear("auth_response", success=False)
    assert d.core.reconnect == "waiting"
    d.link()
    assert len(d.of(act.FetchToken)) == 2
    d.hear("auth_response", success=False)
    assert d.core.reconnect == "halted"
    assert len(d.of(act.FetchToken)) == 2


@pytest.mark.parametrize(
    "code, error, reconnect",
    [
        (50000, "SERVER_ERROR", "waiting"),
        (400, "AUTH_FAILED", "halted"),
        (40101, "TOKEN_INVALID", "halted"),
        (200, "AUTH_FAILED", "halted"),
    ],
)
def test_a_log_in_that_failed_with_a_code_is_judged_by_it(
    code: int, error: str, reconnect: str
) -> None:
    d = TypedDriver().link()
    d.hear("auth_response", success=False, code=code)
    assert d.errors() == [error]
    assert d.core.reconnect == reconnect


# ---------------------------------------------------------------- the window


def test_one_message_is_in_flight_all_conversations_together() -> None:
    d = TypedDriver(in_flight=64)
    to: dict[str, int | str] = {"a": 2, "b": 3, "c": 2, "d": "bo"}
    refs = {content: d.send(content, to=user) for content, user in to.items()}
    d.login()
    for n, content in enumerate("abdc", 1):  # conversations take turns
        assert d.chats() == list("abdc")[:n]
        d.respond(refs[content])
    assert d.accepted() == [refs[content] for content in "abdc"]


def test_a_message_says_whom_what_and_when() -> None:
    d = TypedDriver().login().pass_time(1.5)
    ref = d.send("😀", to="7")
    (envelope,) = d.envelopes("chat_message")
    assert envelope == {
        "type": "chat_message",
        "id": f"m{d._ids[ref]}",
        "timestamp": MS + 1500,
        "data": {"toUserId": 7, "content": "😀", "messageType": "text"},
    }


def test_the_clock_on_the_wire_is_the_wall_clock() -> None:
    d = TypedDriver().login()
    d.do(inp.WallClock(wall=WALL + 3600))
    d.send()
    assert d.envelopes("chat_message")[0]["timestamp"] == MS + 3_600_000


# ---------------------------------------------------------------- whose answer is it


@pytest.mark.parametrize("name", [None, "", "1", "srv-1", "m", "m0", "mm1", "M1", "m1 ", "m١"])
@pytest.mark.parametrize("code", [None, 0, 200])
def test_an_answer_that_names_no_message_of_ours_is_of_the_one_in_flight(
    name: str | None, code: int | None
) -> None:
    d = TypedDriver()
    first, second = d.send("1"), d.send("2", to=3)
    d.login().hear("chat_response", name=name, code=code)
    assert d.accepted() == [first]
    d.hear("chat_response", name=name, code=403, message="no")
    assert d.failed() == {second: "MESSAGE_SEND_FAILED"}
    assert d.of(ev.MessageFailed)[0].error.server_text == "no"


def test_an_answer_that_names_another_message_is_never_credited_to_this_one() -> None:
    d = TypedDriver()
    first, second = d.send("1"), d.send("2", to=3)
    d.login().respond(first)
    for code in (200, 403, 50000, 40101):
        d.respond(first, code)
        d.hear("chat_response", name="m1", code=code)
    assert (d.accepted(), d.failed()) == ([first], {})
    assert d.status == "AUTHENTICATED"
    d.respond(second)
    assert d.accepted() == [first, second]


def test_an_answer_to_nobody_is_passed_over_but_bad_news_is_told() -> None:
    d = TypedDriver().login()
    d.respond(None)
    assert d.errors() == []
    d.respond(None, 403, message="no")
    assert d.errors() == ["SERVER_ERROR"]
    assert d.of(ev.ErrorOccurred)[0].error.server_text == "no"
    assert d.status == "AUTHENTICATED"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("code", [401, 40100, 40101])
def test_an_auth_code_logs_in_again_once_and_sends_it_again(code: int, named: bool) -> None:
    d = TypedDriver(resend_when_unsure=False)
    ref = d.send()
    d.login()
    d.respond(ref if named else None, code)
    assert d.failed() == {}
    d.login()
    assert d.chats() == ["hello"] * 2
    d.respond(ref if named else None, code)
    assert d.core.reconnect == "halted"


@pytest.mark.parametrize("named", [True, False])
def test_a_server_error_is_tried_again_later_under_the_same_id(named: bool) -> None:
    d = TypedDriver()
    ref, other = d.send("1"), d.send("2", to=3)
    d.login().respond(ref if named else None, 50000)
    assert d.chats() == ["1", "2"]
    d.respond(other if named else None).pass_time(1)
    assert d.chats() == ["1", "2", "1"]
    first, _, again = d.envelopes("chat_message")
    assert again["id"] == first["id"]
    assert again["timestamp"] == first["timestamp"] + 1000
    d.respond(ref if named else None)
    assert d.accepted() == [other, ref]


def test_success_false_is_a_refusal_whatever_the_code() -> None:
    d = TypedDriver()
    ref = d.send()
    d.login().respond(ref, 200, success=False)
    assert d.failed() == {ref: "MESSAGE_SEND_FAILED"}


@pytest.mark.parametrize("data", ['"code: 200"', "[]", '{"code": "fine"}', '{"success": "who?"}'])
def test_an_answer_that_cannot_be_read_is_no_answer(data: str) -> None:
    d = TypedDriver(**QUIET)
    ref = d.send()
    d.login().text(f'{{"type": "chat_response", "id": "m{d._ids[ref]}", "data": {data}}}')
    assert (d.accepted(), d.failed()) == ([], {})
    assert [violation.close_code for violation in d.of(ev.ProtocolViolation)] == [None]
    d.pass_time(15)
    assert d.core.reconnect == "waiting"


# ---------------------------------------------------------------- no answer


def test_after_an_ack_timeout_nothing_is_sent_before_the_link_was_dropped() -> None:
    d = TypedDriver(**QUIET)
    first, second = d.send("1"), d.send("2", to=3)
    d.login().pass_time(10)
    assert len(d.envelopes("heartbeat")) == 1
    d.hear("heartbeat_response", timestamp=1, serverTime=2)
    d.pass_time(4.9)
    assert d.chats() == ["1"]
    d.pass_time(0.1)
    assert d.of(act.AbortTransport) and d.chats() == ["1"]
    # whatever the old link still had to say
    late = json.dumps({"type": "chat_response", "data": {"code": 200}})
    d.do(inp.TextReceived(transport=d.transport, text=late))
    old = d.transport
    d.login()
    d.do(inp.TextReceived(transport=old, text=late))
    assert d.accepted() == [] and d.chats() == ["1", "2"]  # conversations take turns
    d.respond(None)
    assert d.accepted() == [second] and d.chats() == ["1", "2", "1"]
    d.respond(None)
    assert d.accepted() == [second, first]


def test_an_answer_in_the_time_of_the_probe_still_counts() -> None:
    d = TypedDriver(**QUIET)
    first, second = d.send("1"), d.send("2", to=3)
    d.login().pass_time(14)
    d.respond(None)
    d.pass_time(9)
    assert d.accepted() == [first] and d.chats() == ["1", "2"]
    d.respond(None)
    assert d.accepted() == [first, second]
    assert d.status == "AUTHENTICATED"


def test_at_most_once_ends_in_doubt_and_a_late_named_answer_changes_nothing() -> None:
    d = TypedDriver(resend_when_unsure=False, **QUIET)
    first, second = d.send("1"), d.send("2", to=3)
    d.login().pass_time(15)
    assert d.failed() == {first: "IN_DOUBT"}
    d.login()
    assert d.chats() == ["1", "2"]
    d.respond(first).respond(first, 403)
    assert (d.accepted(), d.failed()) == ([], {first: "IN_DOUBT"})
    d.respond(second)
    assert d.accepted() == [second]


def test_at_least_once_is_bounded_and_ends_in_doubt() -> None:
    d = TypedDriver(max_sends=3, **QUIET)
    ref, behind = d.send("1"), d.send("2")
    for _ in range(3):
        assert d.failed() == {}
        d.login().pass_time(15)
    assert d.failed() == {ref: "IN_DOUBT"}
    assert d.chats() == ["1"] * 3
    assert len({envelope["id"] for envelope in d.envelopes("chat_message")}) == 1
    d.login().respond(None)
    assert d.accepted() == [behind]


# ---------------------------------------------------------------- what comes in


def test_a_message_comes_in_and_is_never_taken_for_a_repeat() -> None:
    d = TypedDriver().login()
    for _ in range(2):
        d.hear(
            "chat_message", name="m9", fromUserId="2", toUserId=1, content="hi",
            messageType="image", timestamp="1700000000000",
        )  # fmt: skip
    first, second = d.of(ev.MessageReceived)
    assert (first.from_user, first.content, first.message_type) == (2, "hi", "image")
    assert (first.timestamp, first.msg_id, first.session_id, first.seq) == (MS, None, None, None)
    assert second.delivery == first.delivery + 1
    d.handle(first.delivery, second.delivery)
    assert len(d.of(act.SendText)) == 1  # the log-in: there is no way to acknowledge


def test_heartbeats_are_answered_and_timed() -> None:
    d = TypedDriver(heartbeat={"interval": 10, "timeout": 5}).login().pass_time(10)
    (beat,) = d.envelopes("heartbeat")
    assert beat["timestamp"] == beat["data"]["timestamp"] == MS + 10_000
    d.pass_time(0.25)
    d.hear("heartbeat_response", timestamp=beat["timestamp"], serverTime=None)
    assert [event.rtt for event in d.of(ev.HeartbeatReceived)] == [0.25]


def test_a_server_that_answers_no_heartbeat_is_given_up() -> None:
    d = TypedDriver(heartbeat={"interval": 10, "timeout": 5, "max_missed": 2}).login()
    d.pass_time(20)
    assert d.errors() == ["CONNECTION_LOST"]


@pytest.mark.parametrize(
    "kind", ["KICK", "CHAT_ERROR_RESPONSE", "AUTH_RESPONSE", "SYNC_RESPONSE", "error"]
)
def test_the_words_of_the_other_dialect_mean_nothing_here(kind: str) -> None:
    d = TypedDriver()
    ref = d.send()
    d.login()
    d.frame(kind, reason="out", reconnect=False, code=403, msgId=d._ids[ref])
    assert [event.kind for event in d.of(ev.UnknownMessage)] == [kind]
    assert d.failed() == {} and d.status == "AUTHENTICATED"
    d.close(1000)
    assert d.core.reconnect == "waiting"


@pytest.mark.parametrize(
    "text, close_code",
    [("{", 1007), ("[]", 1002), ('[{"type":"chat_response"}]', 1002), ("1", 1002)],
)
def test_a_frame_that_is_no_envelope_ends_the_link(text: str, close_code: int) -> None:
    d = TypedDriver().login().text(text)
    assert [close.code for close in d.of(act.SendClose)] == [close_code]
    assert d.core.reconnect == "waiting"


# ---------------------------------------------------------------- and the rest


def test_what_is_too_long_is_refused_as_in_any_dialect() -> None:
    d = TypedDriver().login()
    with pytest.raises(IMError, match="MESSAGE_FORMAT_ERROR"):
        d.send("x" * 1001)


def test_a_core_in_the_second_dialect_can_be_copied_and_pickled() -> None:
    d = TypedDriver()
    ref = d.send()
    d.login()
    answer = inp.TextReceived(
        transport=d.transport, text='{"type": "chat_response", "data": {"code": 200}}'
    )
    for twin in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        events = [a.event for a in twin.step(answer, START) if isinstance(a, act.Notify)]
        assert [e.ref for e in events if isinstance(e, ev.MessageAccepted)] == [ref]
