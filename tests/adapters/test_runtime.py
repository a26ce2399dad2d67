"""What the clients share: callbacks, messages, the inbox, and the grammar of the log."""

from __future__ import annotations

import dataclasses
import logging
import typing
from typing import Any

import pytest

from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import LOGGER, NAMES, Callbacks, Inbox, Message, SentMessage, line, log, translate

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


def test_levels_and_a_log_that_is_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.DEBUG, logger="im_proto.client"):
        log(inp.TimePassed())
        log(ac.Notify(event=sample(ev.StateChanged)))
        log(ac.Notify(event=sample(ev.ErrorOccurred)))
    assert [r.levelname for r in caplog.records] == ["DEBUG", "INFO", "WARNING"]
    caplog.clear()
    with caplog.at_level(logging.ERROR, logger="im_proto.client"):

        class Untouchable:
            def __len__(self) -> int:
                raise AssertionError("a line was made for nobody")

        log(inp.BytesReceived(transport=1, data=Untouchable()))
    assert caplog.records == []
    assert LOGGER.name == "im_proto.client"


# ------------------------------------------------------------ callbacks


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_has_a_name_or_none(kind: type) -> None:
    sent = SentMessage(1, 2, "x")
    found = translate(sample(kind), sent)
    if kind is ev.MessageHandedOver:
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
        )
    )


def test_thirteen_names_and_notice() -> None:
    assert len(NAMES) == 14


def test_a_failed_message_is_told_with_the_message() -> None:
    sent = SentMessage(5, 2, "x")
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


def of(delivery: int, seq: int | None = None) -> Message:
    return Message(content=f"m{delivery}", seq=seq, delivery=delivery)


def test_the_inbox_keeps_the_order() -> None:
    inbox = Inbox()
    for n in (1, 2, 3):
        assert inbox.put(of(n)) is None
    assert inbox.next(0, plain_only=False) == of(1)
    assert inbox.next(1, plain_only=False) == of(2)
    assert inbox.handled(1) is True
    assert inbox.handled(1) is False
    offered = inbox.offer()
    assert [m.delivery for m in offered] == [2, 3]
    assert inbox.offer() == []
    assert inbox.next(0, plain_only=False) is None
    inbox.take_back(3, failed=False)
    inbox.put(of(4))
    inbox.take_back(2, failed=False)
    assert [m.delivery for m in inbox.offer()] == [2, 3, 4]
    inbox.take_back(2, failed=True)
    assert inbox.offer() == []
    assert inbox.next(0, plain_only=False) == of(2)
    inbox.forgive()
    assert [m.delivery for m in inbox.offer()] == [2]
    inbox.take_back(99, failed=True)  # handled meanwhile
    assert len(inbox) == 3


def test_the_inbox_is_bounded_only_where_nobody_else_bounds_it() -> None:
    inbox = Inbox(kept=2)
    for n in range(10, 20):
        assert inbox.put(of(n)) is None
        inbox.handled(n)
    for n in range(1, 6):
        assert inbox.put(of(n, seq=n)) is None
    assert inbox.put(of(6)) is None
    assert inbox.put(of(7)) is None
    dropped = inbox.put(of(8))
    assert dropped is not None
    assert dropped.delivery == 6
    assert len(inbox) == 7
    assert inbox.next(0, plain_only=True) == of(7)
    inbox.offer()
    assert inbox.put(of(9)) is not None or len(inbox) == 8  # a callback has the others
