"""Threads for what a site gives: it may block, for ever if it wants to."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from adapters.adapter_kit import run, until
from im_server.threads import Threads


@run
async def test_a_call_gives_what_the_function_gives_or_raises() -> None:
    threads = Threads()
    assert await threads.call(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 // 0)
    assert await threads.call(threading.get_ident) != threading.get_ident()
    threads.close()


@run
async def test_a_function_knows_the_context_of_its_caller() -> None:
    request = contextvars.ContextVar("request", default="none")
    request.set("of ann")
    threads = Threads()
    assert await threads.call(request.get) == "of ann"
    threads.close()


@run
async def test_so_many_are_called_at_a_time_and_the_rest_in_turn() -> None:
    threads = Threads(2)
    gate, begun, done = threading.Event(), [], []

    def work(n: int) -> None:
        begun.append(n)
        gate.wait(10)
        done.append(n)

    calls = [asyncio.ensure_future(threads.call(work, n)) for n in range(6)]
    await until(lambda: len(begun) == 2)
    assert sorted(begun) == [0, 1]
    gate.set()
    await asyncio.gather(*calls)
    assert sorted(done) == list(range(6))
    used = {await threads.call(threading.get_ident) for _ in range(10)}
    assert len(used) <= 2
    threads.close()


def test_a_call_that_hangs_does_not_keep_the_loop_or_the_process_from_ending() -> None:
    gate, begun = threading.Event(), threading.Event()
    seen: list[threading.Thread] = []

    def hang() -> None:
        seen.append(threading.current_thread())
        begun.set()
        gate.wait()

    async def main() -> None:
        threads = Threads(1)
        task = asyncio.ensure_future(threads.call(hang))
        await until(begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        threads.close()

    try:
        asyncio.run(main())  # an executor would wait here
        assert seen[0].daemon
    finally:
        gate.set()
    seen[0].join(10)
    assert not seen[0].is_alive()
