"""Calls over HTTP fetch, share and replace the token of the log-in, and never for ever."""

from __future__ import annotations

import pytest

from core.sessions_kit import Http, fetch_token
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMErrorCode
from im_proto.wire.session import SessionOp


def test_without_a_token_the_token_function_is_asked_as_for_a_log_in() -> None:
    d = Http(token=fetch_token)
    ref = d.get(77)
    assert len(d.of(act.FetchToken)) == 1
    assert not d.of(act.CallHttp)
    d.get(78)
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert [dict(a.headers)["satoken"] for a in d.of(act.CallHttp)] == ["fresh", "fresh"]
    assert d.ended() == []
    d.do(inp.HttpAnswered(request=1, status=200, body=b'{"code": 40400}'))
    assert d.result(ref) == ()
    d.connect()
    assert len(d.of(act.FetchToken)) == 1  # the log-in takes the one that is there
    assert d.of(act.OpenTransport)


def test_a_log_in_that_waits_for_a_token_shares_it() -> None:
    d = Http(token=fetch_token)
    d.connect()
    d.get(77)
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert d.of(act.OpenTransport)
    assert d.of(act.CallHttp)

    d = Http(token=fetch_token)
    d.get(77)
    d.connect()
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert d.of(act.OpenTransport)
    assert d.of(act.CallHttp)


def test_a_token_function_that_fails_fails_the_calls_that_wait_for_it() -> None:
    d = Http(token=fetch_token)
    ref = d.get(77)
    d.do(inp.TokenFailed(request=d.core.login.request, reason="KeyError"))
    assert d.failure(ref).code == IMErrorCode.AUTH_FAILED
    assert not d.failure(ref).terminal
    assert not d.of(ev.AuthFailed)  # no log-in has failed
    assert not d.of(ev.Reconnecting)
    assert d.core.next_deadline() is None
    d.get(77)
    assert len(d.of(act.FetchToken)) == 2


def test_a_token_function_that_is_silent_costs_the_call_and_not_more() -> None:
    d = Http(token=fetch_token, timeouts={"token": 20})
    ref = d.get(77)
    d.pass_time(10.1)
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    d.pass_time(10)
    assert d.of(act.CancelToken)
    assert d.core.next_deadline() is None


def test_a_refused_token_is_replaced_once() -> None:
    d = Http(token=fetch_token)
    ref = d.create()
    d.token("old")
    d.reply(40101)
    assert len(d.of(act.FetchToken)) == 2
    assert d.ended() == []
    d.token("new")
    assert dict(d.http.headers)["satoken"] == "new"
    d.reply(40101, message="no")
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID
    assert len(d.of(act.FetchToken)) == 2


def test_the_same_token_again_is_tried_and_then_it_is_enough() -> None:
    d = Http(token=fetch_token)
    ref = d.get(7)
    d.token("old")
    d.raw(b"", 401)
    d.token("old")
    assert len(d.asked()) == 2
    d.raw(b"", 401)
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID


def test_calls_that_lost_one_token_fetch_one_new_one() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.token("old")
    d.get(2)
    for request in (1, 2):
        d.do(inp.HttpAnswered(request=request, status=401, body=b""))
    assert len(d.of(act.FetchToken)) == 2
    d.token("new")
    assert [dict(a.headers)["satoken"] for a in d.of(act.CallHttp)] == ["old"] * 2 + ["new"] * 2


def test_a_token_that_was_replaced_meanwhile_is_used_at_once() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.token("old")
    d.do(inp.UpdateToken(token="new"))
    d.raw(b"", 401)
    assert len(d.of(act.FetchToken)) == 1
    assert dict(d.http.headers)["satoken"] == "new"


def test_a_new_token_of_the_application_frees_the_calls_that_wait() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.do(inp.UpdateToken(token="given"))
    assert dict(d.http.headers)["satoken"] == "given"
    assert d.of(act.CancelToken)
    d.token("too late")
    assert d.core.login.token == "given"


def test_a_connection_that_is_up_stays_when_http_refuses_its_token() -> None:
    d = Http(token=fetch_token)
    d.login()
    d.get(7)
    d.raw(b"", 401)
    d.token("new")
    d.reply(data=None)
    assert d.status == "AUTHENTICATED"
    d.lose().link()
    assert d.said("AUTH_REQUEST")[-1]["accessToken"] == "new"
    assert len(d.of(act.FetchToken)) == 2


@pytest.mark.parametrize("token", ["a\r\nx: y", "tökén", "a\x00", "t ", " "])
def test_a_token_that_no_header_can_hold_fails_and_goes_nowhere(token: str) -> None:
    d = Http(token=token)
    ref = d.get(7)
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID
    assert not d.of(act.CallHttp)


def test_tokens_fetched_for_calls_do_not_keep_a_refused_log_in_going() -> None:
    d = Http(token=fetch_token, reconnect={"initial_delay": 1, "max_delay": 1}).connect()
    assert isinstance(d, Http)
    for _ in range(5):
        if d.core.reconnect == "halted":
            return
        d.link()
        d.forget().ask(SessionOp.GET_CURRENT)
        for _ in range(2):
            for call in d.of(act.CallHttp):
                d.do(inp.HttpAnswered(request=call.request, status=401, body=b""))
            d.forget()
            if d.core.login.asking:
                d.token()
        d.refuse(40101).lose()
    raise AssertionError("it asks for ever")
