"""Tells what happens in the lab to whoever listens: Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

#: Events that may wait for a listener; one that is so far behind has to come again.
_WAITING: Final = 1_000
#: An event as a browser reads it; None: the end.
_Said = str | None


def said(name: str, data: Any) -> str:
    """An event of the stream (HTML Standard, section 9.2)."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


class Events:
    """A stream for each who listens.

    Args:
        present: how things stand, which a listener is told first: by the names of events.
    """

    def __init__(self, present: Callable[[], Mapping[str, Any]]) -> None:
        self._present = present
        self._listeners: set[asyncio.Queue[_Said]] = set()
        self._closed = False

    def tell(self, name: str, data: Any) -> None:
        """Tell all of them."""
        event = said(name, data)
        for listener in list(self._listeners):
            if listener.qsize() >= _WAITING:
                self._end(listener)
            else:
                listener.put_nowait(event)

    def close(self) -> None:
        """End all streams, and each that is asked for later."""
        self._closed = True
        for listener in list(self._listeners):
            self._end(listener)

    async def listen(self) -> AsyncIterator[str]:
        """What happens from now on, until it ends."""
        listener: asyncio.Queue[_Said] = asyncio.Queue()
        for name, data in self._present().items():
            listener.put_nowait(said(name, data))
        self._listeners.add(listener)
        if self._closed:
            self._end(listener)
        try:
            while (event := await listener.get()) is not None:
                yield event
        finally:
            self._listeners.discard(listener)

    def _end(self, listener: asyncio.Queue[_Said]) -> None:
        self._listeners.discard(listener)
        listener.put_nowait(None)
