"""The client's protocol engine on whole text frames: `ClientCore`.

Every input goes through `step`; every effect stands in the list that it returns. The states are
those of `machines`, the deadlines those of `timers`. What a log-in, a heartbeat, a retry or a
message on its way means is decided by the parts beside this file and carried out here: state
first, effect after.
"""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any, Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError, printable
from ..wire import UserId
from . import actions as act
from . import events as ev
from . import inputs as inp
from .effects import Counters
from .explain import explain
from .hearing import Hearing
from .journal import JournalState, OutgoingRecord
from .journaling import RETRY_AFTER
from .timers import Timer

_AUTHENTICATED: Final = ev.Status.AUTHENTICATED


class ClientCore(Hearing):
    """A client without a transport: whole text frames and time in, actions out.

    For embedders whose transport already gives messages (a browser, an ASGI server) and for
    explorers: with a `random.Random` it can be copied and pickled. `ClientEngine` adds the bytes.

    Args:
        config: what to do.
        now: seconds on any monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        rng: where delays and the device id are drawn from.
        journal: what an earlier process has kept, to go on from; from here on the engine wants what
            it does written (`WriteJournal`). None: nothing is kept.
        turns: the adapter says when a turn of its loop is over (`TurnEnded`). What the application
            wishes many times in a turn (Send, MessageTaken, MessageHandled, MarkRead), and what is
            read while logged in, is then noted, and told, at once; what follows from it for the
            link and the journal is done once for all of it: at the end of the turn, or before
            whatever else comes in.

    Attributes:
        unsettled: `TurnEnded` is wanted at the end of this turn. Never without `turns`.
    """

    __slots__ = ("_told", "_turns", "unsettled")

    def __init__(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
        turns: bool = False,
    ) -> None:
        super().__init__(config, now=now, wall=wall, rng=rng, journal=journal)
        self._turns = turns
        self.unsettled = False
        self._told = self.state()

    # ------------------------------------------------------------ the door

    def step(self, event: inp.CoreInput | inp.TurnEnded, now: float) -> list[act.CoreAction]:
        """Take one input; return what is to be done about it, in order.

        A clock that goes back is taken as standing still.

        Raises:
            LocalProtocolError: the caller did what the state does not allow; nothing has changed.
            IMError: a Send that can't be taken (QUEUE_FULL, MESSAGE_FORMAT_ERROR); nothing has
                changed.
        """
        fx = self.fx
        if now > fx.now:
            fx.now = now
        kind = type(event)
        handler = _HANDLERS.get(kind)
        if handler is None:
            raise LocalProtocolError(f"{kind.__name__} is not an input of a client")
        if self._turns:
            if kind in _WISHES:
                if self.unsettled and kind is inp.Send and self.sending.admission.tight(event):
                    self._settle()  # what is under way by now is not dropped for it
                handler(self, event)
                self.unsettled = True
                return fx.take()
            if self.unsettled and kind not in _NOT_BEFORE:
                self._settle()
        if kind not in _OF_A_TRANSPORT or (
            event.transport == self.transport  # type: ignore[union-attr]
            and self.connection != "disconnected"
        ):
            handler(self, event)
        if (
            self._turns
            and kind in _READ
            # logged in, and that was told
            and self.reconnect == "established"
            and self._told.status is _AUTHENTICATED
        ):
            self.unsettled = True
            return fx.take()
        self._settle()
        self.unsettled = False
        return fx.take()

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest; None: not before another input."""
        return self.timers.next()

    @property
    def link_wanted(self) -> bool:
        """Is there a link, or will there be one if all goes well?"""
        return self.reconnect in ("attempting", "waiting", "established")

    @property
    def sessions_over_http(self) -> bool:
        """Would a SessionCall go over HTTP now?"""
        return not self.sessions.takes_link(link_wanted=self.link_wanted)

    @property
    def user_id(self) -> UserId:
        """Who logs in."""
        return self.config.user_id

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return self.fx.counters

    def state(self, now: float | None = None) -> ev.ConnectionState:
        """Where the client is, and why; `now` defaults to the time of the last step."""
        now = self.fx.now if now is None else now
        retry_at = self.timers.get(Timer.RECONNECT)
        return ev.ConnectionState(
            status=self._status(),
            reason=self.reason,
            attempts=self.backoff.failed,
            retry_at=retry_at,
            retry_in=None if retry_at is None else max(0.0, retry_at - now),
            last_error=self.last_error,
        )

    def ref_of_key(self, key: str) -> int | None:
        """The message that was sent with that key, pending or ended; None: there is none."""
        return self.sending.ref_of_key(key)

    def restored(self) -> list[OutgoingRecord]:
        """The messages that the journal has brought back, in the order they were given: those
        without an end, those that are remembered for their key, and those of whose failure the
        first step tells. After that step it is empty."""
        return self.sending.restored()

    def explain(self, now: float | None = None, ref: int | None = None) -> str:
        """In plain words: the state, why, what is waited for and until when; with `ref`, why that
        message is still pending."""
        return explain(self, self.fx.now if now is None else now, ref)

    # ------------------------------------------------------------ the application's wishes

    def _on_send(self, send: inp.Send) -> None:
        self.sending.add(send)

    def _on_cancel(self, cancel: inp.Cancel) -> None:
        self.sending.cancel(cancel.ref)

    def _on_handled(self, handled: inp.MessageHandled) -> None:
        if handled.ok:
            self.receiving.handled(handled.delivery)
        else:
            self.receiving.failed(handled.delivery)

    def _on_mark_read(self, wish: inp.MarkRead) -> None:
        self.life.mark_read(wish)

    def _on_set_typing(self, wish: inp.SetTyping) -> None:
        self.life.set_typing(wish)

    def _on_taken(self, taken: inp.MessageTaken) -> None:
        self.receiving.inbox.take(taken.delivery)

    def _on_session_call(self, wish: inp.SessionCall) -> None:
        self.sessions.call(wish)

    def _on_http_answered(self, answered: inp.HttpAnswered) -> None:
        self.sessions.answered(answered)

    def _on_http_failed(self, failed: inp.HttpFailed) -> None:
        self.sessions.failed(failed)

    def _on_turn_ended(self, _: inp.TurnEnded) -> None:
        """The end of the step does it."""

    # ------------------------------------------------------------ the journal

    def _on_journal_written(self, written: inp.JournalWritten) -> None:
        self.journaling.done(written.request)

    def _on_journal_failed(self, failed: inp.JournalFailed) -> None:
        lost = self.journaling.failed(failed.request)
        if lost is None:
            return
        changes, ticket = lost
        self.timers.set(Timer.JOURNAL, self.fx.now + RETRY_AFTER)
        error = IMError(
            IMErrorCode.JOURNAL_FAILED,
            f"the journal can't be written: {printable(failed.reason)}; what is in it is safe, "
            "what it can't take is refused, and nothing is acknowledged that is not in it",
        )
        self.fx.notify(ev.ErrorOccurred(error=error))
        self.journaling.again(self.sending.unrecorded(changes, ticket, error))

    # ------------------------------------------------------------ what comes in

    def _on_write_blocked(self, _: inp.WriteBlocked) -> None:
        self.sending.blocked = True

    def _on_write_ready(self, _: inp.WriteReady) -> None:
        self.sending.blocked = False

    # ------------------------------------------------------------ the end of a step

    def _settle(self) -> None:
        """Hand over and acknowledge what may go, and tell of a changed state.

        Most steps leave little of it to do: each part is asked only if it has something.
        """
        sending, receiving, refresh = self.sending, self.receiving, self.refresh
        token_wanted = False
        if self.sessions.calls:
            token_wanted = self.sessions.pump(link_wanted=self.link_wanted)
        journaling = self.journaling.on
        if journaling and receiving.untold:
            receiving.settle()
        sending.pump()
        if self.login.state == "authenticated":
            if not sending.blocked:  # the last ack says it all, when the peer reads again
                if self.life.unsaid:
                    self.life.pump()
                receiving.acknowledge()
            behind = receiving.look_behind()
            if behind or self.paused:
                self._pace_reading(behind)
            if self.fx.envelopes:
                self._flush()
            if refresh.offering:
                self._offer_token()
        else:
            receiving.look_behind()
        if token_wanted or refresh.wanted:
            self._fetch_token()
        if journaling:
            self.journaling.pump()
        told = self._told
        status = self._status()
        if status is not told.status or self.reason != told.reason:
            self._told = self.state()
            self.fx.notify(ev.StateChanged(previous=told, current=self._told))

    def _pace_reading(self, behind: bool) -> None:
        """Stop reading while the application is behind, unless an answer is awaited."""
        awaiting = (
            len(self.sending.outbox) > 0
            or self.receiving.syncing
            or self.refresh.awaited
            or self.sessions.awaited
        )
        if behind and not awaiting and not self.paused:
            self.paused = True
            self.timers.cancel(Timer.PARTIAL)
            self.liveness.deafen()
            self.fx.do(act.PauseReading(transport=self.transport))
        elif self.paused and (awaiting or not behind):
            self._resume_reading()
            if self.liveness.in_doubt:
                self._probe()
            if self._half:
                self.timers.set(Timer.PARTIAL, self.fx.now + self.config.timeouts.partial)

    def _status(self) -> ev.Status:
        if self.reconnect == "established":
            return _AUTHENTICATED
        if self.reconnect in ("idle", "exhausted", "halted"):
            return ev.Status.DISCONNECTED
        if self.reconnect == "attempting" and self.connection == "open":
            return ev.Status.CONNECTED
        if self._was_authenticated or self.backoff.retries:
            return ev.Status.RECONNECTING
        return ev.Status.CONNECTING


#: What an application wishes many times in a turn, and what needs nothing done at once.
_WISHES: Final = frozenset({inp.Send, inp.MessageTaken, inp.MessageHandled, inp.MarkRead})
#: What is read, mostly with more of it behind, and with the application's answer in the same turn.
_READ: Final = frozenset({inp.TextReceived, inp.ControlReceived, inp.PartialChanged})
#: What else comes in finds all that carried out, but for the end of the turn, which does that
#: itself, and for a transport that takes no more bytes.
_NOT_BEFORE: Final = _READ | {inp.TurnEnded, inp.TransportLost}
#: By class. Nothing but these comes in.
_HANDLERS: Final[dict[type, Any]] = {
    inp.Connect: ClientCore._on_connect,
    inp.Disconnect: ClientCore._on_disconnect,
    inp.Send: ClientCore._on_send,
    inp.Cancel: ClientCore._on_cancel,
    inp.MessageHandled: ClientCore._on_handled,
    inp.MessageTaken: ClientCore._on_taken,
    inp.MarkRead: ClientCore._on_mark_read,
    inp.SetTyping: ClientCore._on_set_typing,
    inp.JournalWritten: ClientCore._on_journal_written,
    inp.JournalFailed: ClientCore._on_journal_failed,
    inp.UpdateToken: ClientCore._on_update_token,
    inp.TokenReady: ClientCore._on_token_ready,
    inp.TokenFailed: ClientCore._on_token_failed,
    inp.SessionCall: ClientCore._on_session_call,
    inp.HttpAnswered: ClientCore._on_http_answered,
    inp.HttpFailed: ClientCore._on_http_failed,
    inp.TransportOpened: ClientCore._on_transport_opened,
    inp.TransportFailed: ClientCore._on_transport_failed,
    inp.TransportLost: ClientCore._on_transport_lost,
    inp.WriteBlocked: ClientCore._on_write_blocked,
    inp.WriteReady: ClientCore._on_write_ready,
    inp.NetworkChanged: ClientCore._on_network_changed,
    inp.WallClock: ClientCore._on_wall_clock,
    inp.TimePassed: ClientCore._on_time,
    inp.TurnEnded: ClientCore._on_turn_ended,
    inp.LinkOpened: ClientCore._on_link_opened,
    inp.LinkRefused: ClientCore._on_link_refused,
    inp.TextReceived: ClientCore._on_text,
    inp.ControlReceived: ClientCore._on_control,
    inp.PartialChanged: ClientCore._on_partial,
    inp.PeerClosed: ClientCore._on_peer_closed,
    inp.FramingViolated: ClientCore._on_framing_violated,
}
#: What is nothing any more when its transport is gone.
_OF_A_TRANSPORT: Final = frozenset(
    kind for kind in _HANDLERS if "transport" in (field.name for field in fields(kind))
)
