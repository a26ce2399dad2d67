"""One connection at the server, on whole text frames: `ServerCore`.

It reads the peer's messages, answers what it can answer alone (heartbeats, bad forms), asks the
hub for the rest. It stores nothing; its deadlines and its end are those of `connection.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

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
        self._look_behind()
        self._flush()
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ what comes in

    def _on_text(self, received: inp.TextReceived) -> None:
        self._life()
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
        for message in messages:
            if self.state == "closing" or not self._may_say(message):
                return
            self._dispatch(message)

    def _may_say(self, message: Incoming) -> bool:
        """All that a peer says costs us something, but an ack that moves makes room. In debt the
        peer is read later; with as much again said all the same it ends, and this is not taken."""
        if isinstance(message, ChatAck) and self._acked < message.seq <= self._pushed:
            return True
        budget = self._budget
        if budget.level(self._now) <= -budget.burst:
            wait = min(budget.wait(self._now), LONGEST)
            self.rules_broken = True
            self._leave()
            self._on_end(talk.End(code=4009, reason="too much at once", retry_after=wait))
            return False
        if budget.take(self._now) < 0:
            self._pause(talk.Why.RATE)
            self._timers.set(Timer.RATE, self._now + budget.wait(self._now))
        return True

    def _dispatch(self, message: Incoming) -> None:
        if isinstance(message, Malformed):
            self._on_malformed(message)
        elif isinstance(message, HeartbeatRequest):
            self._say(HeartbeatResponse())
        elif isinstance(message, AuthRequest):
            self._on_auth(message)
        elif not isinstance(message, Message):
            return  # of a type that this side doesn't know: no failure
        elif self.state != "online":
            msg_id = getattr(message, "msg_id", None)
            self._say(ChatError(code=codes.NOT_LOGGED_IN, message="log in first", msg_id=msg_id))
        elif isinstance(message, ChatSendToOne | ChatSendToAll):
            self._on_send(message)
        elif isinstance(message, ChatAck | SyncRequest) and "seq" not in self._login.granted:
            return  # what is not granted is not used
        elif isinstance(message, ChatAck):
            self._acknowledged(message.seq)
        elif isinstance(message, SyncRequest):
            self._tell(talk.SyncAsked(connection=self.connection, after=message.after))
        elif isinstance(message, ChatReadReceipt):
            self._tell(talk.ReadAsked(connection=self.connection, message=message))
        elif _NEEDS.get(type(message)) in self._login.granted:
            self._on_extension(message)

    def _on_extension(self, message: Message) -> None:
        if isinstance(message, MessageStatusRequest):
            ids = tuple(message.msg_ids)
            self._tell(talk.StatusAsked(connection=self.connection, msg_ids=ids))
        elif isinstance(message, Typing):
            self._tell(
                talk.TypingAsked(
                    connection=self.connection, to_user=message.to_user, active=message.active
                )
            )
        elif isinstance(message, SessionRequest):  # pragma: no branch - the last of _NEEDS
            self._tell(
                talk.CallRequested(
                    connection=self.connection,
                    id=message.id,
                    op=message.op,
                    params=message.params,
                )
            )

    def _on_malformed(self, message: Malformed) -> None:
        if message.kind == AuthRequest.kind:
            self.rules_broken = True
            self._say(AuthResponse(code=codes.BAD_REQUEST, message=message.reason))
            self._end(1008, "AUTH_REQUEST can't be read")
            return
        self._say(ChatError(code=codes.BAD_REQUEST, message=message.reason, msg_id=message.msg_id))

    def _on_send(self, message: ChatSendToOne | ChatSendToAll) -> None:
        try:
            check_content(message.content, self.config.content_units)
        except ValueError as error:
            self._say(
                ChatSendResponse(msg_id=message.msg_id, code=codes.BAD_REQUEST, message=str(error))
            )
            return
        if isinstance(message, ChatSendToAll):
            self._tell(talk.BroadcastAsked(connection=self.connection, message=message))
        else:
            self._tell(talk.Submitted(connection=self.connection, message=message))

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
        self._tell(talk.Acknowledged(connection=self.connection, seq=seq))

    # ------------------------------------------------------------ what the hub says

    def _on_hub(self, said: talk.SendTo) -> None:
        what = said.talk
        if isinstance(what, talk.End):
            self._on_end(what)
        elif self.state == "closing":
            return
        elif isinstance(what, talk.Answer):
            self._on_answer(what)
        elif isinstance(what, talk.Push):
            self._on_push(what)
        elif isinstance(what, talk.Welcome):
            self._on_welcome()
        elif isinstance(what, talk.LoggedIn):
            self._on_logged_in(what)
        elif isinstance(what, talk.CallAnswered):
            self._on_called(what)
        elif isinstance(what, Simple):
            self._say(simple(what))
        elif isinstance(what, talk.Admitted):
            self._on_admitted()
        elif isinstance(what, talk.Pause):
            (self._pause if what.paused else self._unpause)(what.why)
        elif self.state == "online":  # Drain  # pragma: no branch - only sessions are told
            self._to("drain")
            self._watch_expiry()
            self._pause(talk.Why.DRAINING)

    def _on_answer(self, answer: talk.Answer) -> None:
        self._say(
            ChatSendResponse(
                msg_id=answer.msg_id,
                code=answer.code,
                message=answer.text,
                session_id=answer.session_id,
                timestamp=answer.timestamp if self._login.extended else None,
            )
        )

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
        for entry in push.entries:
            message = pushed(entry, self._login.user, numbered=numbered)
            if message is not None:  # not `_say`: the mailbox says how much waits of these
                self._envelopes.append(self._written(message))
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
#: What is granted to those who may say this.
_NEEDS: Final[dict[type, str]] = {
    MessageStatusRequest: "status",
    Typing: "typing",
    SessionRequest: "sessions",
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
