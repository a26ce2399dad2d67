"""What a client hears of its server: each message goes to the part that it concerns."""

from __future__ import annotations

from typing import Any, Final

from ..wire import (
    AuthExpiring,
    AuthResponse,
    BadFrame,
    ChatAnswer,
    ChatError,
    ChatRedirectToUser,
    ChatSendResponse,
    HeartbeatResponse,
    Incoming,
    Kick,
    Malformed,
    MessageStatusResponse,
    ReadSync,
    ReceiptPush,
    SessionResponse,
    SyncResponse,
    Unknown,
)
from ..wire.codes import SESSION_CLOSED
from . import events as ev
from . import inputs as inp
from .receiving import Push
from .timers import Timer
from .welcome import Welcome

#: What a server that grants `batch` may send us in one array.
MAX_BATCH: Final = 1024


class Hearing(Welcome):
    """A core that hears; see `ClientCore`."""

    __slots__ = ()

    def _on_text(self, received: inp.TextReceived) -> None:
        if self.connection != "open":
            return
        self.liveness.life()
        if self._half:
            self._half = False
            self.timers.cancel(Timer.PARTIAL)
        try:
            messages = self.fx.dialect.decode(
                received.text, batch=MAX_BATCH if "batch" in self.capabilities else 0
            )
        except BadFrame as bad:
            self._violated(bad.reason, bad.close_code)
            return
        for message in messages:
            if self.connection != "open":
                return
            _SAID.get(type(message), _OF_LIFE)(self, message)

    def _said_push(self, push: Push) -> None:
        trouble = self.receiving.pushed(push)
        if trouble is not None:
            self._in_trouble(trouble)

    def _said_answer(self, answer: ChatSendResponse | ChatAnswer) -> None:
        counters = self.fx.counters
        accepted = counters.accepted
        trouble = self.sending.answered(answer)
        if counters.accepted > accepted:  # and not of something that we never sent
            self.login.message_accepted()
            return
        if type(answer) is ChatSendResponse and answer.code == SESSION_CLOSED:
            self._in_trouble(trouble)
            self.sessions.cache.send_refused(answer.session_id)
        elif trouble is not None:
            self._in_trouble(trouble)

    def _said_heartbeat(self, _: HeartbeatResponse) -> None:
        self.fx.notify(ev.HeartbeatReceived(rtt=self.liveness.answered(self.fx.now)))

    def _said_error(self, error: ChatError) -> None:
        self._in_trouble(self.sending.refused(error))

    def _said_status(self, response: MessageStatusResponse) -> None:
        self.sending.told_status(response)

    def _said_sync(self, response: SyncResponse) -> None:
        self.receiving.synced(response)

    def _said_session(self, response: SessionResponse) -> None:
        self._in_trouble(self.sessions.responded(response))

    def _said_expiring(self, expiring: AuthExpiring) -> None:
        self.refresh.expiring(expiring.expires_in)

    def _said_kick(self, kick: Kick) -> None:
        self._kick, self._kicked_at = kick, self.fx.now
        self.login.excused()  # no strict server has this word

    def _said_nonsense(self, bad: Malformed) -> None:
        self._violated(f"{bad.kind or 'an envelope'}: {bad.reason}")

    def _said_of_life(self, message: Incoming) -> None:
        self.life.heard(message)

    def _on_control(self, _: inp.ControlReceived) -> None:
        self.liveness.life()

    def _on_partial(self, changed: inp.PartialChanged) -> None:
        self._half = changed.partial and self.connection == "open"
        if not self._half:
            self.timers.cancel(Timer.PARTIAL)
        elif self.timers.get(Timer.PARTIAL) is None and not self.paused:
            self.timers.set(Timer.PARTIAL, self.fx.now + self.config.timeouts.partial)


_OF_LIFE: Final = Hearing._said_of_life
#: What comes in, by its class; all else is of `life`.
_SAID: Final[dict[type, Any]] = {
    ChatRedirectToUser: Hearing._said_push,
    ReceiptPush: Hearing._said_push,
    ReadSync: Hearing._said_push,
    Unknown: Hearing._said_push,
    ChatSendResponse: Hearing._said_answer,
    ChatAnswer: Hearing._said_answer,
    HeartbeatResponse: Hearing._said_heartbeat,
    AuthResponse: Hearing._on_auth_response,
    ChatError: Hearing._said_error,
    MessageStatusResponse: Hearing._said_status,
    SyncResponse: Hearing._said_sync,
    SessionResponse: Hearing._said_session,
    AuthExpiring: Hearing._said_expiring,
    Kick: Hearing._said_kick,
    Malformed: Hearing._said_nonsense,
}
