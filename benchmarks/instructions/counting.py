"""Counts the instructions that our own code takes."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final

from benchmarks.paths import PATHS, pieces

_OURS: Final = "im_proto"
#: Pieces of work that come before those that count, since some things are done once.
_BEFORE: Final = 3
#: Those that count.
_COUNTED: Final = 4


def executed(work: Callable[[], object]) -> int:
    """Instructions that `work` takes in im_proto.

    Collections wait: what they end is no part of the work.
    """
    count = 0
    ours: dict[CodeType, bool] = {}

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        return local

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in ours:
            # not by the file: what dataclasses generates has none, and is ours all the same
            ours[code] = str(frame.f_globals.get("__name__")).partition(".")[0] == _OURS
        if not ours[code]:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return local

    before = sys.gettrace()
    gc.collect()
    gc.disable()
    sys.settrace(entered)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def cost(path: str) -> float:
    """Instructions for a message (a heartbeat, a transition) on a path of PATHS."""
    some = pieces(path, random.Random(0))
    for _ in range(_BEFORE):
        next(some).run()
    instructions = messages = 0
    for _ in range(_COUNTED):
        work = next(some)
        instructions += executed(work.run)
        messages += work.count
    return round(instructions / messages, 2)


def costs() -> dict[str, float]:
    """Of all paths."""
    return {path: cost(path) for path in PATHS}
