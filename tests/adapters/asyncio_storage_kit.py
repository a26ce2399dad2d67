"""An asyncio client with storage, and a server that remembers, for the scripted peer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, config
from adapters.storage_kit import Memory
from im_asyncio import IMClient
from im_proto.wire import AuthRequest


def serving(memory: Memory) -> Callable[[Connection], Any]:
    """The server of that memory."""

    async def script(connection: Connection) -> None:
        await connection.accept()
        connection.send(*memory.welcome(await connection.next(AuthRequest)))
        while True:
            connection.send(*memory.answer(await connection.receive()))

    return script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is, or will be."""
    return tmp_path / "bot.db"


def client_of(peer: Peer | str, path: Path | None, **more: Any) -> IMClient:
    """A client that is not connected, with its journal at `path`, if any."""
    url = peer if isinstance(peer, str) else peer.url
    return IMClient(config(url, **more), storage=path, durability="process")
