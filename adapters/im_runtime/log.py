"""The log of a client: one line per input and action, on the logger "im_proto.client".

    <  came in          >  goes out          =  a state          %  a timer          !  an error

Lines hold sizes, ids and reasons; never content, tokens, headers, or words of the peer. `!` is
logged as a warning, `=` as info, the rest as debug.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError

LOGGER: Final = logging.getLogger("im_proto.client")
# a library is silent unless its application wants to hear it
LOGGER.addHandler(logging.NullHandler())

_DEBUG: Final = logging.DEBUG
_Row = tuple[int, Callable[[Any], str]]


def log(item: inp.Input | ac.Action) -> None:
    """Log an input or an action, if anybody listens at its level."""
    kind = type(item.event) if isinstance(item, ac.Notify) else type(item)
    level, write = _ROWS.get(kind, _OTHER)
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, "%s", write(item.event if isinstance(item, ac.Notify) else item))


def line(item: inp.Input | ac.Action) -> str:
    """The line that `log` would write."""
    subject = item.event if isinstance(item, ac.Notify) else item
    return _ROWS.get(type(subject), _OTHER)[1](subject)


def _error(error: IMError | None) -> str:
    if error is None:
        return "as asked for"
    code = "" if error.server_code is None else f" ({error.server_code})"
    return f"{error.code}{code}: {error.text}"


def _state(event: ev.StateChanged) -> str:
    retry = event.current.retry_in
    when = "" if retry is None else f", next attempt in {retry:.3f} s"
    return f"= {event.previous.status} -> {event.current.status}: {event.current.reason}{when}"


_OTHER: Final[_Row] = (_DEBUG, lambda item: f"= {type(item).__name__}")
_ROWS: Final[dict[type, _Row]] = {
    # inputs
    inp.BytesReceived: (_DEBUG, lambda i: f"< #{i.transport} {len(i.data)} bytes"),
    inp.TransportOpened: (_DEBUG, lambda i: f"< #{i.transport} open"),
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
    inp.MessageHandled: (_DEBUG, lambda i: f"< delivery {i.delivery} is handled"),
    inp.UpdateToken: (_DEBUG, lambda _: "< a new token"),
    inp.TokenReady: (_DEBUG, lambda i: f"< token {i.request} is there"),
    inp.TokenFailed: (logging.WARNING, lambda i: f"! token {i.request} could not be had"),
    inp.NetworkChanged: (_DEBUG, lambda _: "< the network has changed"),
    inp.WallClock: (_DEBUG, lambda _: "% wall clock"),
    inp.TimePassed: (_DEBUG, lambda _: "% timer"),
    # actions
    ac.OpenTransport: (
        _DEBUG,
        lambda a: f"> #{a.transport} open {a.host}:{a.port}{' with TLS' if a.secure else ''}",
    ),
    ac.SendBytes: (_DEBUG, lambda a: f"> #{a.transport} {len(a.data)} bytes"),
    ac.CloseTransport: (_DEBUG, lambda a: f"> #{a.transport} close"),
    ac.AbortTransport: (_DEBUG, lambda a: f"> #{a.transport} abort"),
    ac.FetchToken: (_DEBUG, lambda a: f"> fetch token {a.request}"),
    ac.CancelToken: (_DEBUG, lambda a: f"> token {a.request} is not needed any more"),
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
    ev.DuplicateSuppressed: (_DEBUG, lambda e: f"= repeat of message {e.msg_id} seq {e.seq}"),
}
