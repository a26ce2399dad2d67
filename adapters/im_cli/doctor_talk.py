"""What the doctor says and hears on a WebSocket, in the words of the core's dialect."""

from __future__ import annotations

import time
from typing import Final, TypeVar

from im_proto.errors import printable
from im_proto.framing import CloseFrame, FrameEvent, PongFrame, TextFrame, Violation
from im_proto.wire import BadFrame, Incoming, Invocation, Kick, Message, verdict_of_close

from . import doctor_advice as advice
from .doctor_line import Deadline, Ended, WebSocketLine
from .doctor_report import Failed, words

__all__ = ["BATCH", "Talk"]

#: Envelopes that a server may put into one frame.
BATCH: Final = 64
_STRICT: Final = "a strict server stops at what im-proto adds to the log-in: try --plain"
_M = TypeVar("_M", bound=Message)


class Talk:
    """A WebSocket that is open.

    `maybe_strict`: until something is heard, silence may mean that the server is a strict one.
    `inline`: whether that was granted.
    """

    def __init__(self, web: WebSocketLine, *, maybe_strict: bool) -> None:
        self._web = web
        self._dialect = Invocation()
        self._maybe_strict = maybe_strict
        self.inline = False

    def say(self, message: Message, deadline: Deadline, what: str) -> None:
        """Send a message.

        Raises:
            Failed: it can't be sent.
        """
        if not self._web.framing.open:
            return  # its end is among what waits to be heard
        wall = int(time.time() * 1000)
        text = self._dialect.encode(message, wall_ms=wall, inline=self.inline)
        self._send(self._web.framing.send_text(text), deadline, what)

    def hear(self, kind: type[_M], deadline: Deadline, what: str) -> _M:
        """The next message of a kind; what else comes is passed over.

        Raises:
            Failed: the connection ended, or it didn't come in time.
        """
        kick: Kick | None = None
        while True:
            event = self._event(deadline, what, kick)
            if not isinstance(event, TextFrame):
                continue
            for message in self._decode(event.text):
                if isinstance(message, kind):
                    self._maybe_strict = False
                    return message
                if isinstance(message, Kick):
                    kick = message

    def ping(self, payload: bytes, deadline: Deadline) -> None:
        """Send a Ping and wait for its Pong.

        Raises:
            Failed: as of `hear`.
        """
        if self._web.framing.open:
            self._send(self._web.framing.send_ping(payload), deadline, "a Ping")
        while True:
            event = self._event(deadline, "a Ping")
            if isinstance(event, PongFrame) and event.payload == payload:
                return

    def _send(self, data: bytes, deadline: Deadline, what: str) -> None:
        try:
            self._web.send(data, deadline)
        except OSError as error:
            raise Failed(f"{what} could not be sent: {words(error)}", "try again") from None

    def _decode(self, text: str) -> list[Incoming]:
        try:
            return self._dialect.decode(text, batch=BATCH)
        except BadFrame as error:
            raise Failed(
                f"the server sent what can't be read: {error.reason}",
                "does it speak this protocol?",
            ) from None

    def _event(self, deadline: Deadline, what: str, kick: Kick | None = None) -> FrameEvent:
        """What comes next, unless it is an end."""
        try:
            event = self._web.event(deadline)
        except Ended:
            raise Failed(
                f"the server dropped the connection instead of answering {what}",
                _STRICT if self._maybe_strict else "see the server's log",
            ) from None
        except TimeoutError:
            raise Failed(
                f"no answer to {what} in time",
                _STRICT
                if self._maybe_strict
                else "the server hangs, or is overloaded: see its log",
            ) from None
        except OSError as error:
            raise Failed(f"the connection broke: {words(error)}", "try again") from None
        if isinstance(event, CloseFrame):
            raise _closed(event, kick)
        if isinstance(event, Violation):
            raise Failed(
                f"the server broke the WebSocket protocol: {event.reason}",
                "a proxy in between may do that, or it is another program",
            )
        return event


def _closed(close: CloseFrame, kick: Kick | None) -> Failed:
    reason = printable((kick.reason if kick is not None else None) or close.reason)
    again = kick.retry_after if kick is not None else None
    return Failed(
        f"closed with {close.code} ({reason or verdict_of_close(close.code).reason})"
        + (f", come again in {again:g} s" if again is not None else ""),
        advice.of_close(close.code),
        close_code=close.code,
        reason=reason,
        retry_after=again,
    )
