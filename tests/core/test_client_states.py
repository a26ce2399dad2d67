"""What an engine answers at any time: stale ids, a caller's mistakes, state and explain()."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable

import pytest

from core.client_kit import Driver, states
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import LocalProtocolError


def snapshot(d: Driver) -> object:
    core = d.core
    return (
        states(core),
        core.state(),
        core.timers.all(),
        core.explain(),
        len(core.sending.outbox),
        core.sending.outbox.in_flight,
        core.sending.blocked,
        core.receiving.inbox.received,
        core.receiving.inbox.handled,
        copy.copy(core.counters),
        core.login.token,
        core.capabilities,
    )


def logged_in_a_second_time() -> Driver:
    d = Driver()
    d.send("in flight")
    d.send("waiting", to=3)
    d.login_ours().push(1).lose().login_ours(resume="recovered", seq=0)
    assert d.transport == 2
    return d


ON_A_TRANSPORT: dict[str, Callable[[int], inp.CoreInput]] = {
    "opened": lambda t: inp.TransportOpened(transport=t),
    "failed": lambda t: inp.TransportFailed(transport=t),
    "lost": lambda t: inp.TransportLost(transport=t),
    "blocked": lambda t: inp.WriteBlocked(transport=t),
    "ready": lambda t: inp.WriteReady(transport=t),
    "upgraded": lambda t: inp.LinkOpened(transport=t),
    "refused": lambda t: inp.LinkRefused(transport=t, status=403),
    "text": lambda t: inp.TextReceived(transport=t, text='{"type":"KICK","message":{}}'),
    "garbage": lambda t: inp.TextReceived(transport=t, text="["),
    "control": lambda t: inp.ControlReceived(transport=t),
    "partial": lambda t: inp.PartialChanged(transport=t, partial=True),
    "closed": lambda t: inp.PeerClosed(transport=t, code=4004),
    "violated": lambda t: inp.FramingViolated(transport=t, code=1002, reason="rsv"),
}


@pytest.mark.parametrize("transport", [0, 1, 3, -1])
@pytest.mark.parametrize("what", ON_A_TRANSPORT)
def test_what_another_transport_says_changes_nothing(what: str, transport: int) -> None:
    d = logged_in_a_second_time()
    before = snapshot(d)
    assert d.do(ON_A_TRANSPORT[what](transport)) == []
    assert snapshot(d) == before


@pytest.mark.parametrize("what", ON_A_TRANSPORT)
def test_what_the_transport_says_after_its_end_changes_nothing(what: str) -> None:
    d = logged_in_a_second_time().lose()
    before = snapshot(d)
    assert d.do(ON_A_TRANSPORT[what](2)) == []
    assert snapshot(d) == before


WRONG_TIME: dict[str, tuple[Callable[[Driver], object], str]] = {
    "opened twice": (lambda d: d.link(), "opened"),
    "failed although it was open": (lambda d: d.login_ours(), "failed"),
    "failed while closing": (lambda d: d.login().close(1000, gone=False), "failed"),
    "upgraded before it was opened": (lambda d: d.connect(), "upgraded"),
    "upgraded twice": (lambda d: d.login_ours(), "upgraded"),
    "refused before it was opened": (lambda d: d.connect(), "refused"),
    "refused after the upgrade": (lambda d: d.login_ours(), "refused"),
    "refused while closing": (lambda d: d.login().close(1000, gone=False), "refused"),
    "closed before it was opened": (lambda d: d.connect(), "closed"),
    "closed before the upgrade": (
        lambda d: d.connect().do(inp.TransportOpened(transport=1)),
        "closed",
    ),
}


@pytest.mark.parametrize("case", WRONG_TIME)
def test_an_adapters_mistake_raises_and_changes_nothing(case: str) -> None:
    d = Driver()
    prepare, what = WRONG_TIME[case]
    prepare(d)
    before = snapshot(d)
    with pytest.raises(LocalProtocolError):
        d.do(ON_A_TRANSPORT[what](1))
    assert snapshot(d) == before
    assert d.do(inp.TimePassed()) == []


def test_something_that_is_no_input_is_refused_by_name() -> None:
    d = Driver()
    with pytest.raises(LocalProtocolError, match="BytesReceived"):
        d.do(inp.BytesReceived(transport=0, data=b""))  # type: ignore[arg-type]


def test_messages_are_not_read_before_the_upgrade_or_while_closing() -> None:
    for d in (Driver().connect(), Driver().login().disconnect()):
        d.forget().push(1)
        assert d.actions == []


# ---------------------------------------------------------------- time


def test_a_clock_that_goes_back_stands_still() -> None:
    d = Driver().login()
    deadline = d.core.next_deadline()
    d.now -= 50
    assert d.do(inp.TimePassed()) == []
    d.send()
    assert d.core.next_deadline() == deadline - 20  # the ack timeout, from where the clock stood


def test_early_and_double_wake_ups_do_nothing() -> None:
    d = Driver().login()
    for _ in range(3):
        d.now += 1
        assert d.do(inp.TimePassed()) == []
        assert d.do(inp.TimePassed()) == []
    d.pass_time(27)
    assert d.probes() == 1
    assert d.do(inp.TimePassed()) == []


def test_asking_for_the_deadline_changes_nothing() -> None:
    d = Driver().login()
    before = pickle.dumps(d.core)
    for _ in range(3):
        d.core.next_deadline()
        d.core.state(d.now + 5)
        d.core.explain(d.now + 5)
        d.core.explain(d.now + 5, 1)
    assert pickle.dumps(d.core) == before


# ---------------------------------------------------------------- state and explain()


def test_state_changes_are_told_once_each_and_join_up() -> None:
    d = Driver().login().lose().login().disconnect()
    changes = d.of(ev.StateChanged)
    for one, two in itertools.pairwise(changes):
        assert one.current == two.previous
        assert (one.current.status, one.current.reason) != (two.current.status, two.current.reason)
    assert changes[-1].current.status == "DISCONNECTED"


EXPLAINED: dict[str, tuple[Callable[[Driver], object], list[str]]] = {
    "at the beginning": (lambda d: None, ["DISCONNECTED", "connect() was not called yet"]),
    "token": (lambda d: d.connect(), ["CONNECTING", "the token function's answer (30.0 s left)"]),
    "opening": (lambda d: d.connect().token(), ["the transport and the WebSocket upgrade (10.0 s"]),
    "logging in": (lambda d: d.link(), ["CONNECTED", "the answer to the log-in (10.0 s left)"]),
    "logged in": (lambda d: d.login(), ["AUTHENTICATED", "the next heartbeat (30.0 s left)"]),
    "in flight": (
        lambda d: (d.login(), d.send(), d.send()),
        ["2 messages to send, 1 of them in flight", "the answer to the oldest message (10.0 s"],
    ),
    "unhandled": (lambda d: d.login_ours().push(1), ["1 received messages are not handled"]),
    "hole": (lambda d: d.login_ours().push(1).push(3), ["the repair of a hole (10.0 s left)"]),
    "probed": (lambda d: d.login().pass_time(31), ["a sign of life (4.0 s left)"]),
    "partial": (
        lambda d: d.login().do(inp.PartialChanged(transport=1, partial=True)),
        ["the rest of a message (30.0 s left)"],
    ),
    "retry": (
        lambda d: d.login().answer(d.send(), 50000),
        ["the next try of a message (1.0 s left)"],
    ),
    "waiting": (
        lambda d: d.login().lose(),
        ["RECONNECTING", "reset by peer", "Attempt 1 starts in 1.0 s", "the next attempt (1.0 s"],
    ),
    "closing": (lambda d: d.login().disconnect(), ["by the application", "the peer's close (3.0"]),
    "exhausted": (
        lambda d: d.link().lose().link().lose(),
        ["gave up after 2 failed attempts", "2 of 2 attempts", "Only connect() goes on"],
    ),
    "halted": (lambda d: d.login().close(4004), ["logged in elsewhere", "Only connect() goes on"]),
    "refused": (lambda d: d.login().close(4001), ["Only a new token, or connect()"]),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_explain_says_the_state_and_what_is_waited_for(case: str) -> None:
    d = Driver(token=str, reconnect={"max_retries": 2})
    prepare, words = EXPLAINED[case]
    prepare(d)
    said = d.core.explain(d.now)
    for word in words:
        assert word in said
    for timer, _ in d.core.timers.all():
        assert timer.value in said
    assert "fresh" not in said  # the token


def test_explain_says_of_a_deadline_that_has_come_that_it_is_due() -> None:
    assert "the next heartbeat (due)" in Driver().login().core.explain(200.0)


def test_explain_says_why_a_message_is_pending() -> None:
    d = Driver()
    ref, behind = d.send("1"), d.send("2")

    def why(which: int) -> str:
        return d.core.explain(d.now, which)

    assert "waits, for a log-in (DISCONNECTED: connect() was not called yet)" in why(ref)
    d.login().pass_time(2)
    assert "in flight, handed over 2.0 s ago (sent once)" in why(ref)
    assert "waits, behind 1 others of its conversation" in why(behind)
    d.lose()
    assert "the link it went out on was lost (sent once), for a log-in (RECONNECTING" in why(ref)
    d.login()
    assert "(sent 2 times)" in why(ref)
    d.answer(ref, 50000)
    assert "s more, as the server failed on it" in why(ref)
    d.pass_time(2)
    d.do(inp.WriteBlocked(transport=d.transport))
    d.answer(ref)
    assert "for the transport, which takes no more for now" in why(behind)
    assert "not pending" in why(ref)
    assert "not pending" in why(4711)


def test_explain_says_that_the_window_is_full() -> None:
    d = Driver(in_flight=1).login_ours()
    d.send("1")
    assert "for a place among the messages in flight" in d.core.explain(d.now, d.send("2", to=3))


def test_the_error_stays_until_the_next_log_in() -> None:
    d = Driver().login().lose()
    assert d.error is not None
    assert d.error.code == "CONNECTION_LOST"
    d.link()
    assert d.error is not None
    d.login()
    assert d.error is None


def test_counters_count() -> None:
    d = Driver()
    ref = d.send()
    d.login_ours().push(1).push(1).lose().login_ours(resume="recovered", seq=0).answer(ref)
    c = d.core.counters
    assert (c.reconnects, c.resumed, c.retransmitted) == (1, 1, 1)
    assert (c.duplicates_suppressed, c.accepted, c.received) == (1, 1, 1)


def test_an_embedder_may_read_who_it_is() -> None:
    d = Driver(user_id="42")
    assert d.core.user_id == 42
    assert d.core.guarantee is None
    assert not d.of(act.OpenTransport)
