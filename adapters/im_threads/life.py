"""connect(), disconnect() and close(): a client's way from new to open, to closed, and back.

What changes does so in the loop's thread, which also brings an end that has begun to its end, in
bounded time. The threads that call only wait, so that a Ctrl-C there leaves nothing half done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from im_proto.client.engine import ClientEngine
from im_proto.client.events import Status
from im_proto.client.inputs import Connect, Disconnect
from im_proto.errors import IMError, LocalProtocolError
from im_runtime import Log, Login, Phase, Standing, not_in_time

from .dispatcher import Dispatcher
from .driver import Driver
from .loop import Alarm, Loop

#: How much longer than the engine's own deadlines an end may take, in seconds.
_MARGIN: Final = 1.0


class Life(Standing):
    """Opens and closes a client; no socket and no timer is left when it is closed.

    Args:
        engine: asked for its state.
        loop: of the client.
        log: of the client.
        driver: does the I/O.
        dispatcher: calls the callbacks.
        close_timeout: seconds that an end may take.
        changed: called when the phase, or `gave_up`, is another one.
        closed: called once, at the very end.
    """

    def __init__(
        self,
        engine: ClientEngine,
        loop: Loop,
        *,
        log: Log,
        close_timeout: float,
        changed: Callable[[], None],
        closed: Callable[[], None],
    ) -> None:
        super().__init__(changed=changed)
        self._engine = engine
        self._loop = loop
        self._log = log
        self._limit = close_timeout + _MARGIN
        self._told_closed = closed
        self._gone = threading.Event()
        self._alarm: Alarm | None = None
        #: set by the client, which makes them later
        self.driver: Driver
        self.dispatcher: Dispatcher

    @property
    def busy(self) -> bool:
        """The loop's thread is needed."""
        waiting = self.dispatcher.busy or self.driver.awaited()
        return self.in_use or waiting or not (self.driver.quiet and self.driver.written)

    # ------------------------------------------------------------ any thread

    def connect(self, timeout: float | None, *, retry: bool) -> None:
        """See `IMClient.connect`."""
        self._loop.check()
        end = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if end is None else end - time.monotonic()

        answered = threading.Event()
        login = Login(retry=retry, wake=answered.set)
        try:
            while (gone := self._loop.ask(self._begin, login)) is not None:
                if not self._loop.wait(gone, left()):
                    break
            self._loop.wait(answered, left())
            gone = self._loop.ask(self._judge, login, timeout)
        except BaseException:
            self._loop.post(self._give_up, login, None, True)
            raise
        if login.error is None:
            # Not before: until it was known here, a Ctrl-C ended what it had begun.
            self._loop.post(self.logins.discard, login)
            return
        if gone is not None:
            self._until_gone(gone)
        raise login.error from login.error.__cause__

    def disconnect(self) -> None:
        """See `IMClient.disconnect`."""
        self._loop.check()
        self._until_gone()

    def close(self) -> None:
        """See `IMClient.close`."""
        self._loop.check()
        try:
            if self._loop.running:
                self.disconnect()
                self._loop.wait(self._loop.ask(self.driver.until_written), self._limit)
        finally:
            self._loop.end(self._finish)
            self.driver.close_journal(_MARGIN)
            self.dispatcher.join()

    def begin_to_exit(self) -> threading.Event | None:
        """The program ends, and has not closed the client; what to wait for, if anything."""
        if self._loop.foreign or not self._loop.running:
            return None
        self._loop.frozen = True
        return self._loop.ask(self._say_goodbye)

    def exit(self, gone: threading.Event, timeout: float) -> None:
        """Wait until it has said goodbye, but no longer than that."""
        end = time.monotonic() + timeout
        self._loop.wait(gone, timeout)
        written = self._loop.ask(self.driver.until_written)
        self._loop.wait(written, end - time.monotonic())
        self._loop.end(self._finish)
        self.driver.close_journal(end - time.monotonic())

    def _until_gone(self, gone: threading.Event | None = None) -> None:
        """Have the end begin, unless it has; wait for it, and until the callbacks were called."""
        try:
            self._loop.wait(gone or self._loop.ask(self._begin_to_close))
            if not self.dispatcher.inside:
                drained = self._loop.ask(self.dispatcher.drained)
                if not self._loop.wait(drained, self._limit):
                    self._loop.ask(self._abandon)
        except BaseException:
            self._loop.post(self._hurry)
            raise

    # ------------------------------------------------------------ the loop's thread

    def _begin(self, login: Login) -> threading.Event | None:
        """Open it; or what to wait for before that."""
        if self._loop.ended:
            raise LocalProtocolError("connect(): this client is closed, for good")
        if self.phase is Phase.OPEN and not self.driver.active:
            self._close(abort=True)  # a bug has ended it without the engine
        if self.phase is Phase.CLOSING:
            return self._gone
        self.phase = Phase.OPEN
        self.driver.active = self.dispatcher.open = True
        self.gave_up = None
        self.driver.step(Connect())
        if self._engine.state().status is Status.AUTHENTICATED:
            login.end(None)
        else:
            self.logins.add(login)
        return None

    def _judge(self, login: Login, timeout: float | None) -> threading.Event | None:
        """Whoever waited in connect() has been woken, or has waited long enough."""
        abort = not login.ended
        if abort:
            login.end(not_in_time(self._engine.state(), timeout or 0.0))
        return None if login.error is None else self._give_up(login, login.error, abort)

    def _give_up(self, login: Login, error: IMError | None, abort: bool) -> threading.Event | None:
        """connect() has failed: end everything, unless another connect() still waits."""
        if not self.leave(login, error):
            return None
        if self.phase is Phase.OPEN:
            self._close(abort=abort)
        return self._gone

    def _begin_to_close(self) -> threading.Event:
        self.gave_up = None
        if self.phase is Phase.OPEN:
            self._close(abort=False)
        elif self.phase is not Phase.CLOSING:
            if self.driver.awaited():
                self.driver.feed(Disconnect())  # ends what needs no connection
            self._gone.set()
        return self._gone

    def _say_goodbye(self) -> threading.Event:
        self.dispatcher.silence()
        return self._begin_to_close()

    def _close(self, *, abort: bool) -> None:
        self.phase = Phase.CLOSING
        self._gone = threading.Event()
        self.driver.feed(Disconnect())
        self.turn_away()
        if abort:
            self.driver.abort()
        else:
            self._alarm = self._loop.at(self._loop.now() + self._limit, self.driver.abort)
        self.quiet()

    def quiet(self) -> None:
        """Are the transports gone that an end waits for?"""
        if self.phase is not Phase.CLOSING or not self.driver.quiet:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.driver.stop()
        self.phase = Phase.CLOSED
        self.dispatcher.close()
        self._gone.set()

    def _hurry(self) -> None:
        """Whoever waited for the end doesn't any more."""
        if self.phase is Phase.CLOSING:
            self.driver.abort()
        self._abandon()

    def _abandon(self) -> None:
        if self.in_use or not self.dispatcher.busy:
            return
        self._log.warning("! a callback still runs after disconnect(); nobody waits for it")
        self.dispatcher.abandon()

    def _finish(self) -> None:
        """The last thing that the loop's thread does."""
        if self.phase is Phase.OPEN:  # connect() came in between
            self._close(abort=True)
        self.driver.turn_ended()
        self.driver.abort()
        self.quiet()
        self.phase = Phase.CLOSED
        self._gone.set()
        self.dispatcher.abandon()
        self.turn_away()
        self._told_closed()
