"""What an application can listen to: names, registration, and which event calls which name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from im_proto.client import events as ev
from im_proto.errors import LocalProtocolError

from .message import Message
from .sent import SentMessage

#: A callback; what it is called with stands in `NAMES`.
Callback: TypeAlias = Callable[..., Any]

#: Every name, with its arguments and when it is called.
NAMES: Final[dict[str, str]] = {
    "connected": "(): the WebSocket is up; the log-in follows",
    "disconnected": "(): a link that was up is gone",
    "reconnecting": "(attempt): an attempt to come back is scheduled; counts from 1",
    "reconnected": "(): logged in again after a lost link",
    "authenticated": "(): the server accepted the log-in",
    "auth_failed": "(error): the server refused the log-in, or there was no token",
    "message_received": "(message): a message for this user",
    "message_sent": "(sent): the server has accepted a message, for good",
    "message_failed": "(error): a message ended without being accepted; error.sent is which",
    "undeliverable": "(message): handlers have failed on it too often; it will not come again",
    "own_message": "(event): another device of this user has sent a message: OwnMessage",
    "receipt": "(event): messages of this user were delivered, or read: ReceiptReceived",
    "read_elsewhere": "(event): another device of this user has read something: ReadElsewhere",
    "typing": "(event): somebody has begun, or stopped, to write to this user: TypingChanged",
    "presence": "(event): somebody came online, or left: PresenceChanged",
    "heartbeat_sent": "(): a probe went out",
    "heartbeat_received": "(): a probe was answered",
    "error": "(error): something went wrong; error.terminal: the client has given up",
    "state_changed": "(state): the status, or the reason for it, is another one",
    "notice": "(event): the rest: ExtensionsRefused, GuaranteeChanged, MessagesMayBeMissing, "
    "ProtocolViolation, UnknownMessage, DuplicateSuppressed, ReadingPaused, ReadingResumed, "
    "MessageDropped, ReadRefused, OutboxFilling, OutboxDrained, TokenRefreshed, SlowCallback, "
    "CallbacksDropped",
}


class _Entry:
    __slots__ = ("callback", "once", "only")

    def __init__(self, callback: Callback, *, once: bool = False, only: bool = False) -> None:
        self.callback = callback
        self.once = once
        #: put there by `set`, which knows one callback per name
        self.only = only


class Callbacks:
    """A registry of callbacks, in the order they were registered."""

    __slots__ = ("_entries", "_once")

    def __init__(self) -> None:
        self._entries: dict[str, tuple[_Entry, ...]] = {}
        #: names with a callback that is called once
        self._once: frozenset[str] = frozenset()

    def set(
        self, callbacks: Mapping[str, Callback | None] | None = None, /, **more: Callback | None
    ) -> None:
        """Set one callback per name, in place of the one set before; None takes it away.

        Those of `on` and `once` stay. All or nothing.

        Raises:
            LocalProtocolError: an unknown name, or something that can't be called.
        """
        given = {**(callbacks or {}), **more}
        for name, callback in given.items():
            check(name)
            if callback is not None:
                _check_callable(name, callback)
        for name, callback in given.items():
            others = tuple(entry for entry in self._entries.get(name, ()) if not entry.only)
            new = () if callback is None else (_Entry(callback, only=True),)
            self._put(name, (*others, *new))

    def on(self, name: str, callback: Callback, *, once: bool = False) -> None:
        """Add a callback; with `once` it is called once and is gone.

        Raises:
            LocalProtocolError: an unknown name, or something that can't be called.
        """
        check(name)
        _check_callable(name, callback)
        self._put(name, (*self._entries.get(name, ()), _Entry(callback, once=once)))

    def off(self, name: str, callback: Callback | None = None) -> None:
        """Take away a callback, however it came here; None takes away all of the name.

        Raises:
            LocalProtocolError: an unknown name.
        """
        check(name)
        kept = [e for e in self._entries.get(name, ()) if callback not in (None, e.callback)]
        self._put(name, tuple(kept))

    def __contains__(self, name: object) -> bool:
        """Does anybody listen to that name?"""
        return name in self._entries

    def take(self, name: str) -> list[Callback]:
        """Who is to be called now; those that wanted to be called once are taken away."""
        entries = self._entries.get(name, ())
        if name in self._once:
            self._put(name, tuple(entry for entry in entries if not entry.once))
        return [entry.callback for entry in entries]

    def _put(self, name: str, entries: tuple[_Entry, ...]) -> None:
        if any(entry.once for entry in entries):
            self._once |= {name}
        else:
            self._once -= {name}
        if entries:
            self._entries[name] = entries
        else:
            self._entries.pop(name, None)


def check(name: str) -> None:
    """Is this a name of a callback?

    Raises:
        LocalProtocolError: it is not; the text gives the nearest, and all.
    """
    if name in NAMES:
        return
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()
    near = difflib.get_close_matches(snake, NAMES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise LocalProtocolError(f"no callback {name!r}{hint} There are: {', '.join(NAMES)}")


def _check_callable(name: str, callback: object) -> None:
    if not callable(callback):
        raise LocalProtocolError(
            f"the callback {name!r} is a {type(callback).__name__}, no function"
        )


def translate(
    event: ev.Event, sent: SentMessage | None = None
) -> tuple[str, tuple[Any, ...]] | None:
    """Which name an event calls, with which arguments; None: no callback is for it.

    Args:
        event: what the engine has told.
        sent: the message that the event is about, if it is about one.
    """
    kind = type(event)
    if kind in _WHOLE:
        return _WHOLE[kind], (event,)
    if kind in _PLAIN:
        return _PLAIN[kind], ()
    match event:
        case ev.MessageReceived():
            return "message_received", (Message.of(event),)
        case ev.MessageUndeliverable():
            return "undeliverable", (Message.of(event),)
        case ev.MessageAccepted():
            return "message_sent", (sent,)
        case ev.MessageFailed():
            error = sent.error if sent is not None and sent.error is not None else event.error
            return "message_failed", (error,)
        case ev.SessionFetched() | ev.HistoryFetched() | ev.SessionFailed():
            return None  # for whoever asked
        case ev.MessageQueued() | ev.MessageHandedOver():
            return None
        case ev.Reconnecting():
            return "reconnecting", (event.attempt,)
        case ev.AuthFailed():
            return "auth_failed", (event.error,)
        case ev.ErrorOccurred():
            return "error", (event.error,)
        case ev.StateChanged():
            return "state_changed", (event.current,)
    return "notice", (event,)


_PLAIN: Final[dict[type[ev.Event], str]] = {
    ev.Connected: "connected",
    ev.Disconnected: "disconnected",
    ev.Reconnected: "reconnected",
    ev.Authenticated: "authenticated",
    ev.HeartbeatSent: "heartbeat_sent",
    ev.HeartbeatReceived: "heartbeat_received",
}
#: Given to the callback as they are.
_WHOLE: Final[dict[type[ev.Event], str]] = {
    ev.OwnMessage: "own_message",
    ev.ReceiptReceived: "receipt",
    ev.ReadElsewhere: "read_elsewhere",
    ev.TypingChanged: "typing",
    ev.PresenceChanged: "presence",
}
