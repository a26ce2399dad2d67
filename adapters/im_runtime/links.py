"""What a driver asks of a transport, however its loop does it."""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """One transport, from the wish for it until its socket is gone.

    It feeds the driver with what happens to it, and calls `forget` last.
    """

    #: the engine's number of it
    name: int

    def write(self, data: bytes) -> None:
        """Write it after all that is there; dropped when the link is closing."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Write what waits, then close."""

    def drop(self, *, tell: bool = False) -> None:
        """End it at once; the driver hears of it only with `tell`, but for `forget`."""
