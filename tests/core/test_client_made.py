"""What is made without its class being called is what the class makes."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields
from typing import Any

import pytest

from core.test_framing_kit import TEXT, frame, open_client
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client import made
from im_proto.client.effects import Effects
from im_proto.client.engine import ClientEngine
from im_proto.framing import TextFrame
from im_proto.wire import ChatSendToOne, Invocation

EVENT = ev.HeartbeatSent()
RECEIVED: dict[str, Any] = {
    "delivery": 1,
    "content": "c",
    "from_user": "bravo",
    "session_id": 2,
    "msg_id": 3,
    "message_type": "image",
    "timestamp": 4,
    "seq": 5,
    "redelivered": True,
}
ACCEPTED: dict[str, Any] = {
    "ref": 1,
    "msg_id": 2,
    "to_user": "bravo",
    "content": "c",
    "session_id": 3,
    "timestamp": 4,
    "sends": 5,
}


def _effects() -> Effects:
    return Effects(dialect=Invocation(), now=0.0, wall_offset=0.0)


def _notified() -> Any:
    fx = _effects()
    fx.notify(EVENT)
    return fx.take()[0]


def _flushed() -> Any:
    fx = _effects()
    fx.envelopes.append("{}")
    fx.flush(7, batch=1, frame_bytes=1024)
    return fx.take()[0]


def _written() -> Any:
    done: list[act.Action] = []
    ClientEngine._write(done, 7, b"bytes")
    return done[0]


def _text_frame() -> Any:
    return open_client().receive(frame(TEXT, b"text", mask=None), 0.0)[0]


CASES: dict[str, tuple[Any, Any]] = {
    "MessageReceived": (
        made.message_received(*RECEIVED.values()),
        ev.MessageReceived(**RECEIVED),
    ),
    "MessageQueued": (made.message_queued(1, 2), ev.MessageQueued(ref=1, msg_id=2)),
    "MessageHandedOver": (
        made.message_handed_over(1, 2, 3),
        ev.MessageHandedOver(ref=1, msg_id=2, sends=3),
    ),
    "MessageAccepted": (made.message_accepted(*ACCEPTED.values()), ev.MessageAccepted(**ACCEPTED)),
    "Notify": (_notified(), act.Notify(event=EVENT)),
    "SendText": (_flushed(), act.SendText(transport=7, text="{}")),
    "SendBytes": (_written(), act.SendBytes(transport=7, data=b"bytes")),
    "TextFrame": (_text_frame(), TextFrame(text="text")),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_class_makes(name: str) -> None:
    one, other = CASES[name]
    assert type(one) is type(other) and type(one).__name__ == name
    for field in fields(other):  # one that was forgotten has no value at all
        assert getattr(one, field.name) == getattr(other, field.name), field.name
    assert one == other and hash(one) == hash(other) and repr(one) == repr(other)
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == other


def test_the_core_hears_of_a_text_what_its_class_says() -> None:
    heard: list[Any] = []
    engine: Any = ClientEngine.__new__(ClientEngine)
    engine.core = type("Core", (), {"step": lambda self, event, now: heard.append(event) or []})()
    engine._on_frame(TextFrame(text="text"), 7, 0.0)
    assert heard == [inp.TextReceived(transport=7, text="text")]


def test_a_whole_message_is_what_trusted_makes() -> None:
    values: dict[str, Any] = {
        "msg_id": 1,
        "to_user": 2,
        "content": "c",
        "session_id": None,
        "message_type": "text",
    }
    assert list(values) == list(ChatSendToOne.model_fields)
    one, other = ChatSendToOne.whole(values), ChatSendToOne.trusted(**values)
    assert one == other and repr(one) == repr(other)
    assert one.model_fields_set == other.model_fields_set
    assert (one.model_extra, one.__pydantic_private__) == (None, None)
    changed = one.model_copy(update={"content": "d"})
    assert (changed.content, one.content) == ("d", "c")
    assert ChatSendToOne.whole(dict(values)).model_fields_set == set(values)
