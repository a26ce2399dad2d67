"""Functions of the application: plain and async called alike, and how they are named in a log."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from im_proto.client.inputs import TokenFailed, TokenReady
from im_proto.errors import printable


def is_async(function: Callable[..., Any]) -> bool:
    """Does calling it give a coroutine, as far as one can see before?"""
    # What most are, first: this is asked for each call of a callback.
    if type(function) is FunctionType:
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE) or (
            inspect.iscoroutinefunction(function)
        )
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def call(function: Callable[..., Any], *args: object) -> Any:
    """Call it in a thread: StopIteration can't be handed over by a future, and would hang it."""
    try:
        return function(*args)
    except StopIteration as exc:
        raise RuntimeError("the function raised StopIteration") from exc


def qualified(function: object) -> str:
    """Its name with its module: what a log calls it."""
    while isinstance(function, functools.partial):
        function = function.func
    named = function if isinstance(getattr(function, "__qualname__", None), str) else type(function)
    return printable(f"{named.__module__}.{named.__qualname__}")  # type: ignore[attr-defined]


def token_ready(request: int, token: object) -> TokenReady:
    """What the token function has returned, for the engine.

    Raises:
        TypeError: it is no str.
    """
    if not isinstance(token, str):
        raise TypeError(f"the token function returned a {type(token).__name__}, no str")
    return TokenReady(request=request, token=token)


def token_failed(request: int, exc: BaseException) -> TokenFailed:
    """Why there is no token, for the engine.

    Only the exception's name: its text may hold a secret of the application, and is logged.
    """
    return TokenFailed(request=request, reason=type(exc).__name__)
