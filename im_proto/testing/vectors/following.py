"""Which ways through the engine a step takes: a life that takes a new one is worth keeping."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ... import client, wire

#: (file, line, the line after it)
Way = tuple[str, int, int]
_FOLDERS: Final = tuple(str(Path(package.__file__ or "").parent) for package in (client, wire))


@contextmanager
def followed(ways: set[Way]) -> Iterator[None]:
    """Add the ways that are taken meanwhile. Who traces already, is asked again afterwards."""

    def enter(frame: FrameType, _: str, __: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_FOLDERS):
            return None
        last = 0

        def go_on(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            if event == "line":
                ways.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return go_on

        return go_on

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
