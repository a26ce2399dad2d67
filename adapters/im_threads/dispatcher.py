"""Calls the application's callbacks: in a thread of their own, in order, one at a time.

What is called next is chosen in the loop's thread (`im_runtime.Calls`); the callbacks' thread
takes it, calls it, and posts how it went. It holds nothing meanwhile, so that a callback may call
and wait for whatever it likes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, Final

from im_runtime import Call, Callback, Callbacks, Calls, Log

from .loop import Alarm, Loop

#: How long an idle thread may take to end, in seconds.
_PATIENCE: Final = 1.0
_HERE = threading.local()

#: What a worker thread is given: a callback, its arguments, and by what its end is known.
_Job = tuple[Callback, tuple[Any, ...], object]


class Dispatcher:
    """Calls callbacks in the order of the events.

    All but `inside` and `join` is called in the loop's thread.

    Args:
        loop: of the client.
        callbacks: who listens.
        log: of the client.
        slow: seconds after which a running callback is reported; None never does.
    """

    def __init__(self, loop: Loop, callbacks: Callbacks, *, log: Log, slow: float | None) -> None:
        self._loop = loop
        self._log = log
        self.calls = Calls(callbacks, log=log, now=loop.now, wake=self._wake, slow=slow)
        self._jobs: SimpleQueue[_Job | None] | None = None
        self._thread: threading.Thread | None = None
        #: those before it, which end by themselves
        self._leaving: list[threading.Thread] = []
        self._call: Call | None = None
        self._rest: Iterator[Callback] = iter(())
        #: by what the end of the callback that is running is known
        self._ticket: object = None
        self._alarm: Alarm | None = None
        self._waiting: list[threading.Event] = []
        self._silent = False
        #: the thread is kept for the next event; without, it ends with the queue
        self.open = False

    @property
    def inside(self) -> bool:
        """Is this code running in one of our callbacks?"""
        return getattr(_HERE, "dispatcher", None) is self

    @property
    def busy(self) -> bool:
        """A callback is running or about to."""
        return self._call is not None or len(self.calls) > 0

    def drained(self) -> threading.Event:
        """Is set when everything that waits has been called."""
        drained = threading.Event()
        if self.busy:
            self._waiting.append(drained)
        else:
            drained.set()
        return drained

    def close(self) -> None:
        """No thread is kept from here on."""
        self.open = False
        if not self.busy:
            self._dismiss()

    def abandon(self) -> None:
        """Forget what waits, and don't wait any more for the callback that is running."""
        self.calls.clear()
        call, self._call, self._ticket = self._call, None, None
        if call is not None:
            self.calls.end()
            self.calls.give_up(call)
            self._thread = None  # it ends when that callback does, whenever that is
        self._dismiss()
        self._idle()

    def silence(self) -> None:
        """Call nothing any more: the program is ending."""
        self._silent = True
        self.abandon()

    def join(self) -> None:
        """After the last `abandon`: wait for the end of the threads that have nothing to do."""
        if not self.inside:
            for thread in self._leaving:
                thread.join(_PATIENCE)

    # -- in the loop's thread

    def _wake(self) -> None:
        if self._call is None:
            self._loop.soon(self._next)

    def _next(self) -> None:
        if self._call is not None or self._silent:
            return
        self._call = self.calls.next()
        if self._call is None:
            if not self.open:
                self._dismiss()
            self._idle()
            return
        self._rest = iter(self._call.callbacks)
        self._begin()

    def _begin(self) -> None:
        """Have the next of the callbacks called that listen to this event."""
        call = self._call
        assert call is not None
        callback = next(self._rest, None)
        if callback is None:
            self._call = None
            self.calls.done(call)
            self._next()
            return
        self.calls.begin(call, callback)
        self._ticket = object()
        self._hand_over((callback, call.args, self._ticket))
        self._look_later()

    def _ended(self, ticket: object, exc: BaseException | None) -> None:
        if ticket is not self._ticket:
            return  # it was given up
        self._ticket = None
        if exc is not None:
            self.calls.raised(exc)
        self.calls.end()
        self._begin()

    def _look_later(self) -> None:
        # One that is armed already goes off early, and is then armed again.
        due = self.calls.slow_at()
        if self._alarm is None and due is not None:
            self._alarm = self._loop.at(due, self._look)

    def _look(self) -> None:
        self._alarm = None
        self.calls.look()
        self._look_later()

    def _idle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for drained in waiting:
            drained.set()

    # -- the thread

    def _hand_over(self, job: _Job) -> None:
        if self._jobs is None:
            jobs: SimpleQueue[_Job | None] = SimpleQueue()
            thread = threading.Thread(
                target=self._run, args=(jobs,), name="im_threads-callbacks", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as exc:  # too many, or the interpreter is about to exit
                self._log.warning("! callbacks can't be called: %s", exc)
                self.abandon()
                return
            self._jobs, self._thread = jobs, thread
        self._jobs.put(job)

    def _dismiss(self) -> None:
        jobs, self._jobs = self._jobs, None
        thread, self._thread = self._thread, None
        if thread is not None:
            self._leaving = [one for one in self._leaving if one.is_alive()] + [thread]
        if jobs is not None:
            jobs.put(None)

    def _run(self, jobs: SimpleQueue[_Job | None]) -> None:
        _HERE.dispatcher = self
        while (job := jobs.get()) is not None:
            callback, args, ticket = job
            exc: BaseException | None = None
            try:
                callback(*args)
            except BaseException as raised:
                exc = raised
            if self._loop.foreign:
                return  # the callback has forked, and this is the child
            self._loop.post(self._ended, ticket, exc)
            del job, callback, args, exc
