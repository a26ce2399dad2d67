"""The log of a client: one line per input and action.

    <  came in          >  goes out          =  a state          %  a timer          !  an error

`!` is logged as a warning, `=` of a state as info, the rest as debug. The asyncio client's logger
is "im_asyncio", the threads client's "im_threads". Lines hold sizes, ids and reasons; never tokens,
headers, or a proxy's password. The text of messages is in them only where the application asks for
it (`log_content=True`, or IM_LOG_CONTENT=1 in the environment), clipped. Whatever a peer says, each
is one line of printable characters and of bounded length: no peer can forge another. The traceback
of a callback that raised is logged as it is.

IM_LOG=debug, info or warning in the environment prints the log to stderr; see `environment.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError, printable

#: The loggers of the clients.
LOGGERS: Final = ("im_asyncio", "im_threads")
for _name in LOGGERS:  # a library is silent unless its application wants to hear it
    logging.getLogger(_name).addHandler(logging.NullHandler())

_DEBUG: Final = logging.DEBUG
#: More characters of a message than these are not logged.
_CLIP: Final = 200
#: No line is longer.
_LONGEST: Final = 1000
_Row = tuple[int, Callable[[Any], str]]


class Log:
    """Writes lines to a logger.

    Args:
        name: of the logger.
        content: with the text of messages.
    """

    def __init__(self, name: str, *, content: bool = False) -> None:
        self._logger = logging.getLogger(name)
        self._content = content

    def debugging(self) -> bool:
        """Does anybody listen to more than what is `LOUD`?"""
        return self._logger.isEnabledFor(_DEBUG)

    def item(self, item: inp.Input | ac.Action) -> None:
        """Log an input or an action, if anybody listens at its level."""
        subject = item.event if isinstance(item, ac.Notify) else item
        level = _ROWS.get(type(subject), _OTHER)[0]
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", line(item, content=self._content))

    def warning(self, text: str, *args: object) -> None:
        """Log that something is wrong."""
        self._logger.warning(text, *args)

    def bug(self, exc: BaseException, text: str, *args: object) -> None:
        """Log an exception that nobody else will see, with its traceback."""
        self._logger.error(text, *args, exc_info=exc)


def line(item: inp.Input | ac.Action, *, content: bool = False) -> str:
    """The line of an input or an action."""
    subject = item.event if isinstance(item, ac.Notify) else item
    text = _ROWS.get(type(subject), _OTHER)[1](subject)
    if content and isinstance(subject, inp.Send | ev.MessageReceived):
        shown = subject.content[:_CLIP]
        text += f": {shown!r}{'…' if shown != subject.content else ''}"
    return printable(text, _LONGEST)


def _error(error: IMError | None) -> str:
    if error is None:
        return "as asked for"
    code = "" if error.server_code is None else f" ({error.server_code})"
    return f"{error.code}{code}: {error.text}"


def _state(event: ev.StateChanged) -> str:
    retry = event.current.retry_in
    when = "" if retry is None else f", next attempt in {retry:.3f} s"
    return f"= {event.previous.status} -> {event.current.status}: {event.current.reason}{when}"


def _open(action: ac.OpenTransport) -> str:
    where = f"{action.host}:{action.port}" if action.unix_path is None else repr(action.unix_path)
    return f"> #{action.transport} open {where}{' with TLS' if action.secure else ''}"


_OTHER: Final[_Row] = (_DEBUG, lambda item: f"= {type(item).__name__}")
_ROWS: Final[dict[type, _Row]] = {
    # inputs
    inp.BytesReceived: (_DEBUG, lambda i: f"< #{i.transport} {len(i.data)} bytes"),
    inp.TransportOpened: (_DEBUG, lambda i: f"< #{i.transport} open"),
    inp.TlsStarted: (_DEBUG, lambda i: f"< #{i.transport} TLS begun"),
    inp.TransportFailed: (
        logging.WARNING,
        lambda i: f"! #{i.transport} could not be opened ({i.kind}): {i.reason}",
    ),
    inp.TransportLost: (_DEBUG, lambda i: f"< #{i.transport} ended: {i.reason or 'end of file'}"),
    inp.WriteBlocked: (_DEBUG, lambda i: f"< #{i.transport} takes no more for now"),
    inp.WriteReady: (_DEBUG, lambda i: f"< #{i.transport} takes more again"),
    inp.Connect: (_DEBUG, lambda _: "< connect()"),
    inp.Disconnect: (_DEBUG, lambda _: "< disconnect()"),
    inp.Send: (_DEBUG, lambda i: f"< send message {i.ref} to {i.to_user!r}"),
    inp.Cancel: (_DEBUG, lambda i: f"< cancel message {i.ref}"),
    inp.MessageTaken: (_DEBUG, lambda i: f"< delivery {i.delivery} is taken"),
    inp.MessageHandled: (
        _DEBUG,
        lambda i: f"< delivery {i.delivery} {'is handled' if i.ok else 'has failed'}",
    ),
    inp.MarkRead: (_DEBUG, lambda i: f"< message {i.msg_id} from {i.from_user!r} was read"),
    inp.SetTyping: (
        _DEBUG,
        lambda i: f"< {'typing' if i.active else 'not typing'} to {i.to_user!r}",
    ),
    inp.JournalWritten: (_DEBUG, lambda i: f"< write {i.request} is on disk"),
    inp.JournalFailed: (logging.WARNING, lambda i: f"! write {i.request}: {i.reason}"),
    inp.SessionCall: (_DEBUG, lambda i: f"< session call {i.ref}: {i.op}"),
    inp.HttpAnswered: (
        _DEBUG,
        lambda i: f"< HTTP call {i.request}: status {i.status}, {len(i.body)} bytes",
    ),
    inp.HttpFailed: (logging.WARNING, lambda i: f"! HTTP call {i.request}: {i.reason}"),
    inp.UpdateToken: (_DEBUG, lambda _: "< a new token"),
    inp.TokenReady: (_DEBUG, lambda i: f"< token {i.request} is there"),
    inp.TokenFailed: (logging.WARNING, lambda i: f"! token {i.request} could not be had"),
    inp.NetworkChanged: (_DEBUG, lambda _: "< the network has changed"),
    inp.WallClock: (_DEBUG, lambda _: "% wall clock"),
    inp.TimePassed: (_DEBUG, lambda _: "% timer"),
    # actions
    ac.OpenTransport: (_DEBUG, _open),
    ac.StartTls: (_DEBUG, lambda a: f"> #{a.transport} begin TLS with {a.host}"),
    ac.PauseReading: (_DEBUG, lambda a: f"> #{a.transport} read no more for now"),
    ac.ResumeReading: (_DEBUG, lambda a: f"> #{a.transport} read again"),
    ac.SendBytes: (_DEBUG, lambda a: f"> #{a.transport} {len(a.data)} bytes"),
    ac.CloseTransport: (_DEBUG, lambda a: f"> #{a.transport} close"),
    ac.AbortTransport: (_DEBUG, lambda a: f"> #{a.transport} abort"),
    ac.FetchToken: (_DEBUG, lambda a: f"> fetch token {a.request}"),
    ac.CancelToken: (_DEBUG, lambda a: f"> token {a.request} is not needed any more"),
    ac.CallHttp: (_DEBUG, lambda a: f"> HTTP call {a.request}: {a.method}, {len(a.body)} bytes"),
    ac.CancelHttp: (_DEBUG, lambda a: f"> HTTP call {a.request} is not needed any more"),
    ac.WriteJournal: (_DEBUG, lambda a: f"> write {a.request}: {len(a.changes)} changes"),
    # events
    ev.StateChanged: (logging.INFO, _state),
    ev.Connected: (_DEBUG, lambda _: "= connected"),
    ev.Disconnected: (_DEBUG, lambda e: f"= disconnected, {_error(e.error)}"),
    ev.Reconnecting: (_DEBUG, lambda e: f"% attempt {e.attempt} in {e.delay:.3f} s"),
    ev.Reconnected: (_DEBUG, lambda e: f"= reconnected, {'' if e.resumed else 'not '}resumed"),
    ev.Authenticated: (_DEBUG, lambda e: f"= logged in as {e.user_id!r}"),
    ev.AuthFailed: (logging.WARNING, lambda e: f"! log-in: {_error(e.error)}"),
    ev.MessageReceived: (
        _DEBUG,
        lambda e: f"= delivery {e.delivery}: message {e.msg_id} from {e.from_user!r} seq {e.seq}",
    ),
    ev.MessageUndeliverable: (
        logging.WARNING,
        lambda e: (
            f"! delivery {e.delivery} given up after {e.attempts} attempts: message {e.msg_id} "
            f"from {e.from_user!r} seq {e.seq}"
        ),
    ),
    ev.OwnMessage: (_DEBUG, lambda e: f"= another device sent {e.msg_id} to {e.to_user!r}"),
    ev.ReceiptReceived: (
        _DEBUG,
        lambda e: f"= {len(e.msg_ids)} messages to {e.user!r} {e.status}",
    ),
    ev.ReadElsewhere: (
        _DEBUG,
        lambda e: f"= another device has read {e.msg_id} from {e.from_user!r}",
    ),
    ev.ReadRefused: (logging.WARNING, lambda e: f"! read mark: {_error(e.error)}"),
    ev.TypingChanged: (
        _DEBUG,
        lambda e: f"= {e.from_user!r} {'types' if e.active else 'types no more'}",
    ),
    ev.PresenceChanged: (
        _DEBUG,
        lambda e: f"= {e.user!r} is {'online' if e.online else 'offline'}",
    ),
    ev.MessageQueued: (_DEBUG, lambda e: f"= message {e.ref} is in the outbox"),
    ev.OutboxFilling: (
        logging.WARNING,
        lambda e: f"! the outbox is filling: {e.messages} messages, {e.bytes} bytes",
    ),
    ev.OutboxDrained: (_DEBUG, lambda e: f"= the outbox is drained: {e.messages} messages"),
    ev.TokenRefreshed: (_DEBUG, lambda _: "= a new token serves"),
    ev.MessageHandedOver: (
        _DEBUG,
        lambda e: f"= message {e.ref} handed over as {e.msg_id}, time {e.sends}",
    ),
    ev.MessageAccepted: (_DEBUG, lambda e: f"= message {e.ref} accepted"),
    ev.MessageFailed: (logging.WARNING, lambda e: f"! message {e.ref}: {_error(e.error)}"),
    ev.HeartbeatSent: (_DEBUG, lambda _: "% heartbeat sent"),
    ev.HeartbeatReceived: (
        _DEBUG,
        lambda e: "% heartbeat answered" + ("" if e.rtt is None else f" after {e.rtt:.3f} s"),
    ),
    ev.ErrorOccurred: (logging.WARNING, lambda e: f"! {_error(e.error)}"),
    ev.ProtocolViolation: (logging.WARNING, lambda e: f"! protocol violation: {e.reason}"),
    ev.UnknownMessage: (_DEBUG, lambda e: f"= unknown message {e.kind!r}"),
    ev.ExtensionsRefused: (logging.INFO, lambda _: "= the server is spoken to plainly"),
    ev.GuaranteeChanged: (logging.INFO, lambda e: f"= sends are {e.guarantee}"),
    ev.MessagesMayBeMissing: (
        logging.WARNING,
        lambda e: f"! messages before seq {e.oldest} may be missing",
    ),
    ev.ReadingPaused: (
        logging.WARNING,
        lambda e: f"! {e.unhandled} messages are not handled yet: nothing more is read for now",
    ),
    ev.ReadingResumed: (_DEBUG, lambda _: "= reading again"),
    ev.MessageDropped: (
        logging.WARNING,
        lambda e: (
            f"! delivery {e.delivery} dropped: message {e.msg_id} from {e.from_user!r} seq {e.seq}"
        ),
    ),
    ev.SessionFetched: (
        _DEBUG,
        lambda e: f"= session call {e.ref} answered: {len(e.sessions)} sessions",
    ),
    ev.HistoryFetched: (
        _DEBUG,
        lambda e: f"= session call {e.ref} answered: {len(e.page.records)} messages",
    ),
    ev.SessionFailed: (logging.WARNING, lambda e: f"! session call {e.ref}: {_error(e.error)}"),
    ev.DuplicateSuppressed: (_DEBUG, lambda e: f"= repeat of message {e.msg_id} seq {e.seq}"),
}
#: Inputs, actions and events whose lines are more than debug.
LOUD: Final = frozenset(kind for kind, (level, _) in _ROWS.items() if level > _DEBUG)
