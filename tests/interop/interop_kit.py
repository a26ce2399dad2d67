"""Our client and a plain server of the family, over real sockets; and somebody who listens."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

from im_asyncio import ClientConfig, IMClient, IMError, Message
from im_proto.client import events as ev
from im_runtime.callbacks import NAMES
from peers.plain_server import Behaviour, PlainServer
from peers.wire import UserId, Watch

_E = TypeVar("_E")

ANN: Final = 1
BOB: Final = 2
CARL: Final = 3
TOKENS: Final[dict[str, UserId]] = {"token-of-ann": ANN, "token-of-bob": BOB, "token-b": "bravo"}
#: For whatever a healthy machine does in a blink.
PATIENCE: Final = 30.0


@contextlib.asynccontextmanager
async def field(
    *, extensions_allowed: bool = True, more_tokens: dict[str, UserId] | None = None, **does: Any
) -> AsyncIterator[PlainServer]:
    """A plain server; when the test is over, the clients must have broken no rule of section 1.

    `extensions_allowed`: AUTH_REQUEST may ask for section 2; nothing else of it may ever come.
    """
    tokens = TOKENS | (more_tokens or {})
    server = PlainServer(tokens, Behaviour(**does), extensions_allowed=extensions_allowed)
    async with server:
        yield server
    assert server.offences == []


def config(server: PlainServer, **more: Any) -> ClientConfig:
    """Ann's configuration: small delays, nothing left to luck."""
    fields: dict[str, Any] = {
        "ws_url": server.url,
        "token": "token-of-ann",
        "user_id": ANN,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    return ClientConfig(**(fields | more))


class Ear:
    """Hears everything that a client tells; messages only with `messages=True`."""

    def __init__(self, client: IMClient, *, messages: bool = False) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._watch = Watch()
        for name in NAMES:
            if messages or name != "message_received":
                client.on(name, functools.partial(self._heard, name))

    def _heard(self, name: str, *args: Any) -> None:
        self.calls.append((name, args))
        self._watch.changed()

    def all(self, name: str) -> list[Any]:
        """The first arguments of all calls of that name."""
        return [args[0] for called, args in self.calls if called == name]

    def count(self, name: str) -> int:
        """How often that name was called."""
        return sum(called == name for called, _ in self.calls)

    def notices(self, kind: type[_E]) -> list[_E]:
        """All notices of a kind."""
        return [notice for notice in self.all("notice") if isinstance(notice, kind)]

    @property
    def messages(self) -> list[Message]:
        """What came in."""
        return self.all("message_received")

    @property
    def contents(self) -> list[str]:
        """What came in, in words."""
        return [message.content for message in self.messages]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds; looked at after each call."""
        await self._watch.wait_for(lambda: bool(condition()), PATIENCE)

    async def called(self, name: str, times: int = 1) -> None:
        """Wait until that name was called so often."""
        await self.until(lambda: self.count(name) >= times)


def listening(server: PlainServer, *, messages: bool = False, **more: Any) -> tuple[IMClient, Ear]:
    """Ann's client and what it tells."""
    client = IMClient(config(server, **more), callbacks="inline")
    return client, Ear(client, messages=messages)


async def failure(sent: Any) -> IMError:
    """The error that awaiting this ends with."""
    try:
        await sent
    except IMError as error:
        return error
    raise AssertionError(f"{sent!r} did not fail")


def refused(ear: Ear) -> list[ev.ExtensionsRefused]:
    """What was told of a server that can't take section 2."""
    return ear.notices(ev.ExtensionsRefused)
