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
from collections.abc import Callable, Sequence
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


#: Named, as to look a member of an Enum up takes 0.05 us, and this is needed for each message.
_RETURNED: Final = Outcome.RETURNED


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
    """One event on its way to its callbacks.

    Args:
        name: of the callback.
        args: what it is called with.
    """

    __slots__ = ("args", "callbacks", "name", "raised")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.args = args
        #: who is to be called; known when its turn has come
        self.callbacks: Sequence[Callback] = ()
        self.raised = False

    @property
    def minor(self) -> bool:
        """It may be dropped, if it must be: it isn't about a message that was sent or received."""
        return self.name not in _MAJOR

    def wanted(self) -> bool:
        """Asked just before its turn; False passes the event over."""
        return True

    def end(self, outcome: Outcome) -> None:
        """Told what became of it."""


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
        #: what is being called, since when, and whether it was reported as slow
        self._call: Call | None = None
        self._callback: Callback | None = None
        self._since = 0.0
        self._reported = False
        #: when the last callback was over
        self.ended = 0.0

    def __len__(self) -> int:
        return len(self._queue) + (self._dropped > 0)

    # -- in

    def put(self, name: str, *args: object) -> None:
        """Have `name` called with `args`, after all that was put before."""
        self.add(Call(name, args))

    def add(self, call: Call, *, first: bool = False) -> None:
        """Have this called after all that was put before, or, with `first`, before all of it."""
        self._queue[call] = None
        if first:
            self._queue.move_to_end(call, last=False)
        if call.name not in _MAJOR:
            self._minor[call] = None
            if len(self._minor) > MINOR_KEPT:
                self._drop(next(iter(self._minor)))
        self._wake()

    def _drop(self, call: Call) -> None:
        if not self._dropped:
            self._log.warning("! too many callbacks wait: those not about messages are dropped")
        self._dropped += 1
        self.withdraw(call)
        call.end(Outcome.NOT_CALLED)

    def withdraw(self, call: Call) -> None:
        """Don't call it, if its turn has not come yet; it hears nothing of an end."""
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
            call = Call("notice", (CallbacksDropped(count=count),))
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
        if call.name in self._callbacks and call.wanted():
            call.callbacks = self._callbacks.take(call.name)
        return bool(call.callbacks)

    def begin(self, call: Call, callback: Callback) -> None:
        """This one is called now."""
        self._call, self._callback = call, callback
        self._since = self._now()
        self._reported = False

    def raised(self, exc: BaseException) -> None:
        """The one that was begun has raised: the log and the `error` callback hear of it."""
        call, function = self._call, qualified(self._callback)
        assert call is not None
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
        call, self._call = self._call, None
        assert call is not None
        self.ended = self._now()
        if self._slow is not None:
            seconds = self.ended - self._since
            if self._reported or seconds >= self._slow:
                self._report(call, seconds, ended=True)
        self._callback = None

    def done(self, call: Call) -> None:
        """All of its callbacks were called."""
        call.end(Outcome.RAISED if call.raised else _RETURNED)

    def give_up(self, call: Call) -> None:
        """Its callbacks were not all called, or not to their end."""
        call.end(Outcome.NOT_CALLED)

    # -- slow ones

    def slow_at(self) -> float | None:
        """When `look` is to be called, on the clock `now`; None: there is nothing to look for."""
        if self._call is None or self._reported or self._slow is None:
            return None
        return self._since + self._slow

    def look(self) -> None:
        """Report the running callback if it is slow, once."""
        due = self.slow_at()
        now = self._now()
        if self._call is not None and due is not None and now >= due:
            self._reported = True
            self._report(self._call, now - self._since, ended=False)

    def _report(self, call: Call, seconds: float, *, ended: bool) -> None:
        name, function = call.name, qualified(self._callback)
        what = "was running for" if ended else "has been running for"
        self._log.warning("! the callback %s (%s) %s %.3f s", name, function, what, seconds)
        if name != "notice" and "notice" in self._callbacks:
            self.put(
                "notice",
                SlowCallback(name=name, function=function, seconds=seconds, ended=ended),
            )

    def explain(self) -> str:
        """The slow callback that is running, in plain words; "" if there is none."""
        if self._call is None or not self._reported:
            return ""
        seconds = self._now() - self._since
        return (
            f"The callback {self._call.name} ({qualified(self._callback)}) has been running "
            f"for {seconds:.1f} s, and {len(self)} others wait for it."
        )
