"""What one `step` brings about: the list of actions in the making, and the clock it happens at."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ..wire import Dialect, Message
from ..wire.packing import pack
from . import actions as act
from .events import Event

_new: Final = object.__new__
_Notify: Final = act.Notify
_SendText: Final = act.SendText


class Trouble(StrEnum):
    """What a part can't settle by itself."""

    #: the peer may be gone: ask it
    PROBE = "probe"
    #: the server has forgotten, or no longer accepts, our log-in
    LOGIN_GONE = "login_gone"
    # The link is of no use any more: drop it and come back. The value says why.
    UNANSWERED = "the server stopped answering messages"
    SERVER_FAILED = "the server failed on a message"
    NO_REFRESH = "the server did not answer a new token"
    FLOOD = "the server sends far more than it may before it is acknowledged"
    HOLE = "the server left out messages, and did not bring them when asked"


@dataclass(slots=True)
class Counters:
    """What has happened so far, for reports."""

    #: links lost after a log-in and logged in again
    reconnects: int = 0
    #: log-ins that the server answered with "recovered"
    resumed: int = 0
    #: messages handed over a second or later time
    retransmitted: int = 0
    #: messages that came again and were not delivered again
    duplicates_suppressed: int = 0
    #: messages that the server has accepted
    accepted: int = 0
    #: messages delivered to the application
    received: int = 0


@dataclass(slots=True)
class Effects:
    """Collects actions. Messages are written at once and put into frames when they are due."""

    dialect: Dialect
    now: float
    #: wall clock minus `now`, in seconds
    wall_offset: float
    #: the server has granted `inline` on this link
    inline: bool = False
    counters: Counters = field(default_factory=Counters)
    actions: list[act.CoreAction] = field(default_factory=list)
    envelopes: list[str] = field(default_factory=list)

    @property
    def wall_us(self) -> int:
        """Microseconds since 1970."""
        return int((self.now + self.wall_offset) * 1_000_000)

    def do(self, action: act.CoreAction) -> None:
        """Append an action."""
        self.actions.append(action)

    def notify(self, event: Event) -> None:
        """Append an event for the application."""
        action = _new(_Notify)  # what `Notify(event=event)` makes, without a dictionary
        action.event = event
        self.actions.append(action)

    def say(self, *messages: Message) -> None:
        """Write messages; they go out with the next `flush`."""
        wall_ms = int((self.now + self.wall_offset) * 1_000_000) // 1000
        encode, inline = self.dialect.encode, self.inline
        for message in messages:
            self.envelopes.append(encode(message, wall_ms=wall_ms, inline=inline))

    def flush(self, transport: int, *, batch: int, frame_bytes: int) -> None:
        """Put what was said into as few frames as the peer allows, in order."""
        if not self.envelopes:
            return
        envelopes, self.envelopes = self.envelopes, []
        if len(envelopes) == 1:
            self._send(transport, envelopes[0])
            return
        for frame in pack(envelopes, batch=batch, frame_bytes=frame_bytes):
            self._send(transport, self.dialect.join(frame))

    def _send(self, transport: int, text: str) -> None:
        action = _new(_SendText)  # as in `notify`
        action.transport = transport
        action.text = text
        self.actions.append(action)

    def take(self) -> list[act.CoreAction]:
        """The finished list."""
        actions, self.actions = self.actions, []
        return actions
