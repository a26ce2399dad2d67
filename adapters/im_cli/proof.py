"""A proof on the command line: run and watched, ended by signals, told on the screen or in JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar


class Proof(Protocol):
    """What came of it."""

    @property
    def exit_code(self) -> int: ...

    def as_dict(self) -> dict[str, Any]: ...


_P = TypeVar("_P", bound=Proof)
_W = TypeVar("_W")
_T = TypeVar("_T")


def prove(
    watching: AbstractContextManager[_W],
    run: Callable[[_W], Coroutine[Any, Any, _P]],
    *,
    failure: type[Exception],
    show: Callable[[_P], object] | None,
) -> int:
    """Run it and tell of it; returns the exit code.

    Args:
        watching: shows how far it is.
        run: does it.
        failure: what it raises when it could not be run at all.
        show: puts the result on the screen; None: it is written as JSON.
    """
    try:
        with watching as watched:
            result = asyncio.run(until_terminated(run(watched)))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except failure as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if show is None:
        sys.stdout.write(json.dumps(result.as_dict()) + "\n")
    else:
        show(result)
    return result.exit_code


async def until_terminated(work: Coroutine[Any, Any, _T]) -> _T:
    """SIGTERM ends it like Ctrl-C: the servers must not outlive us."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
