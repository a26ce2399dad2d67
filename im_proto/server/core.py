"""One connection at the server, on whole text frames: `ServerCore`.

It reads the peer's messages, answers what it can answer alone (heartbeats, bad forms), asks the
hub for the rest. It stores nothing; its deadlines and its end are those of `connection.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_args

from ..errors import LocalProtocolError
from ..wire import (
    AuthRequest,
    AuthResponse,
    BadFrame,
    ChatAck,
    ChatError,
    ChatReadReceipt,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Incoming,
    Kick,
    Malformed,
    Message,
    MessageStatusRequest,
    SessionRequest,
    SyncRequest,
    Typing,
    check_content,
    codes,
)
from . import actions as act
from . import inputs as inp
from . import talk
from .auth import Authenticated
from .login import wire_seconds
from .saying import Simple, pushed, simple
from .timers import Timer


class ServerCore(Authenticated):
    """See the module.

    Args:
        connection: its name.
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall_offset: wall clock minus `now`, in seconds.
        peer: the address of the transport's other end, "" for a local socket.
    """

    def step(self, *events: inp.CoreInput, now: float) -> list[act.CoreAction]:
        """Take inputs that belong together; return what is to be done about them, in order.

        What several inputs want said goes out in as few frames as the peer allows.
        """
        self._now = max(now, self._now)
        for event in events:
            if self.state == "closed":  # pragma: no cover - a gateway forgets it before
                break
            handler = _HANDLERS.get(type(event))
            if handler is None:
                raise LocalProtocolError(f"{type(event).__name__} is not an input of a connection")
            handler(self, event)
        if self._behind:
            self._look_behind()
        if self._envelopes:
            self._flush()
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ what comes in

    def _on_text(self, received: inp.TextReceived) -> None:
        self._heard = self._now
        if self.state == "closing":
            # what was on its way; whoever goes on and on is not waited for
            if self._budget.take(self._now) < 0:
                self.rules_broken = True
                self._abort()
            return
        if self.state == "draining":
            return
        try:
            messages = self._dialect.decode(
                received.text, batch=self.config.batch if "batch" in self._login.granted else 0
            )
        except BadFrame as bad:
            self.rules_broken = True
            self._end(bad.close_code, bad.reason)
            return
        if len(messages) > 1 and self._budget.level(self._now) >= len(messages):
            # All are paid for, and at once. None of a batch is a log-in, which would cost more, or
            # ends the connection.
            free = 0
            for message in messages:
                if type(message) is ChatAck:
                    free += self._moves(message)
                self._dispatch(message)
            self._budget.take(self._now, len(messages) - free)
            return
        for message in messages:
            if self.state == "closing" or not self._may_say(message):
                return
            self._dispatch(message)

    def _moves(self, ack: ChatAck) -> bool:
        """One that moves makes room; it costs nothing."""
        return self._acked < ack.seq <= self._pushed

    def _may_say(self, message: Incoming) -> bool:
        """All that a peer says costs us something. In debt it is read later; with as much again
        said all the same it ends, and this is not taken."""
        if type(message) is ChatAck and self._moves(message):
            return True
        budget = self._budget
        left = budget.take(self._now)
        if left + 1.0 <= -budget.burst:
            budget.take(self._now, -1.0)
            wait = min(budget.wait(self._now), LONGEST)
            self.rules_broken = True
            self._leave()
            self._on_end(talk.End(code=4009, reason="too much at once", retry_after=wait))
            return False
        if left < 0:
            self._pause(talk.Why.RATE)
            self._timers.set(Timer.RATE, self._now + budget.wait(self._now))
        return True

    def _dispatch(self, message: Incoming) -> None:
        known = _ONLINE.get(type(message)) if self.state == "online" else None
        if known is not None:
            needs, handler = known
            if needs is None or needs in self._login.granted:  # what is not granted is not used
                handler(self, message)
        elif isinstance(message, Malformed):
            self._on_malformed(message)
        elif isinstance(message, HeartbeatRequest):
            self._say(HeartbeatResponse())
        elif isinstance(message, AuthRequest):
            self._on_auth(message)
        elif isinstance(message, Message):  # else of a type that we don't know: no failure
            msg_id = getattr(message, "msg_id", None)
            self._say(ChatError(code=codes.NOT_LOGGED_IN, message="log in first", msg_id=msg_id))

    def _on_chat_ack(self, ack: ChatAck) -> None:
        self._acknowledged(ack.seq)

    def _on_sync(self, request: SyncRequest) -> None:
        self._tell(talk.SyncAsked(connection=self.connection, after=request.after))

    def _on_read_receipt(self, receipt: ChatReadReceipt) -> None:
        self._tell(talk.ReadAsked(connection=self.connection, message=receipt))

    def _on_status(self, request: MessageStatusRequest) -> None:
        ids = tuple(request.msg_ids)
        self._tell(talk.StatusAsked(connection=self.connection, msg_ids=ids))

    def _on_typing(self, typing: Typing) -> None:
        self._tell(
            talk.TypingAsked(
                connection=self.connection, to_user=typing.to_user, active=typing.active
            )
        )

    def _on_session(self, request: SessionRequest) -> None:
        self._tell(
            talk.CallRequested(
                connection=self.connection, id=request.id, op=request.op, params=request.params
            )
        )

    def _on_malformed(self, message: Malformed) -> None:
        if message.kind == AuthRequest.kind:
            self.rules_broken = True
            self._say(AuthResponse(code=codes.BAD_REQUEST, message=message.reason))
            self._end(1008, "AUTH_REQUEST can't be read")
            return
        self._say(ChatError(code=codes.BAD_REQUEST, message=message.reason, msg_id=message.msg_id))

    def _on_send(self, message: ChatSendToOne) -> None:
        try:
            check_content(message.content, self.config.content_units)
        except ValueError as error:
            self._refuse_content(message.msg_id, error)
            return
        last = self._out[-1] if self._out else None
        if type(last) is act.TellHub and type(last.talk) is talk.Submitted:
            last.talk.messages.append(message)
        else:
            self._tell(talk.Submitted(self.connection, [message]))

    def _on_broadcast(self, message: ChatSendToAll) -> None:
        try:
            check_content(message.content, self.config.content_units)
        except ValueError as error:
            self._refuse_content(message.msg_id, error)
            return
        self._tell(talk.BroadcastAsked(connection=self.connection, message=message))

    def _refuse_content(self, msg_id: int, error: ValueError) -> None:
        self._say(ChatSendResponse(msg_id=msg_id, code=codes.BAD_REQUEST, message=str(error)))

    def _on_control(self, control: inp.ControlReceived) -> None:
        self._life()
        if control.pong is None or "seq" in self._login.granted:
            return
        if self.state not in ("online", "draining"):
            return
        # a plain peer's ack: the bytes before our ping have arrived (section 1, "Plain clients")
        if control.pong.isdigit() and len(control.pong) <= 19:
            seq = int(control.pong)
            # anything else is nobody's ack: a pong may come unasked (RFC 6455 section 5.5.3)
            if self._acked < seq <= self._pushed:
                self._acknowledged(seq)
            if 0 < self._proving <= seq:
                self._proving = 0
                if seq < self._pushed:
                    self._prove()

    def _acknowledged(self, seq: int) -> None:
        if seq > self._acked:
            self._acked = seq
            if self._timers.get(Timer.STALL) is not None:
                self._timers.set(Timer.STALL, self._now + self.config.stall_timeout)
        self._tell(talk.Acknowledged(self.connection, seq))

    # ------------------------------------------------------------ what the hub says

    def _on_hub(self, told: talk.SendTo) -> None:
        for what in told.said:
            if self.state != "closing" or isinstance(what, talk.End):
                _TOLD[type(what)](self, what)

    def _on_pause(self, pause: talk.Pause) -> None:
        (self._pause if pause.paused else self._unpause)(pause.why)

    def _on_drain(self, _: talk.Drain) -> None:
        if self.state == "online":  # pragma: no branch - only sessions are told
            self._to("drain")
            self._watch_expiry()
            self._pause(talk.Why.DRAINING)

    def _on_answer(self, answer: talk.Answer) -> None:
        message = ChatSendResponse.trusted(
            msg_id=answer.msg_id,
            code=answer.code,
            message=answer.text,
            session_id=answer.session_id,
            timestamp=answer.timestamp if self._login.extended else None,
        )
        self._put(self._dialect.encode(message, inline=self._inline))

    def _on_called(self, answer: talk.CallAnswered) -> None:
        """A peer ends the connection over a frame that it can't take."""
        envelope = self._written(simple(answer))
        largest = self._login.peer_message_bytes
        if largest is not None and len(envelope.encode()) > largest:
            text = "the answer is larger than limits.frameBytes: ask for a smaller pageSize"
            refused = replace(answer, code=codes.BAD_REQUEST, data=None, text=text)
            envelope = self._written(simple(refused))
        self._put(envelope)

    def _on_push(self, push: talk.Push) -> None:
        numbered = "seq" in self._login.granted
        user, encode, inline = self._login.user, self._dialect.encode, self._inline
        for entry in push.entries:
            message = pushed(entry, user, numbered=numbered)
            if message is not None:  # not `_say`: the mailbox says how much waits of these
                self._envelopes.append(encode(message, inline=inline))
        self._pushed = push.entries[-1].seq
        if not numbered:
            self._prove()

    def _on_end(self, end: talk.End) -> None:
        if self.state == "handshaking":
            self._refuse(503, end.reason, wire_seconds(end.retry_after))
            return
        if self._login.extended and self.state != "closing":
            self._say(
                Kick(
                    reason=end.reason,
                    reconnect=end.reconnect,
                    retry_after=wire_seconds(end.retry_after),
                )
            )
        self._end(end.code, end.reason, tell_hub=False)


#: The longest that a peer is sent away for saying too much, in seconds.
LONGEST: Final = 60.0
#: Of what a peer says when it is logged in: what has to be granted for it, and who takes it.
_ONLINE: Final[dict[type, tuple[str | None, Any]]] = {
    ChatSendToOne: (None, ServerCore._on_send),
    ChatSendToAll: (None, ServerCore._on_broadcast),
    ChatAck: ("seq", ServerCore._on_chat_ack),
    SyncRequest: ("seq", ServerCore._on_sync),
    ChatReadReceipt: (None, ServerCore._on_read_receipt),
    MessageStatusRequest: ("status", ServerCore._on_status),
    Typing: ("typing", ServerCore._on_typing),
    SessionRequest: ("sessions", ServerCore._on_session),
}
_TOLD: Final[dict[type, Any]] = {
    **dict.fromkeys(get_args(Simple), lambda core, what: core._say(simple(what))),
    talk.End: ServerCore._on_end,
    talk.Answer: ServerCore._on_answer,
    talk.Push: ServerCore._on_push,
    talk.Welcome: lambda core, _: core._on_welcome(),
    talk.LoggedIn: ServerCore._on_logged_in,
    talk.CallAnswered: ServerCore._on_called,
    talk.Admitted: lambda core, _: core._on_admitted(),
    talk.Pause: ServerCore._on_pause,
    talk.Drain: ServerCore._on_drain,
}
_HANDLERS: Final[dict[type, Any]] = {
    inp.ConnectionLost: ServerCore._on_lost,
    inp.WriteBlocked: ServerCore._on_write_blocked,
    inp.WriteReady: ServerCore._on_write_ready,
    inp.TokenVerified: ServerCore._on_verified,
    inp.TokenRefused: ServerCore._on_refused,
    inp.TimePassed: ServerCore._on_time,
    inp.UpgradeAsked: ServerCore._on_upgrade,
    inp.TextReceived: ServerCore._on_text,
    inp.ControlReceived: ServerCore._on_control,
    inp.PartialChanged: ServerCore._on_partial,
    inp.PeerClosed: ServerCore._on_peer_closed,
    inp.FramingViolated: ServerCore._on_violation,
    talk.SendTo: ServerCore._on_hub,
}
