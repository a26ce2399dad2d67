"""Calls about sessions over the WebSocket (protocol.md section 2, `sessions`), in virtual time."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_kit import Driver
from core.sessions_kit import NONE, THREE, VO, Http, fetch_token
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.sessions import MAX_CALLS
from im_proto.client.timers import Timer
from im_proto.errors import IMErrorCode
from im_proto.wire.session import SessionOp

CAPABILITIES = ["seq", "batch", "sessions"]


class Linked(Http):
    """A driver that plays a server which takes the calls over the WebSocket."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**({"heartbeat": {"interval": 86_400}} | config))

    def up(self) -> Linked:
        """Logged in."""
        self.login_ours(capabilities=CAPABILITIES)
        return self

    def requests(self) -> list[dict[str, Any]]:
        """The SESSION_REQUESTs that went out."""
        return self.said("SESSION_REQUEST")

    def ops(self) -> list[str]:
        return [request["op"] for request in self.requests()]

    def respond(self, data: Any = None, code: int = 0, *, to: int = -1, **more: Any) -> Linked:
        """Answer one of the requests, the last one by default."""
        fields = {"id": self.requests()[to]["id"], "code": code, "data": data} | more
        self.frame("SESSION_RESPONSE", **fields)
        return self


def up(**config: Any) -> Linked:
    d = Linked(**config).up()
    d.forget()
    return d


# ---------------------------------------------------------------- what is asked


def test_each_call_is_one_message_with_the_fields_of_its_http_form() -> None:
    d = up(user_id="bravo")
    d.get(77)
    d.get(**THREE)
    d.create(book_id=2**53)
    d.start_chat()
    d.ask(SessionOp.GET_CURRENT)
    three = {"bookId": 5, "buyerId": 1, "sellerId": 2}
    assert [(r["op"], r["params"]) for r in d.requests()] == [
        ("get", {"sessionId": 77}),
        ("get", three),
        ("create", three | {"bookId": str(2**53)}),
        ("startChat", three),
        ("getCurrent", {"userId": "bravo"}),
    ]
    assert len({r["id"] for r in d.requests()}) == 5
    assert not d.of(act.CallHttp)
    assert not d.of(act.FetchToken)


def test_the_answers_mean_what_they_mean_over_http() -> None:
    d = up()
    got, nothing, current, made = (
        d.get(77),
        d.get(78),
        d.ask(SessionOp.GET_CURRENT),
        d.create(),
    )
    d.respond(77, to=3)
    assert d.requests()[-1]["params"] == {"sessionId": 77}
    d.respond(VO | {"id": "77"})
    d.respond([VO, {"id": 0}, VO | {"id": 79}], to=2)
    d.respond(to=1, code=40400)
    d.respond(VO, to=0)
    assert [s.id for s in d.result(got)] == [77]
    assert d.result(nothing) == ()
    assert [s.id for s in d.result(current)] == [77, 79]
    assert d.result(made)[0].id == 77
    assert d.core.sessions.cache.get(79) is not None
    assert Timer.SESSION not in dict(d.core.timers.all())


@pytest.mark.parametrize(
    ("op", "code", "kind", "retryable"),
    [
        (SessionOp.CREATE, 40400, IMErrorCode.SESSION_CREATE_FAILED, False),
        (SessionOp.START_CHAT, 40300, IMErrorCode.SESSION_CREATE_FAILED, False),
        (SessionOp.GET, 403, IMErrorCode.SERVER_ERROR, False),
        (SessionOp.GET_CURRENT, 40400, IMErrorCode.SESSION_NOT_FOUND, False),
    ],
)
def test_each_refusal_has_its_error(
    op: SessionOp, code: int, kind: IMErrorCode, retryable: bool
) -> None:
    d = up()
    ref = d.ask(op, **({} if op is SessionOp.GET_CURRENT else THREE))
    d.respond(code=code, message="because\n")
    error = d.failure(ref)
    assert (error.code, error.retryable, error.terminal) == (kind, retryable, False)
    assert (error.server_code, error.server_text) == (code, "because\\n")


@pytest.mark.parametrize("data", ["x", {"id": -1}, [VO], 1.5])
def test_an_answer_that_can_not_be_read_fails_the_call_alone(data: Any) -> None:
    d = up()
    ref = d.get(77)
    d.respond(data)
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR
    assert "can't be read" in d.failure(ref).text
    assert d.status == "AUTHENTICATED"


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    d = up()
    ref = d.get(77)
    for name in ("0", "-1", "x", "99", "01"):
        d.frame("SESSION_RESPONSE", id=name, code=0, data=VO | {"id": 1})
    assert d.ended() == []
    # a number of the other way to ask is none of this one
    assert d.do(inp.HttpAnswered(request=int(d.requests()[0]["id"]), status=200, body=b"x")) == []
    d.respond(VO)
    d.respond(VO | {"id": 1})
    assert d.ended() == [ref]
    assert d.core.sessions.cache.get(1) is None


def test_what_is_asked_twice_at_the_same_time_is_one_message() -> None:
    d = up()
    refs = [d.start_chat(), d.start_chat(buyer_id="1")]
    assert len(d.requests()) == 1
    d.respond(VO)
    assert d.ended() == refs


def test_calls_share_a_frame_with_what_goes_out_beside_them() -> None:
    d = up(token=fetch_token)
    d.lose()
    d.get(1), d.get(2)
    d.send("hello")
    d.up()
    frames = [json.loads(a.text) for a in d.of(act.SendText)]
    assert sum(isinstance(frame, list) and len(frame) == 3 for frame in frames) == 1


def test_an_answer_is_read_though_the_application_is_behind() -> None:
    d = up(max_unhandled=1)
    d.push(1)
    assert d.of(act.PauseReading)
    d.get(77)
    assert d.of(act.ResumeReading)
    d.forget().push(2)
    assert not d.of(act.PauseReading)


# ---------------------------------------------------------------- lost links


@pytest.mark.parametrize("op", [op for op in SessionOp if op is not SessionOp.HISTORY])
def test_what_was_out_on_a_lost_link_is_asked_again_on_the_next(op: SessionOp) -> None:
    d = up()
    ref = d.ask(op, **({} if op is SessionOp.GET_CURRENT else THREE))
    d.lose()
    assert d.ended() == []
    assert not d.of(act.CallHttp)
    first = d.requests()[0]
    d.forget()
    d.up()
    (again,) = d.requests()
    assert (again["op"], again["params"]) == (first["op"], first["params"])
    assert again["id"] != first["id"]
    d.frame("SESSION_RESPONSE", id=first["id"], code=0, data=VO | {"id": 1})
    assert d.ended() == []
    d.respond([VO] if op is SessionOp.GET_CURRENT else VO)
    assert d.result(ref)[0].id == 77


def test_while_the_link_is_lost_a_call_waits_for_the_next_one() -> None:
    d = up()
    d.lose().forget()
    ref = d.get(77)
    d.pass_time(0.5)
    assert not d.of(act.CallHttp)
    assert not d.requests()
    d.up()
    d.respond(VO)
    assert d.result(ref)[0].id == 77


def test_a_call_does_not_wait_longer_than_its_deadline() -> None:
    d = up()
    ref, later = d.create(), None
    d.pass_time(2).lose()
    later = d.get(5)
    for _ in range(20):
        if d.core.connection == "opening":
            d.do(inp.TransportFailed(transport=d.transport))
        d.pass_time(1)
        if d.now >= 109.9 and d.now < 111:
            assert d.ended() == [ref]
    assert d.ended() == [ref, later]
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    assert "before that: the connection was lost before the answer" in d.failure(ref).text
    assert not d.of(act.CallHttp)
    assert Timer.SESSION not in dict(d.core.timers.all())


def test_a_silent_server_costs_the_call_and_not_more() -> None:
    d = up(http={"timeout": 3})
    ref = d.get(7)
    d.pass_time(3.01)
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    assert not d.of(act.CancelHttp)
    assert d.status == "AUTHENTICATED"
    d.respond(VO)
    assert d.ended() == [ref]


def test_before_the_first_log_in_calls_go_over_http() -> None:
    d = Linked()
    d.get(77)
    assert d.asked() == ["GET /im/session/get?sessionId=77"]
    d.link()
    d.get(78)
    assert len(d.asked()) == 2
    d.up()
    assert not d.requests()  # they are out already
    d.frame("SESSION_RESPONSE", id="1", code=0, data=VO)
    assert d.ended() == []
    d.reply(data=VO)
    d.get(79)
    assert len(d.asked()) == 2
    assert len(d.requests()) == 1


def test_after_disconnect_calls_go_over_http_and_after_connect_they_wait() -> None:
    d = up()
    ended = d.get(1)
    d.disconnect()
    assert d.failure(ended).code == IMErrorCode.NETWORK_ERROR
    assert not d.of(act.CancelHttp)
    d.get(2)
    assert len(d.asked()) == 1
    d.lose().connect()
    d.get(3)
    assert len(d.asked()) == 1
    d.up()
    assert [r["params"] for r in d.requests()][-1] == {"sessionId": 3}


def test_a_server_without_the_capability_gets_what_waited_over_http_but_no_second_create() -> None:
    d = up()
    get, create = d.get(77), d.create()
    d.lose().forget().login()
    assert d.asked() == ["GET /im/session/get?sessionId=77"]
    assert d.ended() == [create]
    assert "nobody knows" in d.failure(create).text
    d.reply(data=VO)
    assert d.result(get)[0].id == 77
    fresh = d.create()  # this one was never asked
    assert len(d.asked()) == 2
    assert fresh not in d.ended()


def test_a_create_that_never_went_out_may_go_over_http() -> None:
    d = up()
    d.lose()
    ref = d.create()
    d.login()
    assert d.asked() == ["POST /im/session/create?bookId=5&buyerId=1&sellerId=2"]
    assert ref not in d.ended()


def test_a_client_that_has_given_up_asks_over_http() -> None:
    d = up(reconnect={"max_retries": 1})
    ref = d.get(77)
    d.lose().pass_time(d.until(d.core.state().retry_at))
    d.do(inp.TransportFailed(transport=d.transport))
    assert d.core.reconnect == "exhausted"
    assert d.asked() == ["GET /im/session/get?sessionId=77"]
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77


def test_a_call_that_waits_for_its_link_does_not_fail_with_the_token_function() -> None:
    d = up(token=fetch_token)
    d.close(4003)
    ref = d.get(77)
    d.pass_time(d.until(d.core.state().retry_at))
    d.do(inp.TokenFailed(request=d.core.login.request, reason="x"))
    assert d.ended() == []
    assert d.core.reconnect == "waiting"
    d.up()
    d.respond(VO)
    assert d.result(ref)[0].id == 77


# ---------------------------------------------------------------- trouble


@pytest.mark.parametrize("op", [SessionOp.GET, SessionOp.CREATE, SessionOp.GET_CURRENT])
def test_a_server_that_fails_is_asked_again(op: SessionOp) -> None:
    d = up()
    ref = d.ask(op, **({} if op is SessionOp.GET_CURRENT else THREE))
    for delay in (1, 2, 4):
        d.respond(code=50000)
        d.frame("SESSION_RESPONSE", id="0", code=0, data=VO)  # nothing is out
        d.forget().pass_time(delay - 0.01)
        assert not d.requests()
        d.pass_time(0.02)
        assert len(d.requests()) == 1
    d.respond(code=50000, message="down")
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR
    assert d.failure(ref).server_text == "down"


def test_an_auth_code_means_that_the_log_in_is_gone_and_the_call_goes_again() -> None:
    d = up(token=fetch_token)
    ref = d.create()
    d.respond(code=40101)
    assert d.of(ev.AuthFailed)[0].error.terminal is False
    assert d.ended() == []
    d.lose().forget().up()
    assert d.said("AUTH_REQUEST")[0]["accessToken"] == "fresh"
    assert d.ops() == ["create"]
    d.respond(VO)
    assert d.result(ref)[0].id == 77


def test_an_auth_code_again_ends_the_call() -> None:
    d = up(token=fetch_token)
    ref = d.get(1)
    d.respond(code=40100).lose()
    d.up().respond(code=40100)
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID
    assert not d.failure(ref).terminal


def test_too_many_calls_at_a_time_are_refused_and_the_others_stand() -> None:
    d = up()
    refs = [d.get(n + 1) for n in range(MAX_CALLS)]
    with pytest.raises(Exception, match="QUEUE_FULL"):
        d.get(9999)
    for n in range(MAX_CALLS):
        d.respond(to=n, code=40400)
    assert d.ended() == refs


def test_the_engine_says_which_way_a_call_would_go() -> None:
    d = Linked()
    assert d.core.sessions_over_http
    d.up()
    assert not d.core.sessions_over_http
    d.lose()
    assert not d.core.sessions_over_http
    d.disconnect()
    assert d.core.sessions_over_http
    d.connect()
    assert not d.core.sessions_over_http
    d.login()
    assert d.core.sessions_over_http


def test_a_core_with_calls_out_can_be_copied_and_pickled() -> None:
    d = up()
    d.get(77)
    message = json.dumps({"id": d.requests()[0]["id"], "code": 0, "data": VO})
    text = json.dumps({"type": "SESSION_RESPONSE", "message": message})
    for core in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        core.step(inp.TextReceived(transport=d.transport, text=text), d.now)
        assert core.sessions.cache.get(77) is not None
    assert d.core.sessions.cache.get(77) is None


# ---------------------------------------------------------------- a session that has ended


@pytest.mark.parametrize(
    ("before", "code", "after"), [(1, 40300, 2), (3, 40300, 3), (None, 40300, None), (1, 400, 1)]
)
def test_a_refused_message_tells_that_its_session_has_expired(
    before: int | None, code: int, after: int | None
) -> None:
    d = up()
    d.get(77)
    d.respond(VO | {"sessionStatus": before})
    ref = d.send("too late")
    d.answer(ref, code, sessionId=77)
    known = d.core.sessions.cache.get(77)
    assert known is not None
    assert known.session_status == after
    assert d.failed() == {ref: "MESSAGE_SEND_FAILED"}


def test_a_refused_message_of_no_known_session_changes_nothing() -> None:
    d = up()
    for more in ({}, {"sessionId": 5}):
        d.answer(d.send(), 40300, **more)
    assert d.core.sessions.cache.all() == []


# ---------------------------------------------------------------- whatever happens

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(SessionOp), st.integers(1, 3)),
    st.tuples(st.just("answer"), st.sampled_from([0, 0, 40400, 50000, 40101]), st.integers(0, 9)),
    st.tuples(st.just("http"), st.sampled_from([VO, NONE, 7]), st.just(0)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 4.0]), st.just(0)),
    st.tuples(st.just("lose"), st.just(0), st.just(0)),
    st.tuples(st.just("up"), st.just(0), st.just(0)),
    st.tuples(st.just("plain"), st.just(0), st.just(0)),
    st.tuples(st.just("disconnect"), st.just(0), st.just(0)),
)


@given(steps=st.lists(STEPS, max_size=40))
def test_every_call_ends_once_and_in_time_whichever_way_it_goes(
    steps: list[tuple[str, Any, int]],
) -> None:
    d = Linked(token=fetch_token)
    asked: dict[int, float] = {}
    for what, one, two in steps:
        _play(d, asked, what, one, two)
        assert all(d.now <= asked[ref] + 10.01 for ref in set(asked) - set(d.ended()))
        ids = [request["id"] for request in d.requests()]
        assert len(ids) == len(set(ids))
    d.pass_time(10.01)
    assert sorted(d.ended()) == sorted(asked)
    assert not {Timer.SESSION, Timer.SESSION_RETRY} & set(dict(d.core.timers.all()))


def _play(d: Linked, asked: dict[int, float], what: str, one: Any, two: int) -> None:
    core = d.core
    if what == "ask":
        asked[d.ask_about(one, two)] = d.now
    elif what == "answer" and d.requests() and core.login.state == "authenticated":
        d.respond(VO, one, to=two % len(d.requests()))
    elif what == "http" and d.of(act.CallHttp):
        d.reply(data=one)
    elif what == "pass":
        d.pass_time(one)
    elif what == "lose" and core.connection != "disconnected":
        d.lose()
    elif what in ("up", "plain") and core.connection == "disconnected":
        if core.reconnect not in ("idle", "waiting", "halted"):
            return
        if what == "up":
            d.up()
        else:
            d.login()
    elif what == "disconnect":
        d.disconnect()


def test_a_driver_without_the_capability_never_says_it() -> None:
    d = Http()
    Driver.login_ours(d)
    d.get(7)
    assert not d.said("SESSION_REQUEST")
    assert d.of(act.CallHttp)
