"""What the journal keeps of the outbox, and what is told, or done, only when it is there.

A message is in the outbox, for the application, when its record is on disk; it is handed to a
transport when that is on disk. A failure is told when it is on disk: who hears of it may send the
message again, so a later process may not send it too. And only what was told is forgotten: if the
process ends in between, the next one tells. Without a journal all of that is at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from ..errors import IMError, IMErrorCode
from . import events as ev
from .effects import Effects
from .journal import Change, Identity, OutgoingGone, OutgoingRecord
from .journaling import Journaling
from .keys import Keys
from .made import message_queued
from .message import Outgoing


class Recording:
    """The outbox's side of the journal."""

    __slots__ = (
        "_device_id", "_fx", "_journaling", "_kept_id", "_keys", "_new", "_unsafe", "_untold",
        "highest_id",
    )  # fmt: skip

    def __init__(self, fx: Effects, journaling: Journaling, keys: Keys, device_id: str) -> None:
        self._fx = fx
        self._journaling = journaling
        self._keys = keys
        self._device_id = device_id
        #: no msgId up to this one is drawn again, whatever is forgotten
        self._kept_id = 0
        #: the highest msgId that was drawn
        self.highest_id = 0
        #: messages that the journal was told nothing of
        self._new: list[Outgoing] = []
        #: … and those whose first record is not on disk, with its ticket
        self._unsafe: deque[tuple[int, Outgoing]] | None = deque() if journaling.on else None
        #: failures that are not on disk, or that an earlier process may not have told
        self._untold: deque[tuple[int, OutgoingRecord]] | None = None

    @property
    def on(self) -> bool:
        """There is a journal."""
        return self._journaling.on

    @property
    def written(self) -> int:
        """What has no later ticket than this is on disk, and may be handed over."""
        return self._journaling.written

    @property
    def _wall_ms(self) -> int:
        return self._fx.wall_us // 1000

    # ------------------------------------------------------------ from an earlier process

    def restore(
        self, identity: Identity | None, outgoing: dict[int, OutgoingRecord]
    ) -> list[OutgoingRecord]:
        """Go on from there: ids that were drawn, messages that have an end. Returns what still
        counts, in the order of refs."""
        records = sorted(outgoing.values(), key=lambda record: record.ref)
        self._kept_id = identity.highest_msg_id if identity is not None else 0
        self.highest_id = max([self._kept_id, *(record.msg_id for record in records)])
        if identity is None or identity.device_id != self._device_id:
            self._note_identity()
        ended = [record for record in records if record.end is not None]
        for record in sorted(ended, key=lambda record: record.ended_at or 0):
            if record.key is None:
                self._to_tell(0, record)
            else:
                self._keys.keep(record)
        too_old = self.forget_old_keys()
        return [record for record in records if record not in too_old]

    def forget_old_keys(self) -> list[OutgoingRecord]:
        """Keys whose time is over: of which messages."""
        too_old = self._keys.forget_old(self._wall_ms)
        for record in too_old:
            self._note_gone(record.ref, record.msg_id)
        return too_old

    # ------------------------------------------------------------ on the way

    def added(self, message: Outgoing) -> None:
        """It is in the outbox."""
        if self._journaling.on:
            self._new.append(message)
        else:
            message.ticket = 0
            self._fx.notify(message_queued(message.ref, message.msg_id))

    def turns_have_come(self, messages: list[Outgoing], *, unsure: bool) -> None:
        """They are about to be handed to a transport, to a server that may take them twice
        (`unsure`) or not: whatever happens from here on, they may have been sent."""
        wall_ms, noted = self._wall_ms, self._journaling.on
        for message in messages:
            if message.handed_at is None:
                message.handed_at = wall_ms
                message.dirty = True
            if noted and (message.dirty or unsure):
                message.dirty = False
                self._note(message, unsure=unsure)

    def pump(self) -> None:
        """There is a journal: note what is new; tell what is on disk."""
        unsafe = self._unsafe
        assert unsafe is not None
        for message in self._new:
            if not message.ended:
                if message.ticket is None:
                    self._note(message)
                unsafe.append((message.ticket or 0, message))
        self._new.clear()
        written = self._journaling.written
        while unsafe and unsafe[0][0] <= written:
            _, message = unsafe.popleft()
            if not message.ended:
                self._fx.notify(message_queued(message.ref, message.msg_id))
        self._tell()

    def _to_tell(self, ticket: int, record: OutgoingRecord) -> None:
        if self._untold is None:
            self._untold = deque()
        self._untold.append((ticket, record))

    def _tell(self) -> None:
        untold = self._untold
        while untold and untold[0][0] <= self._journaling.written:
            _, record = untold.popleft()
            self._fx.notify(_failure(record))
            if record.key is None:
                self._note_gone(record.ref, record.msg_id)

    # ------------------------------------------------------------ the end

    def accepted(self, message: Outgoing, timestamp: int | None) -> None:
        """The server has it."""
        if message.key is None:
            self._note_gone(message.ref, message.msg_id)
        else:
            self._note_end(self._end_of(message, timestamp=timestamp))

    def failed(self, message: Outgoing, error: IMError) -> None:
        """It has its end otherwise; that is told when it is on disk."""
        record = self._end_of(
            message,
            error_code=str(error.code),
            error_text=error.text,
            server_code=error.server_code,
            server_text=error.server_text,
        )
        self._to_tell(self._note_end(record), record)
        if not self._journaling.on:
            self._tell()

    def _end_of(self, message: Outgoing, **how: Any) -> OutgoingRecord:
        end: Any = message.state  # the machine's final states are the journal's ends
        return replace(message.record(), end=end, ended_at=self._wall_ms, **how)

    def _note_end(self, record: OutgoingRecord) -> int:
        if record.key is not None:
            self._keys.keep(record)
            self.forget_old_keys()
        return self._journaling.note(record)

    def not_written(
        self, changes: list[Change], ticket: int
    ) -> tuple[list[Outgoing], list[Change]]:
        """The journal could not take these, up to that ticket: which messages never got into it,
        and what it has to take all the same."""
        lost = []
        while self._unsafe and self._unsafe[0][0] <= ticket:
            lost.append(self._unsafe.popleft()[1])
        refs = {message.ref for message in lost}
        rest = [
            change
            for change in changes
            if not (isinstance(change, OutgoingRecord) and change.end is None)
            or change.ref not in refs
        ]
        return [message for message in lost if not message.ended], rest

    def withdraw(self, message: Outgoing, ticket: int) -> None:
        """It never got into the journal: nothing noted later than this ticket may bring it back."""
        if (message.ticket or 0) > ticket:
            self._journaling.note(OutgoingGone(ref=message.ref))

    # ------------------------------------------------------------ small things

    def _note(self, message: Outgoing, *, unsure: bool = False) -> None:
        message.ticket = self._journaling.note(message.record(unsure=unsure))

    def _note_gone(self, ref: int, msg_id: int) -> int:
        """With the record its msgId is forgotten: the highest is kept in another way."""
        if not self._journaling.on:
            return 0
        if msg_id > self._kept_id:
            self._note_identity()
        return self._journaling.note(OutgoingGone(ref=ref))

    def _note_identity(self) -> None:
        self._kept_id = self.highest_id
        self._journaling.note(Identity(device_id=self._device_id, highest_msg_id=self.highest_id))


def _failure(record: OutgoingRecord) -> ev.MessageFailed:
    return ev.MessageFailed(
        ref=record.ref,
        msg_id=record.msg_id,
        to_user=record.to_user,
        content=record.content,
        error=IMError(
            IMErrorCode(record.error_code or IMErrorCode.UNKNOWN_ERROR),
            record.error_text or "",
            server_code=record.server_code,
            server_text=record.server_text,
        ),
    )
