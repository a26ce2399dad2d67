"""What waits to be called, and what is being called: callbacks in order, one at a time.

There is no loop, no thread and no lock in here. A runner (a task, a thread) drives it:

    while (call := calls.next()) is not None:
        try:
            for callback in call.callbacks:
                calls.begin(call, callback)
                try:
                    callback(*call.args)
                except Exception as exc:
                    calls.raised(exc)
                finally:
                    calls.end()
        except BaseException:
            calls.give_up(call)
            raise
        calls.done(call)

With threads, every method is called in the one thread, or under the one lock, in which the engine
is stepped, and the callback itself elsewhere, under none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from im_proto.errors import IMError, IMErrorCode, LocalProtocolError

from .callbacks import Callback, Callbacks
from .functions import qualified
from .log import Log

#: So many calls may wait that aren't about a message; beyond, the oldest of them are dropped. Those
#: about a message never are: of received ones there are at most `ClientConfig.max_unhandled`, and
#: of the others one for each message that the application itself has sent, which it stops itself.
MINOR_KEPT: Final = 1000
_MAJOR: Final = frozenset({"message_received", "message_sent", "message_failed", "undeliverable"})


def check_slow(slow: float | None) -> None:
    """May that be `slow_callback`?

    Raises:
        LocalProtocolError: it is no number of seconds above 0.
    """
    if slow is not None and not slow > 0:
        raise LocalProtocolError("slow_callback is a number of seconds above 0, or None")


class Outcome(Enum):
    """What became of one event."""

    RETURNED = auto()
    RAISED = auto()
    #: nobody listened any more, the event was not wanted any more, or the call was given up
    NOT_CALLED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCallback:
    """A callback takes longer than `slow_callback`; all others wait for it. Heartbeats go on.

    It is told when the time is exceeded, and again when the callback has ended at last. The notice
    waits for its turn behind that callback; the log and `explain()` have it at once.

    Attributes:
        name: of the callback.
        function: its qualified name.
        seconds: how long it has been running, or has run.
        ended: is it over?
    """

    name: str
    function: str
    seconds: float
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbacksDropped:
    """Callbacks that waited behind a slow one were not called: too many.

    Only those that are not about a message are dropped, the oldest first. `count` is how many
    since this was told last.
    """

    count: int


class Call:
    """One event on its way to its callbacks."""

    __slots__ = ("args", "callbacks", "name", "raised", "then", "wanted")

    def __init__(
        self,
        name: str,
        args: tuple[Any, ...],
        wanted: Callable[[], bool] | None,
        then: Callable[[Outcome], None] | None,
    ) -> None:
        self.name = name
        self.args = args
        self.wanted = wanted
        self.then = then
        #: who is to be called; known when its turn has come
        self.callbacks: list[Callback] = []
        self.raised = False

    @property
    def minor(self) -> bool:
        """It may be dropped, if it must be: it isn't about a message that was sent or received."""
        return self.name not in _MAJOR

    def end(self, outcome: Outcome) -> None:
        if self.then is not None:
            self.then(outcome)


class _Running:
    __slots__ = ("call", "callback", "reported", "since")

    def __init__(self, call: Call, callback: Callback, since: float) -> None:
        self.call = call
        self.callback = callback
        self.since = since
        self.reported = False


class Calls:
    """The queue of what is to be called.

    Args:
        callbacks: who listens.
        log: of the client.
        now: seconds on a monotonic clock.
        wake: called when there is something to call; it must not call back.
        slow: seconds after which a running callback is reported; None never does.

    Raises:
        LocalProtocolError: `slow` is no number of seconds above 0.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        *,
        log: Log,
        now: Callable[[], float],
        wake: Callable[[], None],
        slow: float | None,
    ) -> None:
        check_slow(slow)
        self._callbacks = callbacks
        self._log = log
        self._now = now
        self._wake = wake
        self._slow = slow
        self._queue: OrderedDict[Call, None] = OrderedDict()
        self._minor: OrderedDict[Call, None] = OrderedDict()
        self._dropped = 0
        self._running: _Running | None = None

    def __len__(self) -> int:
        return len(self._queue) + (self._dropped > 0)

    # -- in

    def put(
        self,
        name: str,
        *args: object,
        wanted: Callable[[], bool] | None = None,
        then: Callable[[Outcome], None] | None = None,
        first: bool = False,
    ) -> Call:
        """Have `name` called with `args`, after all that was put before.

        Args:
            name: of the callback.
            args: what it is called with.
            wanted: asked just before; False passes the event over.
            then: told what became of it.
            first: before all of it instead.
        """
        call = Call(name, args, wanted, then)
        self._queue[call] = None
        if first:
            self._queue.move_to_end(call, last=False)
        if name not in _MAJOR:
            self._minor[call] = None
            if len(self._minor) > MINOR_KEPT:
                self._drop(next(iter(self._minor)))
        self._wake()
        return call

    def _drop(self, call: Call) -> None:
        if not self._dropped:
            self._log.warning("! too many callbacks wait: those not about messages are dropped")
        self._dropped += 1
        self.withdraw(call)
        call.end(Outcome.NOT_CALLED)

    def withdraw(self, call: Call) -> None:
        """Don't call it, if its turn has not come yet; `then` hears nothing."""
        self._queue.pop(call, None)
        self._minor.pop(call, None)

    def clear(self) -> None:
        """Forget what waits."""
        waiting = list(self._queue)
        self._queue.clear()
        self._minor.clear()
        for call in waiting:
            call.end(Outcome.NOT_CALLED)

    # -- out

    def next(self) -> Call | None:
        """The next event that somebody wants to hear of, to call its `callbacks`; None: no more."""
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self._log.warning("! %d callbacks were dropped", count)
            call = Call("notice", (CallbacksDropped(count=count),), None, None)
            if self._is_for_somebody(call):
                return call
        while self._queue:
            call, _ = self._queue.popitem(last=False)
            if self._minor:
                self._minor.pop(call, None)
            if self._is_for_somebody(call):
                return call
            call.end(Outcome.NOT_CALLED)
        return None

    def _is_for_somebody(self, call: Call) -> bool:
        if call.name in self._callbacks and (call.wanted is None or call.wanted()):
            call.callbacks = self._callbacks.take(call.name)
        return bool(call.callbacks)

    def begin(self, call: Call, callback: Callback) -> None:
        """This one is called now."""
        self._running = _Running(call, callback, self._now())

    def raised(self, exc: BaseException) -> None:
        """The one that was begun has raised: the log and the `error` callback hear of it."""
        assert self._running is not None
        call, function = self._running.call, qualified(self._running.callback)
        call.raised = True
        kind = type(exc).__name__
        self._log.bug(exc, "! the callback %s raised %s (%s)", call.name, kind, function)
        if call.name != "error" and "error" in self._callbacks:
            text = f"the callback {call.name} raised {kind} ({function})"
            error = IMError(IMErrorCode.UNKNOWN_ERROR, text)
            error.__cause__ = exc
            self.put("error", error)

    def end(self) -> None:
        """The one that was begun is over, however."""
        running, self._running = self._running, None
        assert running is not None
        if self._slow is not None:
            seconds = self._now() - running.since
            if running.reported or seconds >= self._slow:
                self._report(running, seconds, ended=True)

    def done(self, call: Call) -> None:
        """All of its callbacks were called."""
        call.end(Outcome.RAISED if call.raised else Outcome.RETURNED)

    def give_up(self, call: Call) -> None:
        """Its callbacks were not all called, or not to their end."""
        call.end(Outcome.NOT_CALLED)

    # -- slow ones

    def slow_at(self) -> float | None:
        """When `look` is to be called, on the clock `now`; None: there is nothing to look for."""
        running = self._running
        if running is None or running.reported or self._slow is None:
            return None
        return running.since + self._slow

    def look(self) -> None:
        """Report the running callback if it is slow, once."""
        due = self.slow_at()
        now = self._now()
        if self._running is not None and due is not None and now >= due:
            self._running.reported = True
            self._report(self._running, now - self._running.since, ended=False)

    def _report(self, running: _Running, seconds: float, *, ended: bool) -> None:
        name, function = running.call.name, qualified(running.callback)
        what = "was running for" if ended else "has been running for"
        self._log.warning("! the callback %s (%s) %s %.3f s", name, function, what, seconds)
        if name != "notice" and "notice" in self._callbacks:
            self.put(
                "notice",
                SlowCallback(name=name, function=function, seconds=seconds, ended=ended),
            )

    def explain(self) -> str:
        """The slow callback that is running, in plain words; "" if there is none."""
        running = self._running
        if running is None or not running.reported:
            return ""
        seconds = self._now() - running.since
        return (
            f"The callback {running.call.name} ({qualified(running.callback)}) has been running "
            f"for {seconds:.1f} s, and {len(self)} others wait for it."
        )
