"""A new token on the live connection (protocol.md section 2, `refresh`)."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.timers import Timer


def fetch_token() -> str:
    raise AssertionError("the core calls nobody")


def online(*, expires_in: float | None = 3600, **config: Any) -> Driver:
    """Logged in to a server that takes new tokens; what came before is forgotten."""
    d = Driver(**({"token": fetch_token, "heartbeat": {"interval": 86_400}} | config))
    told = {} if expires_in is None else {"expiresIn": expires_in}
    return d.login_ours(capabilities=["seq", "batch", "refresh"], **told).forget()


def welcome(d: Driver, expires_in: float | None = None, code: int = 0) -> Driver:
    """The server's answer to a new token."""
    told = {} if expires_in is None else {"data": {"expiresIn": expires_in}}
    return d.frame("AUTH_RESPONSE", code=code, message="words", **told)


def offered(d: Driver) -> list[str]:
    """The tokens that went out."""
    return [message["accessToken"] for message in d.said("AUTH_REQUEST")]


def fetches(d: Driver) -> int:
    return len(d.of(act.FetchToken))


# ---------------------------------------------------------------- before it expires


@pytest.mark.parametrize(
    ("expires_in", "after"), [(3600, 3240), (300, 270), (200, 170), (40, 20), (2, 1), (0.5, 1)]
)
def test_a_new_token_is_fetched_before_the_old_one_expires(expires_in: float, after: float) -> None:
    d = online(expires_in=expires_in)
    d.pass_time(after - 0.01)
    assert fetches(d) == 0
    d.pass_time(0.02)
    assert fetches(d) == 1
    assert not offered(d)


def test_the_new_token_goes_out_alone_on_the_live_connection() -> None:
    d = online().pass_time(3240).token("t1")
    assert d.said() == [{"type": "AUTH_REQUEST", "accessToken": "t1"}]
    welcome(d, 7200)
    assert d.of(ev.TokenRefreshed) == [ev.TokenRefreshed(expires_in=7200)]
    assert d.status == "AUTHENTICATED"
    assert not d.of(act.OpenTransport)
    assert not d.of(ev.StateChanged)
    assert not d.of(ev.Authenticated)


def test_the_next_refresh_is_scheduled_by_the_answer() -> None:
    d = online().pass_time(3240).token("t1")
    welcome(d, 100).forget().pass_time(69.9)
    assert fetches(d) == 0
    d.pass_time(0.2).token("t2")
    assert offered(d) == ["t2"]
    welcome(d).forget()  # it no longer says how long
    d.pass_time(100_000)
    assert fetches(d) == 0


def test_a_token_is_never_in_a_batch() -> None:
    d = online()
    d.do(inp.WriteBlocked(transport=d.transport))
    d.send("one"), d.send("two")
    d.pass_time(3240)
    d.core.sending.blocked = False
    d.forget().token("t1")
    texts = [json.loads(action.text) for action in d.of(act.SendText)]
    assert [isinstance(text, list) for text in texts] == [True, False]
    assert texts[1]["type"] == "AUTH_REQUEST"


@pytest.mark.parametrize("capabilities", [["seq", "batch"], ["seq", "batch", "refresh"]])
def test_nothing_is_refreshed_without_the_capability_or_a_time(capabilities: list[str]) -> None:
    told = {"expiresIn": 60} if "refresh" not in capabilities else {}
    d = Driver(token=fetch_token, heartbeat={"interval": 86_400})
    d.login_ours(capabilities=capabilities, **told).forget()
    d.pass_time(10_000)
    assert fetches(d) == 0
    d.frame("AUTH_EXPIRING", expiresIn=60)
    assert fetches(d) == ("refresh" in capabilities)


def test_auth_expiring_starts_it_at_once_and_only_once() -> None:
    d = online(expires_in=None).frame("AUTH_EXPIRING", expiresIn=60)
    assert fetches(d) == 1
    for _ in range(3):
        d.frame("AUTH_EXPIRING", expiresIn=60)
    d.token("t1")
    d.frame("AUTH_EXPIRING", expiresIn=59)
    assert offered(d) == ["t1"]
    welcome(d).pass_time(1000)
    assert fetches(d) == 1


def test_a_server_that_warns_without_end_gets_one_token_a_second() -> None:
    d = online(expires_in=None)
    for n in range(50):
        d.frame("AUTH_EXPIRING", expiresIn=1)
        if d.core.login.asking:
            welcome(d.token(f"t{n}"))
        d.pass_time(0.1)
    assert 5 <= fetches(d) <= 6


def test_a_function_without_a_newer_token_is_asked_again_with_growing_delays() -> None:
    d = online(expires_in=60)
    before, waits = d.now, []
    for _ in range(5):
        d.pass_time(d.until(d.core.timers.get(Timer.REFRESH))).forget().token("fresh")
        assert offered(d) == ["fresh"]
        welcome(d, 160.0 - d.now if d.now < 160 else 0)
        waits.append(d.now - before)
        before = d.now
    # half of what is left, but no less than 1, 2, 4 s …
    assert waits == [30, 15, 7.5, 4, 8]
    assert d.status == "AUTHENTICATED"


def test_while_the_machine_sleeps_the_token_grows_old() -> None:
    d = online(sleep_watch=10.0)
    d.do(inp.WallClock(wall=1_700_000_000.0 + d.now - 100.0 + 3500))
    d.pass_time(0.01)
    assert fetches(d) == 1


# ---------------------------------------------------------------- what may go wrong


def test_a_fetch_that_fails_is_told_and_tried_again_until_it_works() -> None:
    d = online().pass_time(3240)
    for delay in (1, 2, 4, 8, 16, 30, 30):
        d.do(inp.TokenFailed(request=d.core.login.request, reason="no network"))
        (told,) = d.of(ev.AuthFailed)
        assert (told.error.code, told.error.retryable, told.error.terminal) == (
            "AUTH_FAILED",
            True,
            False,
        )
        d.forget().pass_time(delay - 0.01)
        assert fetches(d) == 0
        d.pass_time(0.02)
        assert fetches(d) == 1
    d.token("t1")
    assert offered(d) == ["t1"]
    assert d.status == "AUTHENTICATED"
    assert not d.errors()


def test_a_fetch_that_is_never_answered_has_failed() -> None:
    d = online(timeouts={"token": 5}).pass_time(3245.01)
    assert d.of(act.CancelToken)
    assert len(d.of(ev.AuthFailed)) == 1
    d.pass_time(1.01)
    assert fetches(d) == 2
    d.do(inp.TokenReady(request=1, token="too late"))
    assert not offered(d)


@pytest.mark.parametrize(
    ("code", "kind"), [(40101, "TOKEN_INVALID"), (403, "AUTH_FAILED"), (50000, "SERVER_ERROR")]
)
def test_a_refused_token_leaves_the_old_one_serving(code: int, kind: str) -> None:
    d = online().pass_time(3240).token("bad")
    welcome(d, code=code)
    (told,) = d.of(ev.AuthFailed)
    assert (told.error.code, told.error.server_code) == (kind, code)
    assert (told.error.retryable, told.error.terminal) == (True, False)
    assert d.status == "AUTHENTICATED"
    assert not d.of(ev.TokenRefreshed)


def test_after_a_refusal_another_token_is_fetched_later() -> None:
    d = online().pass_time(3240)
    for delay in (1, 2, 4):
        welcome(d.token("bad"), code=40101)
        d.forget().pass_time(delay - 0.01)
        assert fetches(d) == 0
        d.pass_time(0.02)
        assert fetches(d) == 1
    welcome(d.token("good"), 3600)
    assert d.of(ev.TokenRefreshed)


def test_a_refused_token_is_not_used_for_the_next_log_in() -> None:
    d = online().pass_time(3240).token("bad")
    welcome(d, code=40101).lose().forget().link()
    assert offered(d) == ["fresh"]  # what the link was logged in with


def test_a_token_on_which_the_server_failed_is_sent_again() -> None:
    d = online().pass_time(3240).token("t1")
    welcome(d, code=50000).forget().pass_time(1.01)
    assert offered(d) == ["t1"]
    assert fetches(d) == 0


def test_an_answer_that_does_not_come_means_a_probe_and_then_another_link() -> None:
    d = online(timeouts={"auth": 10}, heartbeat={"interval": 86_400, "timeout": 5})
    d.pass_time(3240).token("t1").forget()
    d.pass_time(9.9)
    assert d.probes() == 0
    d.pass_time(0.2)
    assert d.probes() == 1
    d.frame("HEARTBEAT_RESPONSE")
    assert d.status == "AUTHENTICATED"
    d.pass_time(5)
    assert d.status == "RECONNECTING"
    assert "did not answer a new token" in d.core.state().reason
    d.forget().link()
    assert offered(d) == ["t1"]


@pytest.mark.parametrize("probed", [False, True])
def test_a_machine_that_slept_reads_the_answer_before_it_judges(probed: bool) -> None:
    d = online().pass_time(3240).token("t1").forget()
    d.pass_time(10.1 if probed else 1)
    assert d.probes() == probed
    d.stall(3600)
    assert d.status == "AUTHENTICATED"
    welcome(d, 3600)
    assert d.of(ev.TokenRefreshed)
    assert Timer.AUTH not in dict(d.core.timers.all())


def test_a_lost_link_takes_the_new_token_to_the_next_one() -> None:
    d = online().pass_time(3240).token("t1").lose().forget().link()
    assert offered(d) == ["t1"]
    assert d.said("AUTH_REQUEST")[0]["capabilities"]  # a log-in like any other
    d.frame("AUTH_RESPONSE", code=0, data={"capabilities": ["refresh"], "expiresIn": 100})
    assert offered(d) == ["t1"]
    d.forget().pass_time(70.01)
    assert fetches(d) == 1


def test_a_link_that_is_lost_while_the_function_is_asked_still_gets_its_token() -> None:
    d = online().pass_time(3240).lose()
    d.token("t1")
    assert not offered(d)
    d.forget().link()
    assert offered(d) == ["t1"]
    assert fetches(d) == 0


def test_disconnect_ends_the_refresh() -> None:
    d = online().pass_time(3240).disconnect()
    assert d.of(act.CancelToken)
    d.lose()
    assert d.core.next_deadline() is None


def test_an_answer_is_read_though_the_application_is_behind() -> None:
    d = online(max_unhandled=1)
    d.push(1)
    assert d.of(act.PauseReading)
    d.forget().pass_time(3240).token("t1")
    assert d.of(act.ResumeReading)
    welcome(d, 3600)
    assert d.of(act.PauseReading)


def test_an_auth_response_that_nobody_asked_for_is_a_violation() -> None:
    d = online()
    welcome(d, 3600)
    assert d.of(ev.ProtocolViolation)
    assert not d.of(ev.TokenRefreshed)


def test_close_4003_fetches_a_new_token_and_comes_back() -> None:
    d = online().close(4003)
    assert d.core.reconnect == "waiting"
    d.forget().link()
    assert offered(d) == ["fresh"]
    assert d.of(act.FetchToken)
    d.login()


# ---------------------------------------------------------------- the application's own token


def test_a_token_of_the_application_goes_out_at_once() -> None:
    d = online(token="t0")
    d.do(inp.UpdateToken(token="t1"))
    assert d.said() == [{"type": "AUTH_REQUEST", "accessToken": "t1"}]
    welcome(d, 60)
    assert d.of(ev.TokenRefreshed) == [ev.TokenRefreshed(expires_in=60)]
    d.forget().do(inp.UpdateToken(token="t1"))
    assert d.actions == []  # the link is logged in with it


def test_an_older_fetch_never_overwrites_a_newer_token_of_the_application() -> None:
    d = online().pass_time(3240)
    d.do(inp.UpdateToken(token="mine"))
    assert d.of(act.CancelToken)
    d.do(inp.TokenReady(request=d.core.login.request, token="late"))
    assert offered(d) == ["mine"]
    welcome(d, 3600).lose().forget().link()
    assert offered(d) == ["mine"]


def test_one_token_at_a_time_is_out_and_the_newest_follows() -> None:
    d = online(token="t0")
    for token in ("t1", "t2", "t3"):
        d.do(inp.UpdateToken(token=token))
    assert offered(d) == ["t1"]
    welcome(d)
    assert offered(d) == ["t1", "t3"]
    welcome(d)
    assert offered(d) == ["t1", "t3"]


def test_the_old_token_given_back_while_another_is_out_is_sent_too() -> None:
    d = online(token="t0")
    d.do(inp.UpdateToken(token="t1"))
    d.do(inp.UpdateToken(token="t0"))
    welcome(d)
    assert offered(d) == ["t1", "t0"]


def test_a_refusal_of_the_older_does_not_take_the_newer_away() -> None:
    d = online(token="t0")
    d.do(inp.UpdateToken(token="t1"))
    d.do(inp.UpdateToken(token="t2"))
    welcome(d, code=40101)
    assert offered(d) == ["t1", "t2"]


def test_a_token_that_came_during_the_log_in_follows_it() -> None:
    d = Driver(token="t0").link()
    d.do(inp.UpdateToken(token="t1"))
    d.forget().frame("AUTH_RESPONSE", code=0, data={"capabilities": ["refresh"]})
    assert offered(d) == ["t1"]


def test_a_fixed_token_that_expires_is_told_once_with_what_to_do() -> None:
    d = online(token="t0", expires_in=60).pass_time(30)
    (told,) = d.of(ev.ErrorOccurred)
    assert (told.error.code, told.error.terminal) == ("TOKEN_INVALID", False)
    assert "in 30 s" in told.error.text
    assert "give the client one" in told.error.text
    d.frame("AUTH_EXPIRING", expiresIn=20).pass_time(100)
    assert len(d.of(ev.ErrorOccurred)) == 1
    d.do(inp.UpdateToken(token="t1"))
    welcome(d, 60).forget().pass_time(30)
    assert d.errors() == ["TOKEN_INVALID"]  # of another token


def test_a_fixed_token_is_warned_of_by_the_server_too() -> None:
    d = online(token="t0", expires_in=None).frame("AUTH_EXPIRING", expiresIn=20)
    assert "in 20 s" in d.of(ev.ErrorOccurred)[0].error.text


def test_a_refused_token_of_the_application_is_told_and_not_sent_again() -> None:
    d = online(token="t0", expires_in=None)
    d.do(inp.UpdateToken(token="bad"))
    welcome(d, code=40101)
    assert d.of(ev.AuthFailed)
    d.forget().pass_time(1000)
    assert not offered(d)
    d.lose().link()
    assert offered(d) == ["t0"]


def test_an_auth_code_after_a_refresh_logs_in_again_as_the_token_is_another() -> None:
    d = online(timeouts={"ack": 1000})
    ref = d.send()
    d.answer(ref, 401).lose().link()
    d.frame("AUTH_RESPONSE", code=0, data={"capabilities": ["refresh"], "expiresIn": 60})
    d.pass_time(30).token("f2")
    welcome(d, 3600)
    d.answer(ref, 401)
    assert d.core.reconnect == "waiting"


# ---------------------------------------------------------------- whatever happens


def test_explain_says_when_the_token_is_renewed() -> None:
    assert "the renewal of the token (3240.0 s left)" in online().core.explain()


def test_a_core_with_a_token_out_can_be_copied_and_pickled() -> None:
    d = online().pass_time(3240).token("t1")
    text = json.dumps({"type": "AUTH_RESPONSE", "message": json.dumps({"code": 0})})
    for core in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        actions = core.step(inp.TextReceived(transport=d.transport, text=text), d.now)
        assert act.Notify(event=ev.TokenRefreshed(expires_in=None)) in actions


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.3, 1.0, 20.0, 400.0])),
    st.tuples(st.just("token"), st.sampled_from(["a", "b", ""])),
    st.tuples(st.just("no token"), st.just(0)),
    st.tuples(st.just("update"), st.sampled_from(["a", "b", "c"])),
    st.tuples(st.just("answer"), st.sampled_from([0, 200, 40101, 50000, 403])),
    st.tuples(st.just("expiring"), st.sampled_from([0, 1, 60])),
    st.tuples(st.just("lose"), st.just(0)),
    st.tuples(st.just("login"), st.sampled_from([0, 10, 600])),
)


@given(steps=st.lists(STEPS, max_size=40), fixed=st.booleans())
def test_there_is_one_fetch_and_one_token_out_at_a_time(
    steps: list[tuple[str, Any]], fixed: bool
) -> None:
    d = online(expires_in=60, token="t0" if fixed else fetch_token)
    for what, value in steps:
        _play(d, what, value)
        refresh, login = d.core.refresh, d.core.login
        live = login.state == "authenticated"
        open_fetches = fetches(d) - len(d.of(act.CancelToken))
        assert open_fetches <= 1 + len([e for e in steps if e[0] in ("token", "no token")])
        assert live or not (refresh.out or refresh.wanted)
        timers = dict(d.core.timers.all())
        assert (Timer.AUTH in timers) == (
            refresh.out is not None or login.state == "authenticating"
        )
        assert (Timer.TOKEN in timers) == login.asking
        # a function is always going to be asked before the end, if one was told
        if live and not fixed and refresh._expires_at is not None:
            assert Timer.REFRESH in timers or refresh._busy


def _play(d: Driver, what: str, value: Any) -> None:
    core = d.core
    if what == "pass":
        d.pass_time(value)
    elif what == "token":
        d.token(value)
    elif what == "no token":
        d.do(inp.TokenFailed(request=core.login.request, reason="x"))
    elif what == "update":
        d.do(inp.UpdateToken(token=value))
    elif what == "answer":
        if core.refresh.out is not None:
            welcome(d, 60, code=value)
    elif what == "expiring" and core.connection == "open":
        d.frame("AUTH_EXPIRING", expiresIn=value)
    elif what == "lose" and core.connection == "open":
        d.lose()
    elif what == "login" and core.connection == "disconnected" and core.reconnect == "waiting":
        d.link()
        data = {"capabilities": ["refresh"], "expiresIn": value}
        d.frame("AUTH_RESPONSE", code=0, data=data)
