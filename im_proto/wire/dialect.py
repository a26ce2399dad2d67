"""What a dialect of the wire has to do. The engine knows nothing else of how messages look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A well-formed envelope of a type that this side doesn't know: an event, never a failure.

    One that has a `seq` stands in the mailbox, and counts like every other (protocol.md section 2).
    """

    kind: str
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A message of a known type that breaks its rules. Its neighbours are not touched."""

    kind: str
    reason: str
    #: the msgId, where it could be read all the same, so that its sender can be answered
    msg_id: int | None = None


Incoming = Message | Unknown | Malformed


class BadFrame(ValueError):
    """A whole frame that can't be read: not JSON, not envelopes, an empty or too long batch.

    Attributes:
        close_code: the code to close with (RFC 6455 section 7.4.1).
    """

    def __init__(self, reason: str, close_code: int = 1007) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code


class Dialect(Protocol):
    """A way to write the messages down, and what can be said in it.

    Its class is made without arguments for a client; `im_proto.wire.DIALECTS` names them all.
    """

    @property
    def name(self) -> str:
        """What a configuration calls it."""

    @property
    def extensions(self) -> bool:
        """Can it say what protocol.md section 2 adds? If not, nothing of it is ever asked for,
        and a log-in without an answer is no sign of a strict server."""

    @property
    def in_flight(self) -> int | None:
        """The most unanswered messages, all conversations together; None sets no limit.

        1 where an answer need not name its message (`ChatAnswer`).
        """

    def decode(self, text: str, *, batch: int) -> list[Incoming]:
        """Read a text frame; an array holds at most `batch` envelopes, 0 allows no array.

        Raises:
            BadFrame: nothing in the frame can be used.
        """

    def encode(self, message: Message, *, wall_ms: int = 0, inline: bool = False) -> str:
        """Write one message as one envelope.

        Args:
            message: what to say.
            wall_ms: milliseconds since 1970, for dialects that write down when.
            inline: the peer was granted `inline`, or has granted it (protocol.md section 2).

        Raises:
            LocalProtocolError: the dialect has no word for it.
        """

    def join(self, envelopes: Sequence[str]) -> str:
        """Put at least one written envelope into one frame, in order."""
