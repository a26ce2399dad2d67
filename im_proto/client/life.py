"""The life of messages beside their way: what this user has read, and who is writing or there.

A read mark is kept until the server has answered it, and said again after each log-in. Typing is of
the moment: what can't be told at once, or after a second, is not told.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .. import validation
from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..timers import Timers
from ..wire import (
    ChatReadReceipt,
    ChatReadReceiptResponse,
    Incoming,
    Outcome,
    Presence,
    Typing,
    TypingPush,
    UserId,
    outcome,
)
from . import events as ev
from .effects import Effects
from .inputs import MarkRead, SetTyping
from .timers import Timer

#: Read marks that are kept, one for each user who wrote; beyond them the oldest goes.
MOST_MARKS: Final = 1000
#: The server takes one TYPING of a conversation in so many seconds (protocol.md section 2).
TYPING_PACE: Final = 1.0


class Mark:
    """What was read of a user's messages: all up to `msg_id`. `said`: over this link."""

    __slots__ = ("msg_id", "said")

    def __init__(self, msg_id: int) -> None:
        self.msg_id = msg_id
        self.said = False


class Rest:
    """A conversation in which TYPING was just said.

    Attributes:
        until: when the next may be said.
        said: the last one.
        wanted: what to say then; None: nothing.
    """

    __slots__ = ("said", "until", "wanted")

    def __init__(self, until: float, said: bool) -> None:
        self.until = until
        self.said = said
        self.wanted: bool | None = None


class Life:
    """Read marks, typing and presence of a client.

    Attributes:
        unsaid: there may be something for `pump`.
    """

    __slots__ = ("_fx", "_marks", "_online", "_resting", "_timers", "_typing", "unsaid")

    def __init__(self, fx: Effects, timers: Timers[Timer]) -> None:
        self._fx = fx
        self._timers = timers
        self._online = False
        self._typing = False
        #: by who wrote
        self._marks: OrderedDict[UserId, Mark] = OrderedDict()
        self.unsaid = False
        #: by conversation, the earliest first
        self._resting: dict[UserId, Rest] = {}

    def online(self, *, typing: bool) -> None:
        """Logged in; `typing`: the server granted it."""
        self._online = self.unsaid = True
        self._typing = typing

    def offline(self) -> None:
        """The link is gone."""
        self._online = self._typing = False
        for mark in self._marks.values():
            mark.said = False
        self._resting.clear()
        self._timers.cancel(Timer.TYPING)

    # ------------------------------------------------------------ what this user has read

    def mark_read(self, wish: MarkRead) -> None:
        """Keep a read mark, in place of an earlier one of the same user.

        Raises:
            LocalProtocolError: no such user or message can be, or the dialect has no read marks.
        """
        if not self._fx.dialect.extensions:  # it has no more than log-in, heartbeat and messages
            raise LocalProtocolError(f"MarkRead: not in the dialect {self._fx.dialect.name!r}")
        try:
            user = validation.user_id(wish.from_user)
            msg_id = validation.msg_id(wish.msg_id)
        except ValueError as error:
            raise LocalProtocolError(f"MarkRead: {error}") from None
        known = self._marks.get(user)
        if known is not None and known.msg_id >= msg_id:
            return
        self._marks.pop(user, None)
        self._marks[user] = Mark(msg_id)
        self.unsaid = True
        if len(self._marks) > MOST_MARKS:
            user, mark = self._marks.popitem(last=False)
            full = IMError(
                IMErrorCode.QUEUE_FULL, f"more than {MOST_MARKS} read marks wait for the server"
            )
            self._fx.notify(ev.ReadRefused(from_user=user, msg_id=mark.msg_id, error=full))

    def pump(self) -> None:
        """Say what was not said on this link."""
        if not self._online:
            return
        self.unsaid = False
        for user, mark in self._marks.items():
            if not mark.said:
                mark.said = True
                self._fx.say(ChatReadReceipt(msg_id=mark.msg_id, from_user=user))

    def _answered(self, response: ChatReadReceiptResponse) -> None:
        """It answers the oldest mark of that msgId; one that was replaced is not waited for."""
        answered = (
            user
            for user, mark in self._marks.items()
            if mark.said and mark.msg_id == response.msg_id
        )
        user = next(answered, None)
        if user is None:
            return
        mark = self._marks.pop(user)
        if outcome(response.code) is not Outcome.SUCCESS:
            error = IMError(
                IMErrorCode.MESSAGE_SEND_FAILED,
                "the server refused the read mark",
                server_code=response.code,
                server_text=response.message,
            )
            self._fx.notify(ev.ReadRefused(from_user=user, msg_id=mark.msg_id, error=error))

    # ------------------------------------------------------------ who is writing

    def set_typing(self, wish: SetTyping) -> None:
        """Say it, if the server takes it: at once, or, if it has changed, when the pace allows.

        Raises:
            LocalProtocolError: no such user can be.
        """
        try:
            user = validation.user_id(wish.to_user)
        except ValueError as error:
            raise LocalProtocolError(f"SetTyping: {error}") from None
        if not self._typing:
            return
        self.typing_due()
        rest = self._resting.get(user)
        if rest is None:
            self._say_typing(user, wish.active)
            return
        rest.wanted = wish.active if wish.active != rest.said else None
        self._watch()

    def typing_due(self) -> None:
        """Conversations have rested: say what is still to be said."""
        for user, rest in list(self._resting.items()):
            if rest.until > self._fx.now:
                break
            del self._resting[user]
            if rest.wanted is not None:
                self._say_typing(user, rest.wanted)
        self._watch()

    def _say_typing(self, user: UserId, active: bool) -> None:
        self._fx.say(Typing(to_user=user, active=active))
        self._resting[user] = Rest(self._fx.now + TYPING_PACE, active)

    def _watch(self) -> None:
        waiting = (rest.until for rest in self._resting.values() if rest.wanted is not None)
        until = next(waiting, None)
        if until is None:
            self._timers.cancel(Timer.TYPING)
        else:
            self._timers.set(Timer.TYPING, until)

    # ------------------------------------------------------------ what comes in

    def heard(self, message: Incoming) -> None:
        """The server said this."""
        if isinstance(message, ChatReadReceiptResponse):
            self._answered(message)
        elif isinstance(message, TypingPush):
            self._fx.notify(ev.TypingChanged(from_user=message.from_user, active=message.active))
        elif isinstance(message, Presence):
            self._fx.notify(
                ev.PresenceChanged(
                    user=message.user, online=message.online, last_seen=message.last_seen
                )
            )
