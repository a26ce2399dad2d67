"""How messages end of which the server has said nothing: refused over a close, in doubt, expired,
dropped, withdrawn, or never on disk.

An end is noted in the journal, if there is one; see `recording` for when it is told.
"""

from __future__ import annotations

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode
from ..timers import Timers
from ..wire import Blame
from . import events as ev
from .admission import Admission
from .effects import Effects
from .expiry import Expiry
from .journal import Change, JournalState, OutgoingRecord
from .journaling import Journaling
from .keys import Keys
from .message import Outgoing
from .outgoing import Outbox
from .recording import Recording
from .status import Status
from .timers import Timer

#: A message that was the oldest unanswered at so many closes in a row is what the peer chokes on.
POISON_AFTER = 3


class Ends:
    """The outgoing half of a client, what it is made of, and the ends that it makes itself.

    Args:
        config: what to do.
        fx: takes what is to be done.
        timers: for answers, retries and expiries.
        journaling: the way to the journal.
        device_id: whose sends these are.
        journal: what an earlier process has kept; None: nothing is kept.
    """

    __slots__ = (
        "_config", "_fx", "_journaled", "_last_ref", "_left", "_most", "_online", "_poison",
        "_probed", "_strange", "_timers", "_watched", "_window", "admission", "blocked", "expiry",
        "idempotent", "keys", "outbox", "recording", "status",
    )  # fmt: skip

    def __init__(
        self,
        config: ClientConfig,
        fx: Effects,
        timers: Timers[Timer],
        journaling: Journaling,
        *,
        device_id: str,
        journal: JournalState | None,
    ) -> None:
        self._config = config
        self._fx = fx
        self._journaled = journaling.on
        self._timers = timers
        self._online = False
        self._window = self._most = min(config.in_flight, fx.dialect.in_flight or config.in_flight)
        self._watched: tuple[int, int] | None = None
        self._probed = False
        self._poison: tuple[int, int] = (0, 0)
        self.outbox = Outbox(drops=config.when_queue_full != "reject")
        self.keys = Keys(config.keys_kept)
        self.admission = Admission(config, fx, self.outbox, self.keys)
        self.recording = Recording(fx, journaling, self.keys, device_id)
        self.status = Status(fx, timers, config.timeouts.ack)
        self.expiry = Expiry(timers)
        self.blocked = False
        #: the server knows the identity of a send
        self.idempotent = False
        #: what an earlier process sent as another device: no server can tell us what became of it
        self._strange: list[Outgoing] = []
        #: with a journal: no ref up to this one is taken
        self._last_ref: int | None = None
        #: what an earlier process has left, until the first step
        self._left: list[OutgoingRecord] = []
        if journal is not None:
            self._restore(journal, device_id)

    def _restore(self, journal: JournalState, device_id: str) -> None:
        self._left = self.recording.restore(journal.identity, journal.outgoing)
        self._last_ref = max((record.ref for record in self._left), default=0)
        for record in self._left:
            if record.end is None:
                message = Outgoing.restored(record)
                self.outbox.add(message)
                if message.key is not None:
                    self.keys.take(message.key, message.ref)
                if message.expires_at is not None and message.handed_at is None:
                    at = message.expires_at / 1000 - self._fx.wall_offset
                    self.expiry.add(at, message.ref)
        if journal.identity is not None and journal.identity.device_id != device_id:
            self._strange = self.outbox.all_unsure()

    # ------------------------------------------------------------ over the end of a link

    def _blame(self, blame: Blame) -> None:
        """An end of the link may be a message's fault (protocol.md section 2, "Closes")."""
        oldest = self.outbox.oldest
        if blame is not Blame.OLDEST or oldest is None:
            self._poison = (0, 0)
        if oldest is None:
            return
        if blame is Blame.LARGEST:
            largest = max(self.outbox.all_unanswered(), key=lambda m: len(m.content.encode()))
            self._fail(
                largest,
                "refused",
                IMErrorCode.MESSAGE_SEND_FAILED,
                "the server closed the connection because a message was too big; this was the "
                "largest",
                1009,
            )
        elif blame is Blame.OLDEST:
            ref, count = self._poison
            count = count + 1 if ref == oldest.ref else 1
            self._poison = (oldest.ref, count)
            if count >= POISON_AFTER:
                self._poison = (0, 0)
                self._fail(
                    oldest,
                    "refused",
                    IMErrorCode.MESSAGE_SEND_FAILED,
                    f"the server closed the connection {count} times in a row over it",
                )

    def _doubt(self) -> None:
        config = self._config
        self._end_in_doubt(
            [
                message
                for message in self.outbox.all_unanswered()
                if not config.resend_when_unsure or message.unsure_sends >= config.max_sends
            ]
        )

    def _end_in_doubt(self, messages: list[Outgoing]) -> None:
        for message in messages:
            self._fail(
                message,
                "certainty_lost",
                IMErrorCode.IN_DOUBT,
                "the link was lost before the server answered; it may or may not have arrived",
            )

    def _fail(
        self,
        message: Outgoing,
        event: str,
        code: IMErrorCode,
        text: str,
        server_code: int | None = None,
        words: str | None = None,
    ) -> None:
        self.outbox.finish(message, event)
        error = IMError(code, text, server_code=server_code, server_text=words)
        self.recording.failed(message, error)

    # ------------------------------------------------------------ ends before the journal had it

    def _fail_in_line(self, ref: int, event: str, code: IMErrorCode, text: str) -> None:
        message = self.admission.line.pop(ref)
        message.to(event)
        self._tell_unsent(message, IMError(code, text))

    def unrecorded(self, changes: list[Change], ticket: int, error: IMError) -> list[Change]:
        """The journal could not take these; returns those of them that it must take all the same.

        New messages among them fail with `error`.
        """
        lost, rest = self.recording.not_written(changes, ticket)
        for message in lost:
            self.outbox.finish(message, "refused")
            self.recording.withdraw(message, ticket)
            self._tell_unsent(message, IMError(error.code, error.text))
        return rest

    def _tell_unsent(self, message: Outgoing, error: IMError) -> None:
        """It never got into the outbox, or not onto the disk: its key is free, and it is told."""
        if message.key is not None:
            self.keys.free(message.key)
        self._fx.notify(
            ev.MessageFailed(
                ref=message.ref,
                msg_id=message.msg_id or None,
                to_user=message.to_user,
                content=message.content,
                error=error,
            )
        )

    # ------------------------------------------------------------ times to live

    def _expires(self, ref: int) -> bool:
        """May that message still expire?"""
        message = self.outbox.get(ref) or self.admission.line.get(ref)
        return message is not None and message.handed_at is None

    def _expire(self, ref: int) -> None:
        if not self._expires(ref):
            return
        text = "its time to live was over before it could be sent"
        if ref in self.admission.line:
            self._fail_in_line(ref, "expire", IMErrorCode.MESSAGE_EXPIRED, text)
        else:
            self._fail(self.outbox[ref], "expire", IMErrorCode.MESSAGE_EXPIRED, text)

    def slept(self, seconds: float) -> None:
        """The machine was asleep, and the clock with it."""
        self.expiry.slept(seconds)
