"""What the application wants of a client, and whether the client still tries."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from im_proto.client.events import ConnectionState
from im_proto.errors import IMError, IMErrorCode


class Phase(Enum):
    """What the application wants of the client."""

    #: connect() was never called
    NEW = auto()
    #: connect() was called
    OPEN = auto()
    #: disconnect() is under way
    CLOSING = auto()
    #: nothing is running
    CLOSED = auto()


class Supply(Enum):
    """Can messages still come?"""

    #: yes, now or later
    FLOWING = auto()
    #: disconnect() was called
    DRY = auto()


#: Named, as to look a member of an Enum up takes 0.05 us, and these are needed for each message.
_FLOWING: Final = Supply.FLOWING
_ENDING: Final = (Phase.CLOSING, Phase.CLOSED)


class Login:
    """Somebody who waits in connect().

    Args:
        retry: failed attempts are no end of it.
        wake: called once, when it has its end.
    """

    def __init__(self, *, retry: bool, wake: Callable[[], None]) -> None:
        self.retry = retry
        self._wake = wake
        self.ended = False
        #: why there is no log-in; None if there is one
        self.error: IMError | None = None

    def end(self, error: IMError | None) -> None:
        """It has its end; a second one changes nothing."""
        if not self.ended:
            self.ended, self.error = True, error
            self._wake()


class Standing:
    """Phase, who waits in connect(), and why the client has given up. Adapters add the waiting.

    Args:
        changed: called when the phase, or `gave_up`, is another one.
    """

    def __init__(self, *, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.logins: set[Login] = set()
        self.phase = Phase.NEW
        #: why the client will not go on by itself
        self.gave_up: IMError | None = None

    @property
    def in_use(self) -> bool:
        """There may be a transport, a task, a thread or a timer."""
        return self.phase in (Phase.OPEN, Phase.CLOSING)

    def supply(self) -> Supply | IMError:
        """Can messages still come? An error: the client has given up over it."""
        if self.gave_up is not None:
            return self.gave_up
        return Supply.DRY if self.phase in _ENDING else _FLOWING

    # -- what the engine tells

    def logged_in(self) -> None:
        """A log-in succeeded."""
        self.gave_up = None
        for login in self.logins:
            login.end(None)

    def trouble(self, error: IMError, *, another_way: bool) -> None:
        """An attempt, or a link, failed; with `another_way` it is no failure of connect() yet."""
        if error.terminal:
            self.gave_up = error
            self._changed()
        for login in self.logins:
            if error.terminal or not (login.retry or another_way):
                login.end(error)

    def trying(self) -> None:
        """The engine wants a connection (again)."""
        self.gave_up = None

    # -- what the application does

    def leave(self, login: Login, error: IMError | None) -> bool:
        """connect() has failed, or nobody waits in it any more.

        Returns whether it was the last that waited: then all that it has begun is to end.
        """
        login.end(error)
        waited = login in self.logins
        self.logins.discard(login)
        last = waited and all(other.ended for other in self.logins)
        if last and self.phase is Phase.OPEN:
            self.gave_up = error
        return last

    def turn_away(self) -> None:
        """disconnect() has begun: nobody waits in connect() any more, and no message comes."""
        for login in self.logins:
            login.end(IMError(IMErrorCode.CONNECTION_FAILED, "disconnect() was called meanwhile"))
        self._changed()


def not_in_time(state: ConnectionState, timeout: float) -> IMError:
    """connect() has waited so many seconds."""
    error = IMError(
        IMErrorCode.CONNECTION_TIMEOUT, f"not logged in within {timeout:g} s: {state.reason}"
    )
    error.__cause__ = state.last_error
    return error
