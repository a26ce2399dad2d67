"""Closes (protocol.md section 2): the whole table, as the client lives it."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.wire.closes import AUTH_REFUSALS, CLOSES, HTTP_STATUSES

AGAIN = (1000, 1001, 1005, 1006, 1011, 1012, 4002, 4008, 4009)
NOT_COUNTED = (1013,)
VIOLATIONS = (1002, 1003, 1007, 1008, 1010)
TOO_BIG = (1009,)
NEVER = (4001, 4004)
NEW_TOKEN = (4003,)
#: no heartbeat in between
QUIET = {"interval": 1000}
UNKNOWN = (1004, 1014, 1015, 3000, 3999, 4000, 4005, 4500, 4999)

HTTP_NEVER = (400, 401, 403, 404, 426)
HTTP_NOT_COUNTED = (429, 503)
HTTP_UNKNOWN = (200, 204, 301, 302, 405, 418, 500, 502, 504, 599)


def shut(d: Driver, code: int) -> None:
    """The link ends with this code; 1006 is an end without a close."""
    if code == 1006:
        d.lose()
    else:
        d.close(code)


def refuse(d: Driver, status: int, retry_after: float | None = None) -> None:
    d.connect().do(inp.TransportOpened(transport=d.transport))
    d.do(inp.LinkRefused(transport=d.transport, status=status, retry_after=retry_after))


def test_these_tests_know_every_row_of_the_table() -> None:
    rows = {*AGAIN, *NOT_COUNTED, *VIOLATIONS, *TOO_BIG, *NEVER, *NEW_TOKEN}
    assert rows == set(CLOSES)
    assert {*HTTP_NEVER, *HTTP_NOT_COUNTED} == set(HTTP_STATUSES)
    assert not set(UNKNOWN) & rows


# ---------------------------------------------------------------- close codes


@pytest.mark.parametrize(
    "code", [*AGAIN, *NOT_COUNTED, *VIOLATIONS, *TOO_BIG, *NEW_TOKEN, *UNKNOWN]
)
def test_closes_that_say_come_back(code: int) -> None:
    d = Driver(token=str).login()
    shut(d, code)
    assert d.core.reconnect == "waiting"
    assert d.of(ev.Disconnected)
    assert d.error is not None
    assert d.error.server_code == (None if code == 1006 else code)
    assert d.error.retryable
    assert not d.error.terminal
    d.login()
    assert d.status == "AUTHENTICATED"
    assert d.of(ev.Reconnected)


@pytest.mark.parametrize("code", NEVER)
@pytest.mark.parametrize("token", ["t0", str])
def test_closes_that_say_stay_away(code: int, token: object) -> None:
    d = Driver(token=token).login()
    shut(d, code)
    assert d.core.reconnect == "halted"
    assert d.status == "DISCONNECTED"
    assert d.error is not None
    assert (d.error.server_code, d.error.terminal, d.error.retryable) == (code, True, False)
    d.pass_time(10_000)
    assert len(d.of(act.OpenTransport)) == 1
    assert bool(d.of(ev.AuthFailed)) == (code in AUTH_REFUSALS)


@pytest.mark.parametrize("code", sorted({*CLOSES, *UNKNOWN} - {1005, 1006, 1015}))
def test_the_peers_code_is_echoed(code: int) -> None:
    d = Driver().login().forget()
    d.close(code, gone=False)
    assert d.of(act.SendClose) == [act.SendClose(transport=1, code=code)]
    assert d.of(act.CloseTransport) == [act.CloseTransport(transport=1)]


@pytest.mark.parametrize("code", [1005, 1006, 1015])
def test_codes_that_never_stand_on_the_wire_are_not_echoed(code: int) -> None:
    d = Driver().login().forget()
    d.close(code, gone=False)
    assert [a.code for a in d.of(act.SendClose)] in ([1000], [])


@pytest.mark.parametrize("code", [*AGAIN, *VIOLATIONS, *TOO_BIG, *UNKNOWN])
def test_an_end_before_the_log_in_counts_as_a_failed_attempt(code: int) -> None:
    d = Driver(reconnect={"max_retries": 2}).link()
    shut(d, code)
    assert d.core.state().attempts == 1
    d.link()
    shut(d, code)
    assert d.core.reconnect == "exhausted"


@pytest.mark.parametrize("code", NOT_COUNTED)
def test_an_overloaded_server_uses_up_no_attempt(code: int) -> None:
    d = Driver(reconnect={"max_retries": 1})
    for _ in range(5):
        d.link()
        shut(d, code)
    assert d.core.reconnect == "waiting"
    assert d.core.state().attempts == 0


@pytest.mark.parametrize("code", [*VIOLATIONS, *TOO_BIG])
def test_a_violation_waits_as_after_a_failed_attempt_even_after_a_good_link(code: int) -> None:
    d = Driver(reconnect={"initial_delay": 1, "stable_after": 10}, heartbeat=QUIET)
    for expected in (1, 2, 4):
        d.login().pass_time(100)
        shut(d, code)
        assert d.delay() == expected


@pytest.mark.parametrize("code", [*VIOLATIONS, *TOO_BIG])
def test_failures_of_before_a_good_link_do_not_count_for_a_violation(code: int) -> None:
    d = Driver(reconnect={"initial_delay": 1, "stable_after": 10}, heartbeat=QUIET)
    for _ in range(6):
        d.link().lose()
    d.login().pass_time(100)
    shut(d, code)
    assert d.delay() == 1


@pytest.mark.parametrize("code", [*AGAIN, *NOT_COUNTED, *UNKNOWN])
def test_after_a_good_link_other_ends_start_the_delays_afresh(code: int) -> None:
    d = Driver(reconnect={"initial_delay": 1, "stable_after": 10}, heartbeat=QUIET)
    for _ in range(3):
        d.login().pass_time(100)
        shut(d, code)
        assert d.delay() == 1


def test_the_reason_says_what_the_server_said_and_is_printable() -> None:
    d = Driver().login().close(4004, "device \x07 taken over by 10.0.0.9 at 12:01")
    assert d.error is not None
    assert d.error.server_text == "device \\x07 taken over by 10.0.0.9 at 12:01"
    assert "logged in elsewhere" in d.core.state().reason


# ---------------------------------------------------------------- expired tokens


def test_an_expired_token_is_replaced_by_the_token_function() -> None:
    d = Driver(token=str).link()
    d.forget().frame("AUTH_RESPONSE", code=0)
    d.close(4003)
    d.pass_time(d.until(d.core.state().retry_at))
    assert d.of(act.FetchToken)
    d.token("second").login()
    assert d.said("AUTH_REQUEST")[-1]["accessToken"] == "second"


def test_a_function_may_replace_an_expired_token_again_and_again() -> None:
    d = Driver(token=str)
    for _ in range(5):
        d.login().close(4003)
    assert d.core.reconnect == "waiting"


def test_an_expired_token_that_is_a_string_is_the_end_until_there_is_a_new_one() -> None:
    d = Driver().login().close(4003)
    assert d.core.reconnect == "halted"
    assert d.error is not None
    assert d.error.code == "TOKEN_INVALID"
    assert d.of(ev.AuthFailed)
    d.forget().do(inp.UpdateToken(token="t1"))
    d.login()
    assert d.said("AUTH_REQUEST")[0]["accessToken"] == "t1"


# ---------------------------------------------------------------- KICK


def test_a_kick_may_forbid_to_come_back() -> None:
    d = Driver().login()
    d.frame("KICK", reason="banned", reconnect=False).close(1000)
    assert d.core.reconnect == "halted"
    assert "banned" in d.core.state().reason


@pytest.mark.parametrize("code", [*AGAIN, *NOT_COUNTED, *VIOLATIONS, *NEW_TOKEN, *UNKNOWN])
def test_a_kicks_retry_after_is_obeyed(code: int) -> None:
    d = Driver(token=str, reconnect={"jitter": "full"}).login()
    d.frame("KICK", reason="drain", reconnect=True, retryAfter=77)
    shut(d, code)
    assert d.delay() == 77


def test_a_retry_after_of_nothing_is_no_licence_to_hammer() -> None:
    d = Driver(reconnect={"jitter": "none"}).login()
    d.frame("KICK", reason="drain", reconnect=True, retryAfter=0).close(1012)
    assert d.delay() == 1.0


def test_every_connected_is_followed_by_one_disconnected() -> None:
    d = Driver()
    d.link().lose()  # up, and lost before the log-in
    d.login().close(1001)
    d.login().disconnect()
    ups_and_downs = (ev.Connected, ev.Disconnected)
    told = [type(e).__name__ for e in d.events() if isinstance(e, ups_and_downs)]
    assert told == ["Connected", "Disconnected"] * 3


def test_a_kick_decides_over_a_refusal() -> None:
    d = Driver().login()
    d.frame("KICK", reason="roles changed", reconnect=True, retryAfter=3).close(4001)
    assert d.core.reconnect == "waiting"
    d.login()
    assert d.status == "AUTHENTICATED"


def test_two_devices_of_one_name_do_not_kick_each_other_for_ever() -> None:
    d = Driver().login()
    d.frame("KICK", reason="elsewhere", reconnect=True).close(4004)
    assert d.core.reconnect == "halted"


@pytest.mark.parametrize("end", ["disconnect", "timeout", "lost"])
def test_a_kick_is_of_its_own_link_only(end: str) -> None:
    d = Driver(timeouts={"auth": 5})
    if end == "timeout":
        d.link().frame("KICK", reason="old", reconnect=False).pass_time(6)
    else:
        d.login().frame("KICK", reason="old", reconnect=end == "lost")
        _ = d.lose() if end == "lost" else d.disconnect()
    d.login().close(1000)
    assert d.core.reconnect == "waiting"
    assert "old" not in d.core.state().reason


# ---------------------------------------------------------------- HTTP statuses


@pytest.mark.parametrize("status", HTTP_NEVER)
@pytest.mark.parametrize("token", ["t0", str])
def test_http_statuses_that_say_stay_away(status: int, token: object) -> None:
    d = Driver(token=token).link().lose()
    d.disconnect().connect()
    if d.core.login.state == "fetching_token":
        d.token()
    d.do(inp.TransportOpened(transport=d.transport))
    d.do(inp.LinkRefused(transport=d.transport, status=status, reason="no\x00"))
    assert d.core.reconnect == "halted"
    assert d.error is not None
    assert (d.error.server_code, d.error.server_text) == (status, "no\\x00")
    assert (d.error.terminal, d.error.retryable) == (True, False)
    assert bool(d.of(ev.AuthFailed)) == (status in (401, 403))


@pytest.mark.parametrize("status", [*HTTP_UNKNOWN, *HTTP_NOT_COUNTED])
def test_http_statuses_that_say_come_back(status: int) -> None:
    d = Driver()
    refuse(d, status)
    assert d.core.reconnect == "waiting"
    assert d.core.state().attempts == (0 if status in HTTP_NOT_COUNTED else 1)
    d.login()
    assert d.status == "AUTHENTICATED"


@pytest.mark.parametrize("status", HTTP_NOT_COUNTED)
def test_retry_after_is_obeyed(status: int) -> None:
    d = Driver(reconnect={"jitter": "full", "max_delay": 30})
    refuse(d, status, retry_after=120)
    assert d.delay() == 120


def test_no_server_sends_a_client_away_for_longer_than_a_day() -> None:
    d = Driver()
    refuse(d, 503, retry_after=1e9)
    assert d.delay() == 86_400


# ---------------------------------------------------------------- who is to blame


def ends(d: Driver, code: int, times: int) -> None:
    for _ in range(times):
        d.login_ours()
        shut(d, code)


@pytest.mark.parametrize("code", VIOLATIONS)
def test_a_message_that_was_the_oldest_at_three_such_closes_in_a_row_is_poison(code: int) -> None:
    d = Driver()
    poison, good = d.send("poison"), d.send("good", to=3)
    ends(d, code, 2)
    assert not d.failed()
    ends(d, code, 1)
    assert d.failed() == {poison: "MESSAGE_SEND_FAILED"}
    d.forget().login_ours()
    assert d.chats() == ["good"]
    d.answer(good)
    assert d.accepted() == [good]


def test_another_end_in_between_starts_the_count_of_poison_afresh() -> None:
    d = Driver()
    d.send("innocent")
    ends(d, 1007, 2)
    ends(d, 1012, 1)
    ends(d, 1007, 2)
    assert not d.failed()


def test_another_oldest_message_starts_the_count_of_poison_afresh() -> None:
    d = Driver()
    first, _ = d.send("first"), d.send("second")
    ends(d, 1007, 2)
    d.login_ours().answer(first)
    d.close(1007)
    ends(d, 1007, 1)
    assert not d.failed()
    ends(d, 1007, 1)
    assert d.failed() == {2: "MESSAGE_SEND_FAILED"}


def test_1009_fails_the_largest_unanswered_message_at_once() -> None:
    d = Driver()
    d.send("small")
    largest = d.send("é" * 300, to=3)  # 600 bytes
    d.send("x" * 500, to=4)
    waiting = d.send("w" * 1000, to=4)
    d.login().close(1009)
    assert d.failed() == {largest: "MESSAGE_SEND_FAILED"}
    assert waiting in d.core.sending.outbox


def test_a_close_with_nothing_unanswered_blames_nobody() -> None:
    d = Driver()
    for code in (1009, 1007, 1007, 1007):
        d.login().close(code)
    ref = d.send("new")
    d.login().answer(ref)
    assert d.accepted() == [ref]


def test_deadlines_of_one_round_do_not_touch_a_transport_that_an_earlier_one_opened() -> None:
    """A laptop that slept over the end of a link: RECONNECT and CLOSE are due together."""
    d = Driver().login_ours().close(1012, gone=False)
    d.stall(60)
    assert d.core.connection == "opening" and d.core.reconnect == "attempting"
    assert d.core.next_deadline() is not None
    d.login_ours()
    assert d.status == "AUTHENTICATED"


def test_a_kick_that_no_close_followed_is_forgotten() -> None:
    d = Driver(sleep_watch=None, heartbeat={"interval": 1000}).login_ours()
    d.frame("KICK", reason="go", reconnect=False)
    d.pass_time(300)
    d.lose()
    assert d.status == "RECONNECTING"


def test_why_a_link_was_given_up_is_said() -> None:
    d = Driver().login_ours()
    d.answer(d.send("x"), 50000)
    assert "the server failed on a message" in str(d.error)
