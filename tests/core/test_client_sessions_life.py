"""The life of a call over HTTP: tried again, shared, bounded, and ended once and in time."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sessions_kit import THREE, VO, Http, fetch_token
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.session_cache import MAX_CACHED
from im_proto.client.sessions import MAX_CALLS
from im_proto.client.timers import Timer
from im_proto.errors import IMError, IMErrorCode
from im_proto.wire.session import SessionOp

# ---------------------------------------------------------------- trying again


def test_get_and_start_chat_are_tried_again_with_growing_delays() -> None:
    for op, params in ((SessionOp.GET, {"session_id": 7}), (SessionOp.START_CHAT, THREE)):
        d = Http()
        ref = d.ask(op, **params)
        d.fail()
        assert len(d.asked()) == 1
        d.pass_time(0.99)
        assert len(d.asked()) == 1
        d.pass_time(0.02)
        assert len(d.asked()) == 2
        d.reply(50000)
        d.pass_time(1.9)
        assert len(d.asked()) == 2
        d.pass_time(0.2)
        assert len(d.asked()) == 3
        assert d.http.timeout == pytest.approx(10 - 1 - 2 - 0.01)
        d.reply(data=VO)
        assert d.result(ref)[0].id == 77


def test_each_call_has_its_own_time_to_be_tried_again() -> None:
    d = Http()
    d.get(1)
    d.fail()
    d.pass_time(0.5)
    d.get(2)
    d.fail()
    d.pass_time(0.6)
    assert d.asked()[2:] == ["GET /im/session/get?sessionId=1"]
    d.pass_time(0.5)
    assert d.asked()[3:] == ["GET /im/session/get?sessionId=2"]


def test_create_and_the_list_are_never_tried_again() -> None:
    for op, params in ((SessionOp.CREATE, THREE), (SessionOp.GET_CURRENT, {})):
        d = Http()
        ref = d.ask(op, **params)
        d.fail("reset by\npeer")
        error = d.failure(ref)
        assert (error.code, error.retryable) == (IMErrorCode.NETWORK_ERROR, True)
        assert "nobody knows" in error.text
        assert error.text.isprintable()
        d.pass_time(60)
        assert len(d.asked()) == 1


def test_the_delay_that_the_server_wants_is_obeyed_within_the_deadline() -> None:
    d = Http()
    ref = d.get(7)
    d.raw(b"busy", 429, retry_after=4.0)
    d.pass_time(3.9)
    assert len(d.asked()) == 1
    d.pass_time(0.2)
    assert len(d.asked()) == 2
    d.raw(b"busy", 503, retry_after=30.0)
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR
    assert d.failure(ref).server_code == 503


def test_the_last_error_is_told_when_the_time_for_another_try_is_over() -> None:
    d = Http()
    ref = d.get(7)
    for delay in (1, 2, 4):
        d.fail("connection refused")
        d.pass_time(delay)
    assert d.ended() == []
    d.fail("connection refused")
    assert "connection refused" in d.failure(ref).text
    assert len(d.asked()) == 4  # after 0, 1, 3 and 7 s


def test_a_call_that_is_overdue_says_what_went_wrong_before() -> None:
    d = Http()
    ref = d.get(7)
    d.fail("certificate expired")
    d.pass_time(10)
    assert "no answer within 10 s; before that: certificate expired" in d.failure(ref).text


def test_the_deadline_of_a_call_is_absolute_and_cancels_its_request() -> None:
    d = Http(http={"timeout": 3})
    ref = d.start_chat()
    d.raw(b"", 404)
    d.pass_time(2.9)
    d.reply(40400)
    assert d.ended() == []
    d.pass_time(0.2)
    error = d.failure(ref)
    assert (error.code, error.retryable) == (IMErrorCode.NETWORK_ERROR, True)
    assert "3 s" in error.text
    assert d.of(act.CancelHttp) == [act.CancelHttp(request=d.http.request)]
    assert d.core.next_deadline() is None


def test_a_machine_that_slept_reads_its_answers_before_it_gives_up() -> None:
    d = Http()
    ref = d.get(77)
    d.stall(3600)
    assert d.ended() == []
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77
    ref = d.get(78)
    d.stall(3600)
    d.pass_time(1.01)
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR


def test_stale_answers_change_nothing() -> None:
    d = Http()
    ref = d.get(77)
    first = d.http.request
    d.fail()
    d.pass_time(1.1)
    for event in (
        inp.HttpAnswered(request=first, status=200, body=b'{"code": 40400}'),
        inp.HttpFailed(request=first, reason="late"),
        inp.HttpAnswered(request=0, status=200, body=b'{"code": 40400}'),
        inp.HttpAnswered(request=99, status=200, body=b"x"),
    ):
        assert d.do(event) == []
    d.fail()
    assert d.do(inp.HttpAnswered(request=0, status=200, body=b'{"code": 40400}')) == []
    d.pass_time(2.1)
    d.reply(data=VO)
    d.reply(data=VO | {"id": 1})
    assert [s.id for s in d.result(ref)] == [77]
    assert d.core.sessions.cache.get(1) is None


# ---------------------------------------------------------------- sharing and bounds


def test_what_is_asked_twice_at_the_same_time_is_one_request() -> None:
    d = Http()
    refs = [d.start_chat(), d.start_chat(buyer_id="1"), d.start_chat(seller_id=3)]
    assert len(d.asked()) == 2
    first, other = (a.request for a in d.of(act.CallHttp))
    answer = json.dumps({"code": 0, "data": VO}).encode()
    d.do(inp.HttpAnswered(request=first, status=200, body=answer))
    assert d.ended() == refs[:2]
    d.do(inp.HttpFailed(request=other, reason="x"))
    again = d.start_chat()
    assert len(d.asked()) == 3
    assert again not in d.ended()


def test_too_many_calls_at_a_time_are_refused() -> None:
    d = Http()
    for n in range(MAX_CALLS):
        d.get(n + 1)
    with pytest.raises(IMError) as caught:
        d.get(9999)
    assert caught.value.code == IMErrorCode.QUEUE_FULL
    d.get(1)  # shares a call that is out
    d.reply(data=None)
    d.get(9999)


def test_the_cache_is_bounded_and_keeps_what_was_told_last() -> None:
    d = Http()
    d.get(77)
    d.reply(data=VO)
    assert d.core.sessions.cache.all() == [d.core.sessions.cache.get(77)]
    d.ask(SessionOp.GET_CURRENT)
    d.reply(data=[VO | {"id": n + 1000} for n in range(MAX_CACHED - 1)])
    assert d.core.sessions.cache.get(77) is not None
    d.get(77)
    d.reply(data=VO | {"sessionStatus": 2, "expireTime": "x"})
    d.ask(SessionOp.GET_CURRENT)
    d.reply(data=[VO | {"id": 5000}])
    cached = d.core.sessions.cache.get(77)
    assert cached is not None
    assert (cached.session_status, cached.expire_time) == (2, "x")
    assert d.core.sessions.cache.get(1000) is None
    assert len(d.core.sessions.cache.all()) == MAX_CACHED


# ---------------------------------------------------------------- the connection, and the end


def test_disconnect_ends_what_is_under_way_with_or_without_a_connection() -> None:
    for connected in (False, True):
        d = Http(token=fetch_token)
        if connected:
            d.login()
        else:
            d.do(inp.UpdateToken(token="t"))
        refs = [d.get(1), d.create()]
        d.disconnect()
        assert d.ended() == refs
        assert len(d.of(act.CancelHttp)) == 2
        assert Timer.SESSION not in dict(d.core.timers.all())
        ref = d.get(2)
        assert ref not in d.ended()


def test_disconnect_stops_asking_for_a_token() -> None:
    d = Http(token=fetch_token)
    ref = d.get(1)
    d.disconnect()
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    assert d.of(act.CancelToken)
    assert d.core.next_deadline() is None


def test_a_lost_connection_leaves_the_calls_alone() -> None:
    d = Http()
    d.login()
    ref = d.get(77)
    d.lose()
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77


def test_explain_names_the_call_that_is_waited_for() -> None:
    d = Http()
    d.get(7)
    assert "the answer to a session call (10.0 s left)" in d.core.explain()
    d.fail()
    assert "the next try of a session call (1.0 s left)" in d.core.explain()


def test_a_core_with_calls_under_way_can_be_copied_and_pickled() -> None:
    d = Http()
    d.get(77)
    d.create()
    for core in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        body = json.dumps({"code": 0, "data": VO}).encode()
        actions = core.step(inp.HttpAnswered(request=1, status=200, body=body), d.now)
        assert any(
            isinstance(a, act.Notify) and isinstance(a.event, ev.SessionFetched) for a in actions
        )
        assert core.sessions.cache.get(77) is not None
    assert d.core.sessions.cache.get(77) is None


# ---------------------------------------------------------------- whatever happens

BODIES = [
    json.dumps({"code": code, "data": data}).encode()
    for code in (0, 40101, 40400, 404, 400, 50000)
    for data in (None, 77, VO, VO | {"sessionStatus": 3}, [VO], "x")
]
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(SessionOp), st.integers(1, 3)),
    st.tuples(st.just("answer"), st.sampled_from([200, 200, 401, 404, 503]), st.integers(0, 35)),
    st.tuples(st.just("fail"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("token"), st.sampled_from(["a", "b", ""]), st.integers(0, 1)),
    st.tuples(st.just("no token"), st.just(0), st.just(0)),
    st.tuples(st.just("new token"), st.sampled_from(["a", "c"]), st.just(0)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 4.0]), st.just(0)),
    st.tuples(st.just("connect"), st.just(0), st.just(0)),
    st.tuples(st.just("login"), st.just(0), st.just(0)),
    st.tuples(st.just("disconnect"), st.just(0), st.just(0)),
)


@given(steps=st.lists(STEPS, max_size=40), fetches=st.booleans())
def test_every_call_ends_once_and_in_time_and_leaves_no_request(
    steps: list[tuple[str, Any, Any]], fetches: bool
) -> None:
    d = Http(token=fetch_token if fetches else "t0")
    asked: dict[int, float] = {}
    for what, one, two in steps:
        _play(d, asked, what, one, two)
        out = {a.request for a in d.of(act.CallHttp)} - {a.request for a in d.of(act.CancelHttp)}
        assert len(out - d.answered) <= len(set(asked) - set(d.ended()))
        assert all(d.now <= asked[ref] + 10.01 for ref in set(asked) - set(d.ended()))
    d.pass_time(10.01)
    assert sorted(d.ended()) == sorted(asked)
    assert {a.request for a in d.of(act.CallHttp)} <= d.answered | {
        a.request for a in d.of(act.CancelHttp)
    }
    assert not {Timer.SESSION, Timer.SESSION_RETRY} & set(dict(d.core.timers.all()))


def _play(d: Http, asked: dict[int, float], what: str, one: Any, two: Any) -> None:
    waiting = sorted(
        {a.request for a in d.of(act.CallHttp)}
        - {a.request for a in d.of(act.CancelHttp)}
        - d.answered
    )
    if what == "ask":
        asked[d.ask_about(one, two)] = d.now
    elif what == "answer" and waiting:
        d.answered.add(waiting[0])
        d.do(inp.HttpAnswered(request=waiting[0], status=one, body=BODIES[two]))
    elif what == "fail" and waiting:
        request = waiting[one % len(waiting)]
        d.answered.add(request)
        d.do(inp.HttpFailed(request=request, reason="reset"))
    elif what == "token":
        d.do(inp.TokenReady(request=d.core.login.request - two, token=one))
    elif what == "no token":
        d.do(inp.TokenFailed(request=d.core.login.request, reason="KeyError"))
    elif what == "new token":
        d.do(inp.UpdateToken(token=one))
    elif what == "pass":
        d.pass_time(one)
    elif what == "connect":
        d.connect()
    elif what == "login" and d.core.connection == "disconnected":
        d.login()
    elif what == "disconnect":
        d.disconnect()
