"""Bytes as a source of decisions, for a fuzzer to turn over; and the way back, for seeds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Self, TypeVar

_T = TypeVar("_T")

#: The form of a target: any bytes are an episode, and what breaks an invariant raises.
Target = Callable[[bytes], None]

_WHOLE: Final = 0
_SINGLE: Final = 1


class Feed:
    """Reads decisions from the front. Behind the end all is zero, empty, the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        """Nothing is left."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """0 to 255."""
        at, self._at = self._at, self._at + 1
        return self._data[at] if at < len(self._data) else 0

    def flag(self) -> bool:
        """Yes or no."""
        return self.byte() % 2 == 1

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of them."""
        return choices[self.byte() % len(choices)]

    def chunk(self) -> bytes:
        """Some bytes, after two that say how many; fewer where the data ends."""
        size = self.byte() * 256 + self.byte()
        chunk = self._data[self._at : self._at + size]
        self._at += size
        return chunk

    def text(self) -> str:
        """A chunk as text, with lone surrogates if it has them."""
        return as_text(self.chunk())

    def rest(self) -> bytes:
        """All that is left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest


class Tape:
    """Writes what a `Feed` reads."""

    def __init__(self) -> None:
        self.data = b""

    def byte(self, *values: int) -> Self:
        """Numbers, flags and picks by their index."""
        self.data += bytes(values)
        return self

    def pick(self, choices: Sequence[_T], chosen: _T) -> Self:
        """A pick by its value."""
        return self.byte(choices.index(chosen))

    def chunk(self, chunk: bytes | str) -> Self:
        """A chunk or a text."""
        chunk = chunk.encode() if isinstance(chunk, str) else chunk
        self.data += len(chunk).to_bytes(2, "big") + chunk
        return self

    def rest(self, rest: bytes) -> Self:
        """The end."""
        self.data += rest
        return self


def as_text(data: bytes) -> str:
    """UTF-8 with lone surrogates if it can be that, else a character for each byte."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def cut(data: bytes, how: int) -> list[bytes]:
    """The same bytes as they may arrive: whole (0), one by one (1), or in pieces of some sizes."""
    if how == _WHOLE:
        return [data]
    if how == _SINGLE:
        return [data[at : at + 1] for at in range(len(data))]
    rng = random.Random(how)
    pieces, at = [], 0
    while at < len(data):
        size = rng.choice((1, 2, 7, 30, 200))
        pieces.append(data[at : at + size])
        at += size
    return pieces
