"""One thread that owns what it is given, and the way for all other threads to talk to it.

Everything that belongs to a client (its engine, its sockets, its timers, its queues) is touched in
this thread alone. A call of another thread is a function that is posted to it and waited for. This
needs no lock around the engine, and so nothing can be held while code of the application runs;
and a `KeyboardInterrupt`, which hits the main thread anywhere, can end a wait there, but can't
tear a step of the engine in two.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from im_proto.errors import LocalProtocolError

from .own import own

_T = TypeVar("_T")
#: How long the thread stays when there is nothing to do for it, in seconds.
_LINGER: Final = 1.0
#: How long a log handler of the application may hold up the end of the thread, in seconds.
_PATIENCE: Final = 5.0
#: Nothing sleeps longer than this without a look at the clock, in seconds.
_LONGEST: Final = 3600.0
#: Windows lets no Ctrl-C through while a thread waits, so it waits this long at a time, in seconds.
_SLICE: Final = 0.25 if sys.platform == "win32" else _LONGEST
#: A wake-up may be early by the clock's resolution, 16 ms on Windows: that is on time.
_RESOLUTION: Final = time.get_clock_info("monotonic").resolution

Handler = Callable[[int], None]


class Alarm:
    """A function that is called at its time, unless it is cancelled."""

    __slots__ = ("function", "when")

    def __init__(self, when: float, function: Callable[[], None]) -> None:
        self.when = when
        self.function: Callable[[], None] | None = function

    def __lt__(self, other: Alarm) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """It is not called."""
        self.function = None


class _Call:
    """A function that another thread waits for."""

    __slots__ = ("args", "done", "error", "function", "result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function(*self.args)
        except BaseException as exc:
            self.error = exc
        finally:
            self.done.set()


class Loop:
    """A thread with a selector, alarms, and a queue of functions.

    The thread starts with the first call that needs it. It ends soon after the last one when it is
    not `busy`, and with `end`.

    Args:
        name: of the thread.
        busy: does anything live here that needs the thread?
        failed: takes an exception that is a bug of ours.
    """

    def __init__(
        self, name: str, *, busy: Callable[[], bool], failed: Callable[[Exception], None]
    ) -> None:
        self._name = name
        self._busy = busy
        self._failed = failed
        self._process = os.getpid()
        # Held for moments, to start the thread; the thread itself only ever tries to take it.
        self._gate = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._left = True
        self._owner = threading.Lock()
        self._ident = 0
        self._posts: deque[Callable[[], object]] = deque()
        self._soon: deque[Callable[[], None]] = deque()
        self._alarms: list[Alarm] = []
        self._asleep = False
        self._waker: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        #: no thread any more, for good
        self.ended = False
        #: the program is ending: other threads stay where they are, instead of being told so
        self.frozen = False

    # ------------------------------------------------------------ for all threads

    @property
    def foreign(self) -> bool:
        """Is this another process than the one that the client was made in?"""
        return os.getpid() != self._process

    @property
    def inside(self) -> bool:
        """Is this code running in the loop's thread?"""
        return threading.get_ident() == self._ident

    @property
    def running(self) -> bool:
        """Is there a thread?"""
        return not self._left

    def check(self) -> None:
        """May this code wait for the thread?

        Raises:
            LocalProtocolError: no: it runs in a child process, or in the thread itself.
        """
        if self.foreign:
            raise LocalProtocolError(
                "this client belongs to the process that forked this one: make a new client here"
            )
        if self.inside:
            raise LocalProtocolError("this call waits, which a log handler of the client may not")

    def ask(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call it in the thread and wait for its result. It must not block.

        After the end it is called at once, as there is no thread any more.

        Raises:
            LocalProtocolError: in a child process, and where no thread can be started.
            OSError: too many files are open.
        """
        if self.inside and not self.foreign:
            return function(*args)
        self.check()
        self._stay_if_frozen()
        call = _Call(function, args)
        if not self._post(call.run):
            self._join()
            return function(*args)
        self.wait(call.done)
        error, call.error = call.error, None
        if error is not None:
            raise error
        result: _T = call.result
        return result

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have it called in the thread, some time soon; not in a child, and not after the end."""
        if not self.foreign:
            self._post(partial(function, *args))

    def wait(self, event: threading.Event, timeout: float | None = None) -> bool:
        """Wait for what the thread will set; False if it was not set within so many seconds.

        Raises:
            LocalProtocolError: nobody would set it: in a child process, and in the thread itself.
        """
        if not event.is_set():
            self.check()
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not event.is_set() and (left := end - time.monotonic()) > 0.0:
            event.wait(min(_SLICE, left))
        self._stay_if_frozen()
        return event.is_set()

    def _stay_if_frozen(self) -> None:
        """The program is ending, and has only daemon threads: none of them is to notice."""
        if self.frozen and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()

    def end(self, last: Callable[[], None]) -> None:
        """Call that, and nothing more; returns when there is no thread. Twice is no error."""
        with self._gate:
            if not self.ended:
                self._posts.append(last)
                self.ended = True
            if self._left:
                while self._posts:
                    self._guarded(self._posts.popleft())
        self._join()

    def _join(self) -> None:
        self._wake()
        for thread in list(self._threads):
            if thread.ident not in (None, threading.get_ident()):
                thread.join(_PATIENCE)

    def _post(self, function: Callable[[], object]) -> bool:
        """False: there is no thread, for good."""
        with self._gate:
            if self.ended:
                return False
            self._posts.append(function)
            if self._left:
                self._begin()
        if self._asleep:
            self._wake()
        return True

    def _begin(self) -> None:
        """Start a thread. If a Ctrl-C hits in here, there may be two: one waits for the other."""
        try:
            wakers, selector = socket.socketpair(), selectors.DefaultSelector()
        except OSError:  # too many files are open
            self._posts.pop()
            raise
        thread = threading.Thread(
            target=self._run, args=(*wakers, selector), name=self._name, daemon=True
        )
        self._threads = [one for one in self._threads if one.ident is None or one.is_alive()]
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # too many, or the interpreter is about to exit
            self._threads.remove(thread)
            self._posts.pop()
            for one in (*wakers, selector):
                one.close()
            raise LocalProtocolError(f"the client's thread can't be started: {exc}") from exc
        self._left = False

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            # closed: the thread has ended meanwhile; full: it is awake by that
            with contextlib.suppress(OSError):
                waker.send(b"\0")

    # ------------------------------------------------------------ for the thread itself

    @staticmethod
    def now() -> float:
        """Seconds, never going back."""
        return time.monotonic()

    def soon(self, function: Callable[[], None]) -> None:
        """Call it before the thread sleeps again."""
        self._soon.append(function)

    def at(self, when: float, function: Callable[[], None]) -> Alarm:
        """Call it when `now()` is `when`."""
        alarm = Alarm(when, function)
        heapq.heappush(self._alarms, alarm)
        return alarm

    def watch(self, raw: socket.socket, events: int, handler: Handler) -> None:
        """Call the handler with what a socket is ready for, out of `events`; 0 ends it."""
        assert self._selector is not None
        try:
            self._selector.get_key(raw)
        except KeyError:
            if events:
                self._selector.register(raw, events, handler)
            return
        if events:
            self._selector.modify(raw, events, handler)
        else:
            self._selector.unregister(raw)

    def _run(
        self, near: socket.socket, far: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        for raw in (near, far):
            raw.setblocking(False)
            own(raw)
        with self._owner:
            self._ident = threading.get_ident()
            self._left, self._waker, self._selector = False, far, selector
            selector.register(near, selectors.EVENT_READ, lambda _: self._drain(near))
            self._serve()
            self._ident = 0
        for one in (near, far, selector):
            one.close()

    def _serve(self) -> None:
        until = self.now() + _LINGER
        while True:
            if self._posts or self._busy():
                until = self.now() + _LINGER
            self._turn()
            if self.ended or self.now() >= until:
                if self._leave():
                    return
                until = self.now()
            self._guarded(self._sleep, until)

    def _leave(self) -> bool:
        """Go, unless somebody has just come, or the last turn has begun something."""
        if not self._gate.acquire(blocking=False):
            return False
        try:
            if self._posts or self._soon or (self._busy() and not self.ended):
                return False
            self._left, self._waker = True, None
            return True
        finally:
            self._gate.release()

    def _turn(self) -> None:
        """What is due now."""
        for _ in range(len(self._posts)):
            self._guarded(self._posts.popleft())
        due = []
        now = self.now() + _RESOLUTION
        while self._alarms and self._alarms[0].when <= now:
            due.append(heapq.heappop(self._alarms))
        for alarm in due:
            if alarm.function is not None:
                self._guarded(alarm.function)
        # last, as the rest asks for it
        for _ in range(len(self._soon)):
            self._guarded(self._soon.popleft())

    def _sleep(self, until: float) -> None:
        """Wait for a socket, an alarm or a post."""
        while self._alarms and self._alarms[0].function is None:
            heapq.heappop(self._alarms)
        if self._busy():
            until = self._alarms[0].when if self._alarms else math.inf
        self._asleep = True
        # Whoever posts looks at `_asleep` afterwards, so that one of the two sees the other.
        timeout = 0.0 if self._posts or self._soon else until - self.now()
        assert self._selector is not None
        ready = self._selector.select(min(max(0.0, timeout), _LONGEST))
        self._asleep = False
        for key, events in ready:
            self._guarded(key.data, events)

    def _guarded(self, function: Callable[..., object], *args: Any) -> None:
        """Call it; whatever it raises is a bug, and does not end the thread."""
        try:
            function(*args)
        except BaseException as exc:
            try:
                self._failed(exc if isinstance(exc, Exception) else RuntimeError(repr(exc)))
            except Exception as another:
                told = (type(another), another, another.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(told))

    @staticmethod
    def _drain(near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            near.recv(4096)
