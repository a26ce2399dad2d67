"""What the clients share: the log's grammar, callbacks, messages, the inbox, connect()'s books."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import socket
import typing
import unittest.mock
from typing import Any

import pytest

import im_asyncio.sessions
import im_threads.sessions
from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import OutgoingRecord
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire.session import HistoryPage
from im_runtime import (
    NAMES,
    Callbacks,
    Desk,
    Inbox,
    Log,
    Login,
    Message,
    Pending,
    Phase,
    SentMessage,
    Standing,
    Supply,
    in_turn,
    known_address,
    line,
    lookup_flags,
    qualified,
    translate,
)

SECRET = "s3cret"

EVENTS = typing.get_args(ev.Event)
INPUTS = typing.get_args(inp.Input)
ACTIONS = typing.get_args(ac.Action)

STATE = ev.ConnectionState(status=ev.Status.RECONNECTING, reason="lost", retry_in=0.5)
VALUES: dict[str, Any] = {
    "error": IMError(IMErrorCode.SERVER_ERROR, "no", server_code=7, server_text=SECRET),
    "previous": STATE,
    "current": STATE,
    "content": SECRET,
    "token": SECRET,
    "ws_url": f"ws://h/?token={SECRET}",
    "data": SECRET.encode(),
    "guarantee": ev.Guarantee.EXACTLY_ONCE,
    "capabilities": frozenset({"seq"}),
    "event": ev.Connected(),
    "kind": "dns",
    "rtt": 0.25,
    "delay": 1.5,
    "wall": 1.5,
    "resumed": True,
    "secure": True,
    "host": "example",
    "reason": "a reason",
    "username": "bravo",
    "message_type": "text",
    "unix_path": None,
    "headers": (("Authorization", SECRET),),
    "url": f"http://h/?token={SECRET}",
    "proxy": f"http://u:{SECRET}@h",
    "body": SECRET.encode(),
    "sessions": (),
    "changes": (OutgoingRecord(ref=1, msg_id=1, to_user=2, content=SECRET, message_type="text"),),
    "msg_ids": (5,),
    "status": "read",
    "page": HistoryPage(records=(), has_next=False),
}


def sample(kind: type) -> Any:
    """An object of that class, with a secret wherever one may be."""
    return kind(**{f.name: VALUES.get(f.name, 5) for f in dataclasses.fields(kind)})


# ------------------------------------------------------------ log


@pytest.mark.parametrize("kind", [*INPUTS, *ACTIONS, *EVENTS])
def test_each_line_has_its_sign_and_no_secret(kind: type) -> None:
    item = sample(kind)
    text = line(ac.Notify(event=item) if kind in EVENTS else item)
    assert text[:2] in ("< ", "> ", "= ", "% ", "! ")
    assert SECRET not in text
    assert "\n" not in text
    if "error" in {f.name for f in dataclasses.fields(kind)}:
        assert "SERVER_ERROR" in text
        assert "7" in text


def test_the_grammar() -> None:
    assert line(inp.BytesReceived(transport=1, data=b"123")) == "< #1 3 bytes"
    assert line(ac.SendBytes(transport=1, data=b"123")) == "> #1 3 bytes"
    assert line(inp.TimePassed()) == "% timer"
    assert line(ac.Notify(event=sample(ev.StateChanged))) == (
        "= RECONNECTING -> RECONNECTING: lost, next attempt in 0.500 s"
    )
    failed = inp.TransportFailed(transport=2, kind=inp.TransportFailure.DNS, reason="gaierror")
    assert line(failed) == "! #2 could not be opened (dns): gaierror"


def test_where_a_transport_is_opened() -> None:
    wanted: dict[str, Any] = {"transport": 1, "host": "h", "port": 5, "secure": True}
    assert line(ac.OpenTransport(**wanted)) == "> #1 open h:5 with TLS"
    wanted["unix_path"] = "/run/im\n! forged"
    assert line(ac.OpenTransport(**wanted)) == "> #1 open '/run/im\\n! forged' with TLS"


@pytest.mark.parametrize("kind", [*INPUTS, *ACTIONS, *EVENTS])
def test_with_content_there_is_that_of_messages_and_nothing_else(kind: type) -> None:
    item = sample(kind)
    text = line(ac.Notify(event=item) if kind in EVENTS else item, content=True)
    assert (SECRET in text) == (kind in (inp.Send, ev.MessageReceived))


def test_content_is_clipped_and_can_forge_no_line() -> None:
    text = line(
        inp.Send(ref=1, to_user=2, content="a\r\n! b\u2028\u202e\x1b[2J\ud800"), content=True
    )
    assert text == r"< send message 1 to 2: 'a\r\n! b\u2028\u202e\x1b[2J\ud800'"
    assert len(line(inp.Send(ref=1, to_user=2, content="x" * 100_000), content=True)) < 300
    assert line(inp.Send(ref=1, to_user=2, content="x" * 201), content=True).endswith("x'…")
    assert line(inp.Send(ref=1, to_user=2, content="x" * 200), content=True).endswith("x'")


@pytest.mark.parametrize("name", ["im_asyncio", "im_threads"])
def test_levels_and_a_log_that_is_off(name: str, caplog: pytest.LogCaptureFixture) -> None:
    log = Log(name)
    with caplog.at_level(logging.DEBUG, logger=name):
        log.item(inp.TimePassed())
        log.item(ac.Notify(event=sample(ev.StateChanged)))
        log.item(ac.Notify(event=sample(ev.ErrorOccurred)))
    assert [r.levelname for r in caplog.records] == ["DEBUG", "INFO", "WARNING"]
    assert {r.name for r in caplog.records} == {name}
    caplog.clear()
    with caplog.at_level(logging.ERROR, logger=name):

        class Untouchable:
            def __len__(self) -> int:
                raise AssertionError("a line was made for nobody")

        log.item(inp.BytesReceived(transport=1, data=Untouchable()))
    assert caplog.records == []


# ------------------------------------------------------------ the two clients


@pytest.mark.parametrize(
    "name", ["get_session", "add_session", "get_or_create_session", "get_current_sessions"]
)
def test_both_clients_say_the_same_of_sessions(name: str) -> None:
    """One awaits and the other doesn't, so each has its own; their texts are one."""
    one, other = (getattr(kind.IMClient, name) for kind in (im_asyncio, im_threads))
    assert inspect.getdoc(one) == inspect.getdoc(other) != ""
    assert inspect.signature(one) == inspect.signature(other)
    assert im_asyncio.sessions.SessionMethods.__doc__ == im_threads.sessions.SessionMethods.__doc__


# ------------------------------------------------------------ callbacks


FOR_WHOEVER_ASKED = (
    ev.MessageQueued,
    ev.MessageHandedOver,
    ev.SessionFetched,
    ev.HistoryFetched,
    ev.SessionFailed,
)


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_has_a_name_or_none(kind: type) -> None:
    sent = SentMessage(1, 2, "x", cancel=lambda _: True)
    found = translate(sample(kind), sent)
    if kind in FOR_WHOEVER_ASKED:
        assert found is None
        return
    assert found is not None
    name, args = found
    assert name in NAMES
    signature = NAMES[name].split(":")[0]
    assert len(args) == (0 if signature == "()" else 1)
    assert (name == "notice") == (
        kind.__name__
        in (
            "ExtensionsRefused",
            "MessagesMayBeMissing",
            "GuaranteeChanged",
            "ProtocolViolation",
            "UnknownMessage",
            "DuplicateSuppressed",
            "ReadingPaused",
            "ReadingResumed",
            "MessageDropped",
            "ReadRefused",
            "OutboxFilling",
            "OutboxDrained",
            "TokenRefreshed",
        )
    )


def test_a_failed_message_is_told_with_the_message() -> None:
    sent = SentMessage(5, 2, "x", cancel=lambda _: True)
    event = sample(ev.MessageFailed)
    sent.apply(event)
    found = translate(event, sent)
    assert found is not None
    assert found[1][0].sent is sent
    assert found[1][0].server_code == 7
    without = translate(event)
    assert without is not None
    assert without[1] == (event.error,)


def test_set_replaces_and_on_adds() -> None:
    calls = Callbacks()
    calls.on("error", a := object.__repr__)
    calls.set(error=(b := object.__str__))
    calls.set({"error": (c := object.__hash__)})
    assert calls.take("error") == [a, c]
    calls.set(error=None)
    assert calls.take("error") == [a]
    calls.off("error", b)
    calls.off("error")
    assert "error" not in calls
    calls.on("error", a, once=True)
    assert calls.take("error") == [a]
    assert calls.take("error") == []


def test_all_or_nothing() -> None:
    calls = Callbacks()
    with pytest.raises(LocalProtocolError, match="error"):
        calls.set(connected=print, error=3)
    assert "connected" not in calls


# ------------------------------------------------------------ messages


def test_a_message() -> None:
    message = Message.of(sample(ev.MessageReceived))
    assert (message.content, message.seq, message.delivery) == (SECRET, 5, 5)
    assert "delivery" not in repr(message)
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.content = "x"
    assert not hasattr(message, "__dict__")


@pytest.mark.parametrize("kind", [Message, im_asyncio.Message, im_threads.Message])
def test_the_message_of_an_event_is_what_its_class_makes(kind: type[Message]) -> None:
    event = sample(ev.MessageReceived)
    desk = Desk(unittest.mock.Mock(), unittest.mock.Mock(), lambda: 3)
    made = kind.of(event, desk)
    fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
    wanted = kind(**fields, resets=3, _desk=desk)
    assert type(made) is kind
    for field in dataclasses.fields(kind):
        assert getattr(made, field.name) == getattr(wanted, field.name), field.name
    assert (made, hash(made), repr(made)) == (wanted, hash(wanted), repr(wanted))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.content = "x"  # type: ignore[misc]
    given_up = sample(ev.MessageUndeliverable)
    assert kind.of(given_up).attempt == given_up.attempts


def of(delivery: int, seq: int | None = None) -> Message:
    return Message(content=f"m{delivery}", seq=seq, delivery=delivery)


def test_the_inbox_keeps_the_order() -> None:
    inbox = Inbox()
    one, two, three = (of(n) for n in (1, 2, 3))
    for message in (one, two, three):
        inbox.put(message)
    assert inbox.take(plain_only=False) is one
    assert inbox.take(plain_only=False) is two
    assert inbox.remove(1) is True
    assert inbox.remove(1) is False
    assert inbox.offer() == [three]
    assert inbox.take(plain_only=False) is None
    inbox.release()
    assert inbox.offer() == [two]  # the other is offered already
    inbox.take_back(three)
    inbox.put(of(4))
    inbox.take_back(two)
    assert [m.delivery for m in inbox.offer()] == [2, 3, 4]
    inbox.take_back(of(99))  # handled meanwhile
    assert len(inbox) == 3


def test_what_has_failed_rests_until_the_engine_offers_it_again() -> None:
    inbox = Inbox()
    one, two = of(1), of(2)
    inbox.put(one)
    inbox.put(two)
    assert inbox.take(plain_only=False) is one
    assert inbox.fail(one) is True
    assert inbox.fail(one) is False
    assert not inbox.has(one)
    inbox.release()
    inbox.take_back(one)
    assert inbox.take(plain_only=False) is two
    again = Message(content="m1", delivery=1, attempt=2)
    inbox.put(again)
    assert not inbox.has(one)
    inbox.put(of(3))
    assert inbox.take(plain_only=False) is again  # in its old place
    assert len(inbox) == 3


def test_without_a_link_only_what_the_server_would_not_send_again() -> None:
    inbox = Inbox()
    inbox.put(of(1, seq=1))
    inbox.put(of(2))
    assert inbox.take(plain_only=True) == of(2)
    assert inbox.take(plain_only=True) is None
    assert inbox.take(plain_only=False) == of(1, seq=1)


def test_what_the_engine_drops_is_offered_to_nobody() -> None:
    inbox = Inbox()
    inbox.put(of(1))
    inbox.put(two := of(2))
    assert inbox.remove(1)
    assert inbox.offer() == [two]
    assert inbox.remove(2)
    inbox.take_back(two)
    assert inbox.offer() == []


# ------------------------------------------------------------ messages on their way out


class FakeOutbox:
    """What an engine knows of keys and of earlier lives."""

    def __init__(self, *left: OutgoingRecord) -> None:
        self.left = left
        self.refs = {record.key: record.ref for record in left if record.key is not None}

    def restored(self) -> list[OutgoingRecord]:
        return list(self.left)

    def ref_of_key(self, key: str) -> int | None:
        return self.refs.get(key)

    def step(self, item: inp.Input) -> None:
        assert isinstance(item, inp.Send)
        if item.key is not None:
            self.refs.setdefault(item.key, item.ref)


def record(ref: int, **more: Any) -> OutgoingRecord:
    fields = {"msg_id": 100 + ref, "to_user": 2, "content": f"m{ref}", "message_type": "text"}
    return OutgoingRecord(ref=ref, **(fields | more))


def pending_of(outbox: FakeOutbox) -> Pending[SentMessage]:
    def restore(kept: OutgoingRecord) -> SentMessage:
        sent = SentMessage(kept.ref, kept.to_user, kept.content, key=kept.key, cancel=bool)
        return sent.restore(kept)

    return Pending(outbox, restore)


def test_what_an_earlier_life_has_left() -> None:
    failed = {"end": "rejected", "error_code": "SERVER_ERROR", "error_text": "no"}
    outbox = FakeOutbox(
        record(3),
        record(5, handed_at=1, unsure_sends=2),
        record(7, **failed, server_code=7),  # nobody was told
        record(9, key="k", end="accepted", timestamp=4),
        record(11, key="l", end="expired", error_code="ODD", error_text="late"),
    )
    pending = pending_of(outbox)
    assert [(s.ref, s.status, s.msg_id, s.sends) for s in pending.all()] == [
        (3, "queued", None, 0),
        (5, "in_flight", 105, 2),
    ]
    error = IMError(IMErrorCode.SERVER_ERROR, "no", server_code=7)
    told = ev.MessageFailed(ref=7, msg_id=107, to_user=2, content="m7", error=error)
    sent = pending.apply(told)
    assert sent is not None
    assert sent.error is not None
    assert sent.error.server_code == 7
    assert pending.apply(told) is None

    def make(key: str) -> SentMessage:
        return pending.queue(SentMessage(pending.new_ref(), 2, "x", key=key), outbox.step)

    accepted = make("k")
    assert (accepted.ref, accepted.status, accepted.timestamp) == (9, "accepted", 4)
    assert make("k") is accepted
    late = make("l")
    assert late.error is not None
    assert (late.error.code, late.error.text) == ("UNKNOWN_ERROR", "late")
    assert make("new").ref > 11  # no ref is used twice
    assert len(pending.all()) == 3


def test_keys_that_the_engine_has_forgotten_are_forgotten() -> None:
    outbox = FakeOutbox()
    pending = pending_of(outbox)
    for n in range(5000):
        ref = pending.new_ref()
        sent = pending.queue(SentMessage(ref, 2, "x", key=f"k{ref}"), outbox.step)
        ended = ev.MessageAccepted(
            ref=sent.ref, msg_id=n, to_user=2, content="", session_id=None, timestamp=1, sends=1
        )
        pending.apply(ended)
        outbox.refs = {f"k{sent.ref}": sent.ref}  # it remembers only the last
    assert len(pending) == 0
    assert len(pending._keyed) <= 1025
    assert len(pending._numbered) <= 1025


def test_a_receipt_reaches_the_message_of_that_recipient() -> None:
    outbox = FakeOutbox(record(1, handed_at=1))
    pending = pending_of(outbox)
    (sent,) = pending.all()
    receipt = ev.ReceiptReceived(
        msg_ids=(5, 101), user=3, status="read", session_id=None, timestamp=8
    )
    pending.receipt(receipt)
    assert sent.read_at is None  # another device of ours has drawn that number
    pending.receipt(dataclasses.replace(receipt, user=2))
    assert (sent.delivered_at, sent.read_at) == (8, 8)
    pending.receipt(dataclasses.replace(receipt, user=2, status="delivered", timestamp=9))
    assert (sent.delivered_at, sent.read_at) == (8, 8)


# ------------------------------------------------------------ connect() and what follows


class Waiter:
    """Somebody in connect()."""

    def __init__(self, standing: Standing, *, retry: bool = False) -> None:
        self.woken = 0
        self.login = Login(retry=retry, wake=self.wake)
        standing.logins.add(self.login)

    def wake(self) -> None:
        self.woken += 1


def trouble(*, terminal: bool = False) -> IMError:
    return IMError(IMErrorCode.CONNECTION_FAILED, "no", terminal=terminal)


def test_who_waits_hears_of_the_first_end_once() -> None:
    standing = Standing(changed=lambda: None)
    waiter = Waiter(standing)
    standing.logged_in()
    standing.trouble(trouble(), another_way=False)
    assert (waiter.woken, waiter.login.ended, waiter.login.error) == (1, True, None)


def test_a_failure_ends_only_a_connect_that_does_not_retry() -> None:
    standing = Standing(changed=lambda: None)
    once, patient = Waiter(standing), Waiter(standing, retry=True)
    standing.trouble(trouble(), another_way=True)
    assert not once.login.ended
    standing.trouble(error := trouble(), another_way=False)
    assert once.login.error is error
    assert not patient.login.ended
    standing.trouble(last := trouble(terminal=True), another_way=True)
    assert patient.login.error is last


def test_what_may_still_come() -> None:
    changes: list[Any] = []
    standing = Standing(changed=lambda: changes.append(standing.supply()))
    assert standing.supply() is Supply.FLOWING
    assert not standing.in_use
    standing.phase = Phase.OPEN
    assert standing.in_use
    standing.trouble(error := trouble(terminal=True), another_way=False)
    assert changes == [error]
    standing.trying()
    assert standing.supply() is Supply.FLOWING
    standing.phase = Phase.CLOSING
    waiter = Waiter(standing)
    standing.turn_away()
    assert changes[1:] == [Supply.DRY]
    assert waiter.login.error is not None
    assert standing.in_use


# ------------------------------------------------------------ addresses, names


def test_addresses_take_turns() -> None:
    six = [(socket.AF_INET6, 1, 6, "", (name, 1)) for name in ("a1", "a2", "a3")]
    four = [(socket.AF_INET, 1, 6, "", (name, 1)) for name in ("b1", "b2")]
    assert [a[4][0] for a in in_turn([*six, *four])] == ["a1", "b1", "a2", "b2", "a3"]
    assert [a[4][0] for a in in_turn([*four, *six])] == ["b1", "a1", "b2", "a2", "a3"]
    with pytest.raises(socket.gaierror):
        in_turn([])


def test_what_is_an_address_is_not_looked_up() -> None:
    known = known_address("127.0.0.1", 80)
    assert known is not None
    assert known[4] == ("127.0.0.1", 80)
    assert known_address("::1", 80) is None  # needs a scope, which getaddrinfo finds
    assert known_address("localhost", 80) is None
    assert lookup_flags("::1") == socket.AI_NUMERICHOST
    assert lookup_flags("localhost") == 0


def test_what_a_log_calls_a_function() -> None:
    class Object:
        def __call__(self) -> None: ...

        def method(self) -> None: ...

    here = f"{__name__}.test_what_a_log_calls_a_function.<locals>"
    assert qualified(functools.partial(Object().method)) == f"{here}.Object.method"
    assert qualified(Object()) == f"{here}.Object"
    assert qualified(lambda: None) == f"{here}.<lambda>"
    assert qualified(print) == "builtins.print"
    assert qualified(unittest.mock.Mock()) == "unittest.mock.Mock"
