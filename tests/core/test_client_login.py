"""The log-in: what is asked, strict servers, and where tokens come from."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import LocalProtocolError
from im_proto.wire.session import SessionOp

BARE = {"accessToken": "t0"}


def asked(d: Driver) -> list[dict[str, object]]:
    return d.said("AUTH_REQUEST")


# ---------------------------------------------------------------- what is asked


def test_a_log_in_asks_for_what_the_project_adds() -> None:
    request = asked(Driver().link())[0]
    assert request["accessToken"] == "t0"
    assert request["userId"] == 1
    assert request["capabilities"] == [
        "seq",
        "batch",
        "status",
        "receipts",
        "typing",
        "presence",
        "refresh",
        "sessions",
        "inline",
    ]
    assert request["deviceId"]
    assert "resume" not in request


def test_without_extensions_nothing_of_section_2_is_ever_sent() -> None:
    d = Driver(extensions=False)
    ref = d.send()
    d.login_ours(limits={"inFlight": 1}, heartbeat={"interval": 1, "timeout": 1})
    assert asked(d) == [{"accessToken": "t0", "userId": 1}]
    assert d.core.capabilities == frozenset()
    assert d.core.guarantee == "at-least-once"
    d.answer(ref).push(1).push(5).handle(1, 2)
    d.pass_time(31)
    d.lose().login_ours()
    assert asked(d)[1] == asked(d)[0]
    assert {m["type"] for m in d.said()} == {
        "AUTH_REQUEST",
        "CHAT_SEND_TO_ONE_REQUEST",
        "HEARTBEAT_REQUEST",
    }


def test_a_device_keeps_its_name_for_the_life_of_the_client() -> None:
    d = Driver().login().lose().link()
    first, second = asked(d)
    assert first["deviceId"] == second["deviceId"]
    assert Driver(seed=1).core.device_id != Driver(seed=2).core.device_id


def test_what_was_not_granted_is_not_used() -> None:
    d = Driver().login(
        deviceId="somebody-else", capabilities=["telepathy"], epoch="e1", seq=0, expiresIn=60
    )
    assert d.core.capabilities == frozenset()
    assert d.core.guarantee == "at-least-once"
    d.push(1).push(9).handle(1, 2)
    assert not d.said("CHAT_ACK_REQUEST")
    assert not d.said("SYNC_REQUEST")
    assert len(d.received()) == 2
    d.do(inp.UpdateToken(token="t1"))
    d.do(inp.SessionCall(ref=1, op=SessionOp.GET, session_id=7))
    d.do(inp.SetTyping(to_user=2))
    d.pass_time(60)
    assert {m["type"] for m in d.said()} == {"AUTH_REQUEST", "HEARTBEAT_REQUEST"}
    assert len(asked(d)) == 1


def test_the_guarantee_is_told_when_it_changes_and_only_then() -> None:
    d = Driver().login().lose().login().lose().login_ours()
    assert [event.guarantee for event in d.of(ev.GuaranteeChanged)] == [
        "at-least-once",
        "exactly-once",
    ]
    assert Driver(resend_when_unsure=False).login().core.guarantee == "at-most-once"


# ---------------------------------------------------------------- strict servers


def silence(d: Driver) -> None:
    d.link().pass_time(10)


@pytest.mark.parametrize("way", ["silence", "400", "close", "lost"])
def test_two_log_ins_in_vain_then_one_with_the_access_token_alone(way: str) -> None:
    d = Driver(timeouts={"auth": 10})

    def in_vain() -> None:
        d.link()
        if way == "silence":
            d.pass_time(10)
        elif way == "400":
            d.refuse(400)
        elif way == "close":
            d.close(1011)
        else:
            d.lose()

    in_vain()
    assert "capabilities" in asked(d.forget().link())[0]
    in_vain()
    d.forget().link()
    assert asked(d) == [BARE]
    assert not d.of(ev.ExtensionsRefused)
    d.login()
    assert d.of(ev.ExtensionsRefused) == [ev.ExtensionsRefused(ws_url="ws://chat.example/ws")]
    for _ in range(2):
        d.forget().lose().login()
        assert asked(d) == [BARE]
        assert not d.of(ev.ExtensionsRefused)


def test_a_server_that_says_it_is_capable_is_never_taken_for_a_strict_one() -> None:
    d = Driver()
    for _ in range(5):
        d.forget().link(capable=True).lose()
        assert "capabilities" in asked(d)[0]


def test_a_capable_server_is_asked_again_though_a_bare_log_in_was_due() -> None:
    d = Driver()
    for _ in range(2):
        d.link().lose()
    d.forget().link(capable=True)
    assert "capabilities" in asked(d)[0]


def test_while_another_way_is_left_a_failure_says_so() -> None:
    """So that connect() does not report what the next attempt does something about."""

    def ways(d: Driver) -> list[bool]:
        return [e.another_way for e in d.of(ev.ErrorOccurred)]

    strict = Driver()
    for _ in range(3):  # two with extensions, one bare
        strict.link().lose()
    assert ways(strict) == [True, True, False]

    stale = Driver(token=str)
    for _ in range(2):  # the token at hand, and the one that came in its place
        stale.link().refuse(40101)
    assert ways(stale) == [True, False]

    down = Driver().connect()
    down.do(inp.TransportFailed(transport=1))
    assert ways(down) == [False]


def test_if_the_bare_log_in_fails_as_well_the_extensions_were_not_to_blame() -> None:
    d = Driver(timeouts={"auth": 10})
    for _ in range(3):
        silence(d)
    d.forget().link()
    assert "capabilities" in asked(d)[0]
    assert not d.of(ev.ExtensionsRefused)


def test_a_log_in_in_between_that_works_starts_the_count_afresh() -> None:
    d = Driver(timeouts={"auth": 10})
    silence(d)
    d.login().lose()
    silence(d)
    d.forget().link()
    assert "capabilities" in asked(d)[0]


@pytest.mark.parametrize("code", [500, 50000, 40101])
def test_a_log_in_that_is_answered_is_not_in_vain(code: int) -> None:
    d = Driver(token=str)
    for _ in range(2):
        d.link().refuse(code)
        if d.core.reconnect != "waiting":
            return
    d.forget().link()
    assert "capabilities" in asked(d)[0]


def test_the_applications_own_disconnect_is_no_sign_of_a_strict_server() -> None:
    d = Driver()
    for _ in range(2):
        d.link().disconnect().lose()
    d.forget().link()
    assert "capabilities" in asked(d)[0]


@pytest.mark.parametrize("code", [1012, 1013])
def test_a_server_that_restarts_or_is_overloaded_is_not_strict(code: int) -> None:
    d = Driver()
    for _ in range(2):
        d.link().close(code)
    d.forget().link()
    assert "capabilities" in asked(d)[0]


def test_a_server_that_once_granted_extensions_is_never_taken_for_strict() -> None:
    d = Driver(timeouts={"auth": 10}).login_ours().lose()
    for _ in range(2):
        silence(d)
    d.forget().link()
    assert "capabilities" in asked(d)[0]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("code", [401, 40100, 40101, 403, 40300, 404])
def test_a_refused_log_in_is_the_end(code: int) -> None:
    d = Driver().link().refuse(code, "who are you\n")
    assert d.core.reconnect == "halted"
    assert d.error is not None
    assert d.error.code == ("TOKEN_INVALID" if code == 40101 else "AUTH_FAILED")
    assert (d.error.server_code, d.error.server_text) == (code, "who are you\\n")
    assert d.error.terminal
    assert d.of(ev.AuthFailed)
    d.lose().pass_time(10_000)
    assert len(d.of(act.OpenTransport)) == 1


@pytest.mark.parametrize("code", [500, 50000, 50001, 99999])
def test_a_server_that_fails_while_logging_in_is_tried_again(code: int) -> None:
    d = Driver().link().refuse(code)
    assert d.core.reconnect == "waiting"
    assert d.core.state().attempts == 1
    d.login()


def test_an_auth_response_out_of_the_blue_is_a_violation_and_no_end() -> None:
    d = Driver().login()
    d.frame("AUTH_RESPONSE", code=40101)
    assert d.of(ev.ProtocolViolation)
    assert d.status == "AUTHENTICATED"


# ---------------------------------------------------------------- the token function


def test_a_token_function_is_asked_before_the_transport_is_opened() -> None:
    d = Driver(token=str).connect()
    assert d.of(act.FetchToken) == [act.FetchToken(request=1)]
    assert not d.of(act.OpenTransport)
    d.token("f1").link()
    assert asked(d)[0]["accessToken"] == "f1"
    d.login().lose().link()
    assert len(d.of(act.FetchToken)) == 1  # it is still good


def test_a_function_that_fails_is_asked_again_with_growing_delays() -> None:
    d = Driver(token=str, reconnect={"max_retries": 3}).connect()
    for request, delay in ((1, 1), (2, 2)):
        d.do(inp.TokenFailed(request=request, reason="no \x1b network"))
        assert d.delay() == delay
        assert d.core.reconnect == "waiting"
        d.pass_time(delay)
    assert "\x1b" not in str(d.of(ev.AuthFailed)[0].error)
    d.do(inp.TokenFailed(request=3, reason="still none"))
    assert d.core.reconnect == "exhausted"


@pytest.mark.parametrize("token", ["", "x" * 8193])
def test_a_function_that_returns_no_token_has_failed(token: str) -> None:
    d = Driver(token=str).connect().token(token)
    assert d.core.reconnect == "waiting"
    assert not d.of(act.OpenTransport)


def test_a_function_that_never_answers_is_given_up() -> None:
    d = Driver(token=str, timeouts={"token": 30}).connect().pass_time(30)
    assert d.of(act.CancelToken) == [act.CancelToken(request=1)]
    assert d.core.reconnect == "waiting"
    before = d.core.state()
    d.do(inp.TokenReady(request=1, token="too late"))
    assert d.core.state() == before
    d.pass_time(1)
    assert d.of(act.FetchToken)[-1].request == 2


@pytest.mark.parametrize("request_", [0, 2, 99, -1])
def test_a_stale_token_changes_nothing(request_: int) -> None:
    d = Driver(token=str).connect()
    assert d.do(inp.TokenReady(request=request_, token="stale")) == []
    assert d.do(inp.TokenFailed(request=request_, reason="stale")) == []
    assert d.core.login.state == "fetching_token"


@pytest.mark.parametrize("code", [401, 40100, 40101])
def test_a_refused_token_is_asked_for_again_once(code: int) -> None:
    d = Driver(token=str).link().refuse(code)
    assert d.core.reconnect == "waiting"
    assert d.of(ev.AuthFailed)[0].error.terminal is False
    d.lose().pass_time(1)
    assert d.of(act.FetchToken)[-1].request == 2
    d.token("f2").link().refuse(code)
    assert d.core.reconnect == "halted"
    assert d.error is not None
    assert d.error.terminal


def test_a_fresh_token_that_worked_may_be_refused_later_like_any_other() -> None:
    d = Driver(token=str)
    for _ in range(4):
        d.link().refuse(40101).lose()
        d.login().lose()
    assert d.core.reconnect == "waiting"


def test_connect_after_the_end_asks_the_function_for_another_token() -> None:
    d = Driver(token=str).link().refuse(40101).lose().link().refuse(40101).lose()
    assert d.core.reconnect == "halted"
    d.forget().connect()
    assert d.of(act.FetchToken)


# ---------------------------------------------------------------- update_access_token


def test_a_new_token_leaves_the_terminal_state_of_a_refused_log_in() -> None:
    d = Driver().link().refuse(40101).forget()
    d.do(inp.UpdateToken(token="t1"))
    assert d.core.reconnect == "attempting"
    d.login()
    assert asked(d)[0]["accessToken"] == "t1"


def test_a_new_token_does_not_connect_who_does_not_want_to_be() -> None:
    for d in (Driver(), Driver().login().disconnect(), Driver().login().close(4004)):
        d.forget().do(inp.UpdateToken(token="t1"))
        assert not d.of(act.OpenTransport)
        d.link()
        assert asked(d)[0]["accessToken"] == "t1"


def test_a_new_token_while_the_function_is_asked_is_used_at_once() -> None:
    d = Driver(token=str).connect()
    d.do(inp.UpdateToken(token="mine"))
    assert d.of(act.CancelToken) == [act.CancelToken(request=1)]
    d.do(inp.TokenReady(request=1, token="late"))
    d.link()
    assert asked(d)[0]["accessToken"] == "mine"


@pytest.mark.parametrize("token", ["", "x" * 8193])
def test_no_token_is_refused_and_changes_nothing(token: str) -> None:
    d = Driver().login()
    with pytest.raises(LocalProtocolError, match="UpdateToken"):
        d.do(inp.UpdateToken(token=token))
    d.lose().link()
    assert asked(d)[-1]["accessToken"] == "t0"


def test_a_new_token_is_used_for_the_next_log_in_and_disturbs_nothing_now() -> None:
    d = Driver().login().forget()
    d.do(inp.UpdateToken(token="t1"))
    assert d.actions == []
    d.lose().link()
    assert asked(d)[0]["accessToken"] == "t1"


@pytest.mark.parametrize("source", ["t0", str])
def test_a_token_that_came_meanwhile_takes_the_place_of_a_refused_one(source: object) -> None:
    refused = Driver(token=source).link()
    refused.do(inp.UpdateToken(token="t1"))
    refused.refuse(40101)
    expired = Driver(token=source).login()
    expired.do(inp.UpdateToken(token="t1"))
    expired.close(4003)
    for d in (refused, expired):
        assert d.core.reconnect == "waiting"
        assert d.of(ev.ErrorOccurred)[-1].another_way
        d.forget()
        if d is refused:
            d.lose()
        d.link()
        assert asked(d)[0]["accessToken"] == "t1"
        assert not d.of(act.FetchToken)
        d.frame("AUTH_RESPONSE", code=0).lose()
        assert not d.of(ev.ErrorOccurred)[-1].another_way
        if source == "t0":  # that one is refused like any other
            assert d.link().refuse(40101).core.reconnect == "halted"


def test_a_newer_token_has_its_own_chance_when_the_log_in_is_gone() -> None:
    d = Driver().login()
    d.do(inp.UpdateToken(token="t1"))
    ref = d.send()
    for token in ("t1", "t1"):  # the newer one, and then once more
        d.answer(ref, 40100)
        assert d.core.reconnect == "waiting"
        d.forget().lose().login()
        assert asked(d)[0]["accessToken"] == token
    d.answer(ref, 40100)
    assert d.core.reconnect == "halted"


# ---------------------------------------------------------------- the log-in is gone


def test_an_auth_code_for_a_message_logs_in_again_and_sends_it_again() -> None:
    d = Driver().login()
    ref = d.send("once more")
    d.answer(ref, 40100)
    assert not d.failed()
    assert d.of(ev.AuthFailed)[0].error.terminal is False
    d.lose().forget().login()
    assert d.chats() == ["once more"]
    d.answer(ref)
    assert d.accepted() == [ref]


def test_that_happens_once_per_token() -> None:
    d = Driver().login()
    ref = d.send()
    d.answer(ref, 40100).lose().login().answer(ref, 40100)
    assert d.core.reconnect == "halted"
    assert not d.failed()
    d.lose().do(inp.UpdateToken(token="t1"))
    d.login().answer(ref)
    assert d.accepted() == [ref]


def test_a_function_is_asked_for_another_token_and_an_auth_code_on_that_is_the_end() -> None:
    d = Driver(token=str).login()
    ref = d.send()
    d.answer(ref, 401).lose().link()
    assert len(d.of(act.FetchToken)) == 2
    d.login().answer(ref, 401)
    assert d.core.reconnect == "halted"


def test_a_fresh_token_that_sent_a_message_is_proven() -> None:
    d = Driver(token=str).login()
    for _ in range(3):
        ref = d.send()
        d.answer(ref, 401).lose()
        d.token(f"f{ref}") if d.core.login.state == "fetching_token" else None
        d.pass_time(d.until(d.core.state().retry_at))
        d.token(f"f{ref}").login().answer(ref)
    assert len(d.accepted()) == 3


def test_a_refused_message_was_not_taken_so_at_most_once_sends_it_again_too() -> None:
    d = Driver(resend_when_unsure=False).login()
    ref = d.send()
    d.answer(ref, 40100).lose()
    assert not d.failed()
    d.login().answer(ref)
    assert d.accepted() == [ref]


def test_an_auth_error_that_names_no_message_means_the_same() -> None:
    d = Driver().login().frame("CHAT_ERROR_RESPONSE", code=40100, errorMsg="not logged in")
    assert d.core.reconnect == "waiting"
    d.login().frame("CHAT_ERROR_RESPONSE", code=40100)
    assert d.core.reconnect == "halted"
