"""Plain and async functions of the application, called alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def is_async(function: Callable[..., Any]) -> bool:
    """Does calling it give a coroutine, as far as one can see before?"""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def call(function: Callable[..., Any], *args: object) -> Any:
    """Call it in a thread: StopIteration can't be handed over by a future, and would hang it."""
    try:
        return function(*args)
    except StopIteration as exc:
        raise RuntimeError("the function raised StopIteration") from exc
