"""The events of each message, made at half the price or less.

A class that takes keywords alone is called through a dictionary of them. Here an object is made and
its slots are set, in one call of Python; it is what the class makes, which a test holds.
"""

from __future__ import annotations

from typing import Final

from ..wire import UserId
from . import events as ev

_new: Final = object.__new__
_MessageReceived: Final = ev.MessageReceived
_MessageQueued: Final = ev.MessageQueued
_MessageHandedOver: Final = ev.MessageHandedOver
_MessageAccepted: Final = ev.MessageAccepted


def message_received(
    delivery: int,
    content: str,
    from_user: UserId | None,
    session_id: int | None,
    msg_id: int | None,
    message_type: str,
    timestamp: int | None,
    seq: int | None,
    redelivered: bool,
) -> ev.MessageReceived:
    """`events.MessageReceived`, offered for the first time."""
    made = _new(_MessageReceived)
    made.delivery = delivery
    made.content = content
    made.from_user = from_user
    made.session_id = session_id
    made.msg_id = msg_id
    made.message_type = message_type
    made.timestamp = timestamp
    made.seq = seq
    made.redelivered = redelivered
    made.attempt = 1
    return made


def message_queued(ref: int, msg_id: int) -> ev.MessageQueued:
    """`events.MessageQueued`."""
    made = _new(_MessageQueued)
    made.ref = ref
    made.msg_id = msg_id
    return made


def message_handed_over(ref: int, msg_id: int, sends: int) -> ev.MessageHandedOver:
    """`events.MessageHandedOver`."""
    made = _new(_MessageHandedOver)
    made.ref = ref
    made.msg_id = msg_id
    made.sends = sends
    return made


def message_accepted(
    ref: int,
    msg_id: int,
    to_user: UserId,
    content: str,
    session_id: int | None,
    timestamp: int | None,
    sends: int,
) -> ev.MessageAccepted:
    """`events.MessageAccepted`."""
    made = _new(_MessageAccepted)
    made.ref = ref
    made.msg_id = msg_id
    made.to_user = to_user
    made.content = content
    made.session_id = session_id
    made.timestamp = timestamp
    made.sends = sends
    return made
