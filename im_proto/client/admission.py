"""Which messages get into the outbox: what no server takes, keys, bounds, and the line outside."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from .. import validation
from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..wire import UserId
from . import events as ev
from .effects import Effects
from .inputs import Send
from .journal import OutgoingRecord
from .keys import Keys
from .message import Outgoing
from .outgoing import Outbox
from .turns import PRIORITIES

#: The outbox is filling from this part of its bounds on, until it is below that one.
FILLING: Final = 0.8
DRAINED: Final = 0.5
#: The most characters of a key.
KEY_LENGTH: Final = 256
#: The longest time to live, in seconds.
MAX_TTL: Final = 1e9


class Admission:
    """The door of the outbox.

    Attributes:
        content_units: the most UTF-16 units of a message that the server takes.
        line: by ref, messages that wait for room. They have no msgId yet.
    """

    __slots__ = (
        "_config", "_drained_below", "_filling", "_filling_from", "_fx", "_keys", "_most",
        "_most_bytes", "_outbox", "_time_to_live", "content_units", "line",
    )  # fmt: skip

    def __init__(self, config: ClientConfig, fx: Effects, outbox: Outbox, keys: Keys) -> None:
        self._config = config
        self._fx = fx
        self._outbox = outbox
        self._keys = keys
        self._filling = False
        self._time_to_live = config.time_to_live
        self._most, self._most_bytes = most, most_bytes = config.max_queue, config.max_queue_bytes
        self._filling_from = (FILLING * most, FILLING * most_bytes)
        self._drained_below = (DRAINED * most, DRAINED * most_bytes)
        self.content_units = config.content_units
        self.line: OrderedDict[int, Outgoing] = OrderedDict()

    # ------------------------------------------------------------ what is wanted

    def look_at(self, send: Send) -> Outgoing | None:
        """The message that is to be sent; None: it has been taken before, under its key.

        Raises:
            IMError: MESSAGE_FORMAT_ERROR for what no server takes, and for what makes no sense.
            LocalProtocolError: the ref is in use, or the key for another message.
        """
        ref = send.ref
        if ref in self._outbox.by_ref or ref in self.line or self._keys.ended(ref):
            raise LocalProtocolError(f"Send: ref {ref} is in use")
        try:
            to_user = self._validate(send)
        except ValueError as error:
            raise IMError(IMErrorCode.MESSAGE_FORMAT_ERROR, str(error)) from None
        if send.key is not None and self._known(send, to_user, send.key):
            return None
        ttl = self._time_to_live if send.ttl is None else send.ttl
        if ttl is None:
            return Outgoing(send, to_user, None)
        return Outgoing(send, to_user, self._fx.wall_us // 1000 + math.ceil(ttl * 1000))

    def _validate(self, send: Send) -> UserId:
        to_user = validation.user_id(send.to_user)
        if send.message_type != "text":  # as nearly all are
            validation.message_type(send.message_type)
        if send.priority not in PRIORITIES:
            raise ValueError(f"priority is one of {', '.join(PRIORITIES)}")
        if send.session_id is not None:
            validation.session_id(send.session_id)
        if send.key is not None:
            _check_key(send.key)
        if send.ttl is not None:
            _check_ttl(send.ttl)
        validation.content(send.content, self.content_units)
        return to_user

    def _known(self, send: Send, to_user: UserId, key: str) -> bool:
        ref = self._keys.ref_of(key, self._fx.wall_us // 1000)
        if ref is None:
            return False
        known: Outgoing | OutgoingRecord | None = (
            self._outbox.get(ref) or self.line.get(ref) or self._keys.ended(ref)
        )
        assert known is not None
        if (known.to_user, known.content, known.message_type) != (
            to_user,
            send.content,
            send.message_type,
        ):
            raise LocalProtocolError(
                f"Send: the key of message {ref} is used for another recipient or content"
            )
        return True

    # ------------------------------------------------------------ room

    def make_room(self, message: Outgoing) -> list[Outgoing] | None:
        """What has to go so that the message gets in now; None: it can't.

        Raises:
            IMError: QUEUE_FULL: it never can.
        """
        outbox, most = self._outbox, self._most_bytes
        room = outbox.bytes + message.size <= most and len(outbox.by_ref) < self._most
        if room and not self.line:
            return []
        if message.size > most:
            raise IMError(
                IMErrorCode.QUEUE_FULL,
                f"the message alone has more bytes than may wait ({most}, max_queue_bytes)",
                retryable=False,
            )
        if self.line:
            return None
        count, size = self._excess(message)
        dropped = []
        for candidate in self._may_be_dropped(message):
            if count <= 0 and size <= 0:
                break
            dropped.append(candidate)
            count -= 1
            size -= candidate.size
        return dropped if count <= 0 and size <= 0 else None

    def tight(self, send: Any) -> bool:
        """May it be that the message of this Send does not get in as things are?"""
        outbox = self._outbox
        content: object = send.content  # not looked at yet
        most = 4 * len(content) if isinstance(content, str) else 0
        return (
            outbox.bytes + most > self._most_bytes
            or len(outbox.by_ref) >= self._most
            or bool(self.line)
        )

    def full(self) -> IMError:
        """Why a message does not get in."""
        return IMError(
            IMErrorCode.QUEUE_FULL,
            f"{len(self._outbox)} messages wait already (max_queue), {self._outbox.bytes} bytes "
            "(max_queue_bytes); wait for some to end",
        )

    def wait(self, message: Outgoing) -> None:
        """It stands in line until there is room."""
        self.line[message.ref] = message

    def next_in_line(self) -> Outgoing | None:
        """The first of the line, if there is room for it now: it leaves the line."""
        message = next(iter(self.line.values()), None)
        if message is None or max(self._excess(message)) > 0:
            return None
        return self.line.pop(message.ref)

    def _excess(self, message: Outgoing) -> tuple[int, int]:
        """How many messages, and how many bytes, are too much with this one."""
        outbox = self._outbox
        return len(outbox) + 1 - self._most, outbox.bytes + message.size - self._most_bytes

    def _may_be_dropped(self, message: Outgoing) -> Iterator[Outgoing]:
        """What may be dropped for it, in that order: nothing that hurries more, if that counts."""
        policy, outbox = self._config.when_queue_full, self._outbox
        if policy == "drop_oldest":
            rings = [outbox.untouched([name]) for name in PRIORITIES]
            return heapq.merge(*rings, key=lambda candidate: candidate.place)
        if policy == "drop_lowest_priority":
            not_above = PRIORITIES[PRIORITIES.index(message.priority) :]
            return outbox.untouched(reversed(not_above))
        return iter(())

    # ------------------------------------------------------------ what is told

    def tell(self) -> None:
        """Tell when the outbox gets full, and when it is so no more."""
        messages, size = len(self._outbox.by_ref), self._outbox.bytes
        if self._filling:
            most, most_bytes = self._drained_below
            if messages < most and size < most_bytes:
                self._filling = False
                self._fx.notify(ev.OutboxDrained(messages=messages, bytes=size))
            return
        most, most_bytes = self._filling_from
        if messages >= most or size >= most_bytes:
            self._filling = True
            self._fx.notify(ev.OutboxFilling(messages=messages, bytes=size))


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= KEY_LENGTH or not key.isprintable():
        raise ValueError(f"key has 1 to {KEY_LENGTH} printable characters")


def _check_ttl(ttl: object) -> None:
    if type(ttl) not in (int, float) or not 0 < ttl <= MAX_TTL:  # type: ignore[operator]
        raise ValueError(f"ttl is a number of seconds, above 0 and up to {MAX_TTL:g}")
