"""Asking the server what became of messages that may have arrived (protocol.md section 2,
`status`). Its answer after a log-in is final.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from ..timers import Timers
from ..wire import MessageStatusRequest, MessageStatusResponse, StatusItem, UserId
from ..wire.extensions import MAX_IDS
from .effects import Effects, Trouble
from .message import Outgoing
from .timers import Timer

#: No msgId takes more bytes of a frame, with what stands around it.
BYTES_PER_ID: Final = 32


class Status:
    """The questions of one log-in, one message at a time.

    Args:
        fx: takes what is said.
        timers: for the answer.
        timeout: seconds until an answer is overdue.

    Attributes:
        open: by msgId, what is not answered, asked already or not.
    """

    __slots__ = ("_asked", "_fx", "_most", "_probed", "_timeout", "_timers", "open")

    def __init__(self, fx: Effects, timers: Timers[Timer], timeout: float) -> None:
        self._fx = fx
        self._timers = timers
        self._timeout = timeout
        self._most = MAX_IDS
        self._probed = False
        self.open: dict[int, Outgoing] = {}
        #: the msgIds of the question that is out
        self._asked: list[int] = []

    def begin(self, messages: list[Outgoing], *, frame_bytes: int) -> None:
        """A log-in: these are to be asked for."""
        self._most = max(1, min(MAX_IDS, frame_bytes // BYTES_PER_ID))
        self.open = {message.msg_id: message for message in messages}

    def stop(self) -> None:
        """The link is gone, and the questions with it."""
        self.open = {}
        self._asked = []
        self._timers.cancel(Timer.STATUS)

    @property
    def users(self) -> set[UserId]:
        """Whose conversations wait for an answer."""
        return {message.to_user for message in self.open.values()}

    def asks_for(self, message: Outgoing) -> bool:
        """Is the server being asked for it?"""
        return message.msg_id in self.open

    def pump(self) -> None:
        """There is something to ask: do so, if no question is out."""
        if self._asked:
            return
        self._asked = list(islice(self.open, self._most))
        self._probed = False
        self._timers.set(Timer.STATUS, self._fx.now + self._timeout)
        self._fx.say(MessageStatusRequest.trusted(msg_ids=self._asked))

    def answered(self, response: MessageStatusResponse) -> list[tuple[Outgoing, StatusItem | None]]:
        """The answer: what is said of each message that was asked for; None: nothing is."""
        items = {item.msg_id: item for item in response.items}
        asked, self._asked = self._asked, []
        if asked:
            self._timers.cancel(Timer.STATUS)
        return [(self.open.pop(msg_id), items.get(msg_id)) for msg_id in asked]

    def overdue(self, probe_timeout: float, *, late: bool) -> Trouble:
        """No answer for too long: probe first, then drop the link."""
        if late or not self._probed:
            self._probed = True
            self._timers.set(Timer.STATUS, self._fx.now + probe_timeout)
            return Trouble.PROBE
        return Trouble.UNANSWERED
