"""The application's token function: slow, failing, nobody waiting for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ....client import events as ev
from ....errors import IMErrorCode
from ....wire import AuthRequest, AuthResponse
from ..bench import Bench
from ..case import Chapter
from ..failure import Failed

TOKENS = Chapter()
_FETCH = "FetchToken: call the function where it holds nobody up; TokenReady or TokenFailed"
_CANCEL = "CancelToken: forget the request; what the function returns later is nobody's"


class _Slow:
    """A token function that answers when it is told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.gates = [threading.Event() for _ in answers]
        self._left = iter(zip(answers, self.gates, strict=True))
        self._called = threading.Semaphore(0)

    def __call__(self) -> str:
        answer, gate = next(self._left)
        self._called.release()
        gate.wait(60.0)
        return answer

    def wait(self) -> None:
        """Wait until it is called."""
        if not self._called.acquire(timeout=30.0):
            raise Failed("the token function was not called: FetchToken was not carried out")


@TOKENS.case(
    must="While the token function takes its time the client goes on: calls return, timers run.",
    look=_FETCH + ": a plain function in a thread, an async one in a task",
)
def a_slow_token_function(bench: Bench) -> None:
    peer = bench.peer()
    slow = _Slow("slow-token")
    bench.client(peer.url(), token=slow)
    connecting = bench.connecting()
    slow.wait()
    try:
        bench.call("feed() while the token function runs", lambda: bench.send("queued")).result()
    finally:
        slow.gates[0].set()
    connection = peer.accept()
    used = connection.log_in().access_token
    connecting.result()
    if used != slow.answers[0]:
        raise Failed("the log-in used another token than the function returned")
    if connection.take(1) != ["queued"]:
        raise Failed("what was queued while the token function ran did not go out")


@TOKENS.case(
    must="A token function that raises is TokenFailed; its text, which may hold a secret, is not "
    "told on.",
    look="FetchToken: catch what the function raises; give its name as the reason, not its text",
)
def a_token_function_that_raises(bench: Bench) -> None:
    def fails() -> str:
        raise ValueError("hunter2")

    _refuses(bench, fails)


@TOKENS.case(
    must="A token function that returns no text is TokenFailed.",
    look="FetchToken: check that the function returned a str before you say TokenReady",
)
def a_token_function_that_returns_no_text(bench: Bench) -> None:
    _refuses(bench, lambda: None)  # type: ignore[arg-type,return-value]


def _refuses(bench: Bench, source: Callable[[], str]) -> None:
    peer = bench.peer()
    bench.client(peer.url(), token=source)
    error = bench.connecting().im_error()
    if error.code is not IMErrorCode.AUTH_FAILED:
        raise Failed(f"connect() raised {error}; AUTH_FAILED was due")
    if "hunter2" in str(error):
        raise Failed(f"the text of the function's exception is in the error: {error}")
    bench.nothing_left()


@TOKENS.case(
    must="A token function that answers too late has lost: connect() fails at its deadline, and "
    "the late token is not used.",
    look=_CANCEL,
)
def a_token_that_comes_too_late(bench: Bench) -> None:
    peer = bench.peer()
    slow = _Slow("late-token", "fresh-token")
    bench.client(peer.url(), token=slow, timeouts={"token": 1.2})
    connecting = bench.connecting()
    slow.wait()
    try:
        connecting.im_error()
        bench.nothing_left()
        again = bench.connecting()
        slow.wait()
        slow.gates[0].set()
        peer.nobody_comes(0.1, "only the token of a request that was cancelled has come")
    finally:
        for gate in slow.gates:
            gate.set()
    used = peer.accept().log_in().access_token
    again.result()
    if used != slow.answers[1]:
        raise Failed("the late token of a request that was cancelled was used")


@TOKENS.case(
    must="A connect() that is cancelled while the token function runs ends at once.",
    look=_CANCEL + "; never wait for a thread that runs the application's code",
)
def cancel_while_the_token_is_fetched(bench: Bench) -> None:
    peer = bench.peer()
    slow = _Slow("token")
    bench.client(peer.url(), token=slow)
    connecting = bench.connecting()
    slow.wait()
    try:
        bench.cancel(connecting)
        bench.nothing_left()
    finally:
        slow.gates[0].set()
    peer.nobody_comes(0.05, "connect() was cancelled")


@TOKENS.case(
    must="When the server refuses a token the function is asked for another, which is then used.",
    look="FetchToken: it may come many times, each with a request number of its own",
)
def a_refused_token_is_replaced(bench: Bench) -> None:
    peer = bench.peer()
    answers = ["old", "new"]
    tokens = iter(answers)
    bench.client(peer.url(), token=lambda: next(tokens))
    connecting = bench.connecting()
    first = peer.accept()
    first.accept()
    first.next(AuthRequest)
    first.say(AuthResponse(code=40101))
    second = peer.accept()
    used = second.log_in().access_token
    connecting.result()
    if used != answers[1]:
        raise Failed(f"the second log-in used the token {used!r}")
    bench.wait(ev.Authenticated)
