"""Connecting: the way to a log-in, its deadlines, and the application's Connect and Disconnect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.client_kit import Driver, states
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.timers import Timer


def test_a_connection_is_transport_then_link_then_log_in() -> None:
    d = Driver(ws_url="wss://chat.example/ws").connect()
    assert d.of(act.OpenTransport) == [
        act.OpenTransport(transport=1, host="chat.example", port=443, secure=True)
    ]
    assert d.status == "CONNECTING"
    d.do(inp.TransportOpened(transport=1))
    assert d.of(act.StartLink) == [act.StartLink(transport=1)]
    d.do(inp.LinkOpened(transport=1))
    assert d.status == "CONNECTED"
    assert d.of(ev.Connected)
    assert d.said("AUTH_REQUEST")[0]["accessToken"] == "t0"
    d.login()
    assert d.status == "AUTHENTICATED"
    assert [type(e) for e in d.events() if not isinstance(e, ev.StateChanged)] == [
        ev.Connected,
        ev.Authenticated,
        ev.GuaranteeChanged,
    ]


@pytest.mark.parametrize("code", [0, 200])
def test_both_codes_of_success_log_in(code: int) -> None:
    d = Driver().link()
    d.frame("AUTH_RESPONSE", code=code)
    assert d.status == "AUTHENTICATED"


def test_the_connect_deadline_spans_transport_and_upgrade_whatever_trickles_in() -> None:
    d = Driver(timeouts={"connect": 10}).connect()
    d.pass_time(6)
    d.do(inp.TransportOpened(transport=1))
    for _ in range(3):
        d.pass_time(1)
        d.do(inp.ControlReceived(transport=1))
        d.do(inp.PartialChanged(transport=1, partial=True))
    assert d.core.connection == "handshaking"
    d.pass_time(1)
    assert d.core.connection == "disconnected"
    assert d.of(act.AbortTransport) == [act.AbortTransport(transport=1)]
    assert d.errors() == ["CONNECTION_TIMEOUT"]
    assert d.error is not None
    assert "handshaking" in d.error.text


def test_the_auth_timeout_runs_from_auth_request_and_a_ping_does_not_extend_it() -> None:
    d = Driver(timeouts={"auth": 10}).link()
    d.pass_time(9)
    d.do(inp.ControlReceived(transport=1))
    d.frame("CHAT_REDIRECT_TO_USER_REQUEST", content="early")
    assert d.core.login.state == "authenticating"
    d.pass_time(1)
    assert d.errors() == ["AUTH_TIMEOUT"]
    assert d.core.reconnect == "waiting"
    assert d.of(act.SendClose)


def test_a_transport_that_cannot_be_opened_says_where_and_why() -> None:
    d = Driver().connect()
    d.do(inp.TransportFailed(transport=1, kind=inp.TransportFailure.DNS, reason="no \x1b[31m such"))
    assert d.error is not None
    assert d.error.code == "CONNECTION_FAILED"
    assert "chat.example:80" in d.error.text
    assert "dns" in d.error.text
    assert "\x1b" not in d.error.text
    assert d.core.reconnect == "waiting"


def test_a_link_lost_before_the_upgrade_is_a_failed_attempt() -> None:
    d = Driver().connect()
    d.do(inp.TransportOpened(transport=1))
    d.lose()
    assert d.errors() == ["CONNECTION_FAILED"]
    assert d.core.state().attempts == 1


# ---------------------------------------------------------------- Disconnect and Connect anywhere

PLACES: dict[str, Callable[[Driver], object]] = {
    "at the beginning": lambda d: None,
    "fetching a token": lambda d: d.connect(),
    "opening": lambda d: d.connect().token(),
    "handshaking": lambda d: (d.connect().token(), d.do(inp.TransportOpened(transport=1))),
    "logging in": lambda d: d.link(),
    "logged in": lambda d: d.login(),
    "waiting for the next attempt": lambda d: d.login().lose(),
    "waiting while the old transport closes": lambda d: d.login().close(1000, gone=False),
    "exhausted": lambda d: d.link().lose().link().lose(),
    "halted": lambda d: d.login().close(4004),
    "refused": lambda d: d.login().close(4001),
    "refused, the old transport closing": lambda d: d.login().close(4001, gone=False),
    "leaving": lambda d: d.login().disconnect(),
    "left": lambda d: d.login().disconnect().lose(),
}


def _at(place: str) -> Driver:
    d = Driver(token=str, reconnect={"max_retries": 2})
    PLACES[place](d)
    return d


@pytest.mark.parametrize("place", PLACES)
def test_disconnect_ends_everything_from_any_state(place: str) -> None:
    d = _at(place)
    d.disconnect()
    assert d.status == "DISCONNECTED"
    assert d.core.reconnect == "idle"
    left = {timer for timer, _ in d.core.timers.all()}
    assert left <= {Timer.CLOSE}
    d.pass_time(1000)
    assert d.core.connection == "disconnected"
    assert d.core.next_deadline() is None


@pytest.mark.parametrize("place", PLACES)
def test_disconnect_twice_is_once(place: str) -> None:
    d = _at(place)
    d.disconnect()
    assert d.do(inp.Disconnect()) == []


@pytest.mark.parametrize("place", PLACES)
def test_connect_leads_to_a_log_in_from_any_state(place: str) -> None:
    d = _at(place)
    d.connect()
    assert d.core.reconnect in ("attempting", "established")
    if d.core.reconnect == "attempting":
        d.login()
    assert d.status == "AUTHENTICATED"
    assert d.send("works") in d._ids


@pytest.mark.parametrize("place", ["opening", "handshaking", "logging in", "logged in"])
def test_connect_while_connecting_or_connected_changes_nothing(place: str) -> None:
    d = _at(place)
    before = states(d.core), d.core.next_deadline()
    assert d.do(inp.Connect()) == []
    assert (states(d.core), d.core.next_deadline()) == before


def test_disconnect_of_an_open_link_closes_with_1000_and_waits_not_for_ever() -> None:
    d = Driver(timeouts={"close": 3}).login().forget().disconnect()
    assert d.of(act.SendClose) == [act.SendClose(transport=1, code=1000)]
    assert d.of(ev.Disconnected) == [ev.Disconnected()]
    d.pass_time(2.9)
    assert d.core.connection == "closing"
    d.pass_time(0.1)
    assert d.of(act.AbortTransport) == [act.AbortTransport(transport=1)]
    assert d.core.connection == "disconnected"


def test_the_peers_close_ends_the_leave_taking() -> None:
    d = Driver().login().disconnect().forget()
    d.close(1000, gone=False)
    assert d.of(act.CloseTransport) == [act.CloseTransport(transport=1)]
    d.lose()
    assert d.core.connection == "disconnected"
    assert d.core.next_deadline() is None


def test_connect_while_the_old_transport_closes_drops_it_for_a_new_one() -> None:
    d = Driver().login().disconnect().forget().connect()
    kinds = [type(a) for a in d.actions if not isinstance(a, act.Notify)]
    assert kinds == [act.AbortTransport, act.OpenTransport]
    d.login()
    assert d.transport == 2
    assert d.status == "AUTHENTICATED"
    # an application that left and came back was not "reconnected"
    assert not d.of(ev.Reconnected)


def test_what_is_queued_stays_queued_over_disconnect() -> None:
    d = Driver()
    ref = d.send("later")
    d.login().answer(ref)
    kept = d.send("unanswered")
    d.disconnect().lose().forget()
    d.login_ours()
    assert d.chats() == ["unanswered"]
    d.answer(kept)
    assert d.accepted() == [kept]
