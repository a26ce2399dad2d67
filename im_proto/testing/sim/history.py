"""What happened, a line each: kept as a short tail, or written in full to a file."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, Final

from ...client.events import ConnectionState
from ...errors import IMError

#: Lines that are kept for a failure's report.
TAIL: Final = 60
#: Characters of one value.
_WIDTH: Final = 120


class SimulationFailure(AssertionError):
    """A promise was broken, or a run did not come to rest.

    Attributes:
        seed: of the world.
        at: virtual time, in seconds.
        step: how many engine steps there had been.
        tail: the last lines of the history.
    """

    def __init__(self, text: str, *, seed: int, at: float, step: int, tail: list[str]) -> None:
        super().__init__(f"seed {seed}, at {at:.6f} s, step {step}: {text}\n" + "\n".join(tail))
        self.text = text
        self.seed = seed
        self.at = at
        self.step = step
        self.tail = tail


class History:
    """The tail of what happened, and all of it for a `sink`.

    Without a sink nothing is written out until somebody asks: a note costs one tuple.

    Args:
        sink: takes one line at a time, without its end.
    """

    __slots__ = ("_sink", "_tail")

    def __init__(self, sink: Callable[[str], object] | None = None) -> None:
        self._sink = sink
        self._tail: deque[tuple[float, str, str, object]] = deque(maxlen=TAIL)

    def note(self, at: float, who: str, direction: str, what: object) -> None:
        """Note something.

        Args:
            at: virtual time, in seconds.
            who: a node's name, or "world".
            direction: `<` an input, `>` an action, `*` an event for the application, `!` a fault,
                `=` anything else.
            what: a dataclass or a text.
        """
        if self._sink is not None:
            self._sink(line(at, who, direction, what))
        self._tail.append((at, who, direction, what))

    def tail(self) -> list[str]:
        """The last lines."""
        return [line(*note) for note in self._tail]


def line(at: float, who: str, direction: str, what: object) -> str:
    """One line: the same for the same thing in every process."""
    return f"{at:13.6f} {who:<10} {direction} {_words(what)}"


def _words(what: object) -> str:
    if isinstance(what, str):
        return what
    if is_dataclass(what):
        parts = [
            # what shows in no repr is a token; of bytes there is no more than a sum to see
            f"{f.name}={_value(value) if f.repr or isinstance(value, bytes) else '…'}"
            for f in fields(what)
            for value in [getattr(what, f.name)]
        ]
        return " ".join((type(what).__name__, *parts))
    return _value(what)


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)}:{zlib.crc32(value):08x}"
    if isinstance(value, frozenset | set):
        return "{" + ",".join(sorted(map(_value, value))) + "}"
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, IMError):
        return f"{value.code}/{value.server_code}"
    if isinstance(value, ConnectionState):
        return f"{value.status}({value.reason})"
    if isinstance(value, float):
        return f"{value:.6f}"
    if is_dataclass(value):
        return f"({_words(value)})"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
