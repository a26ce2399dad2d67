"""What the engine tells: first the books are kept, then the callbacks are called."""

from __future__ import annotations

from typing import Any, Final

from im_proto.client import events as ev
from im_proto.errors import IMError, IMErrorCode

from .callbacks import Callbacks, translate
from .calls import Calls
from .log import Log
from .pending import Pending
from .reception import Reception
from .sessions import Asking
from .standing import Standing

#: What comes with each message on its way out …
_OF_SENT: Final = frozenset(
    {ev.MessageQueued, ev.MessageHandedOver, ev.MessageAccepted, ev.MessageFailed}
)
#: … and what of it is for no callback.
_UNHEARD: Final = frozenset({ev.MessageQueued, ev.MessageHandedOver})


class Telling:
    """Takes an engine's events, in order.

    Args:
        callbacks: who listens.
        calls: calls them.
        standing: hears of log-ins and errors.
        reception: gets received messages.
        pending: knows messages on their way out.
        asking: knows calls about sessions.
        log: of the client.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        calls: Calls,
        *,
        standing: Standing,
        reception: Reception[Any],
        pending: Pending[Any],
        asking: Asking,
        log: Log,
    ) -> None:
        self._callbacks = callbacks
        self._calls = calls
        self._standing = standing
        self._reception = reception
        self._pending = pending
        self._asking = asking
        self._log = log

    def event(self, event: ev.Event) -> None:
        """The engine tells this."""
        sent = None
        # First, and past the rest, what comes with each message.
        if isinstance(event, ev.MessageReceived):
            self._reception.received(self._reception.message(event))
            return
        kind = type(event)
        if kind in _OF_SENT:
            sent = self._pending.apply(event)  # type: ignore[arg-type] # one of these
            if kind in _UNHEARD:
                return
            if kind is ev.MessageAccepted and "message_sent" not in self._callbacks:
                return
        match event:
            case ev.MessageUndeliverable():
                self._reception.dropped(event.delivery)
            case ev.MessageDropped():
                self._reception.dropped(event.delivery)
            case ev.ReceiptReceived():
                self._pending.receipt(event)
            case ev.SessionFetched() | ev.HistoryFetched() | ev.SessionFailed():
                self._asking.apply(event)
            case ev.Authenticated():
                self._standing.logged_in()
                self._pending.logged_in(event)
                self._reception.logged_in()
            case ev.ErrorOccurred() if event.error.code is not IMErrorCode.JOURNAL_FAILED:
                self._standing.trouble(event.error, another_way=event.another_way)
                if event.error.terminal:
                    self._pending.give_up(event.error)
            case ev.StateChanged():
                if event.current.status is not ev.Status.DISCONNECTED:
                    self._standing.trying()
        call = translate(event, sent)
        if call is not None and call[0] in self._callbacks:
            self._calls.put(call[0], *call[1])

    def bug(self, exc: Exception) -> None:
        """The engine, or what drives it, raised: the client has given up, and everything is ended.

        The application hears of it as of any terminal error.
        """
        self._log.bug(exc, "! a bug in im_proto: the client gives up")
        error = IMError(
            IMErrorCode.UNKNOWN_ERROR,
            f"a bug in im_proto, please report it: {type(exc).__name__}",
            terminal=True,
        )
        error.__cause__ = exc
        self._asking.give_up(error)
        self.event(ev.ErrorOccurred(error=error))
