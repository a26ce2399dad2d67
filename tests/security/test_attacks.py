"""Every attack, once, against a real server: it gets its documented answer, nothing of it is left,
and two who chat at the same time don't notice.

One server is attacked by all of them in turn, in a thread of its own: what one attack leaves
behind would be met by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pytest

from im_asyncio import ClientConfig, IMClient
from security.attacks import ATTACKS, Aim, Attack, once
from server.server_kit import Running, running_server, token

_T = TypeVar("_T")
ANN: Final = 1
BOB: Final = 2
#: Seconds in which whatever an attack leaves behind has to be gone.
PATIENCE: Final = 60.0
#: A server that is quick to lose patience, and small enough to be flooded soon.
LIMITS: Final[dict[str, Any]] = {
    "handshake_timeout": 0.5,
    "auth_timeout": 1.0,
    "partial_timeout": 1.5,
    "stall_timeout": 1.0,
    "close_timeout": 0.5,
    "connections_per_address": 120,
    "arrivals_per_address": 4_000.0,
    "arrivals_burst": 4_000,
    "fault_arrivals": 0,
    "bad_tokens_burst": 4_000,
    "connections_per_user": 16,
    "messages_per_second": 200.0,
    "message_burst": 100,
    "envelopes_per_second": 300.0,
    "envelope_burst": 400,
    "unacked": 64,
    # one attack follows another at once: what each is answered must not depend on the one before
    "admissions": 400,
    "admissions_per_address": 4_000,
}
#: A thousand questions each, as fast as the server answers them.
SLOW: Final = frozenset({"call flood", "status flood"})


@dataclass
class Pair:
    """Ann and Bob, who write to each other all the time."""

    ann: IMClient
    bob: IMClient
    said: int = 0
    heard: list[str] = field(default_factory=list)
    lost_links: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @contextlib.asynccontextmanager
    async def chatting(cls, url: str) -> AsyncIterator[Pair]:
        """From here on."""
        configs = [ClientConfig(ws_url=url, token=token(u), user_id=u) for u in (ANN, BOB)]
        pair = cls(*(IMClient(config, callbacks="inline") for config in configs))
        pair.bob.on("message_received", lambda message: pair._hear(message.content))
        try:
            for client in (pair.ann, pair.bob):
                client.on("reconnecting", lambda *_: pair._lost())
                await client.connect()
            yield pair
        finally:
            await pair.ann.close()
            await pair.bob.close()

    def _lost(self) -> None:
        self.lost_links += 1

    def _hear(self, content: str) -> None:
        self.heard.append(content)
        self._more.set()

    async def say(self) -> None:
        """One message, until it is accepted and Bob has it."""
        self.said += 1
        content = f"#{self.said}"
        await self.ann.send_message(BOB, content)
        while content not in self.heard[-1:]:
            self._more.clear()
            await self._more.wait()

    async def chat(self) -> None:
        """Go on until cancelled, slower than any limit."""
        while True:
            await self.say()
            await asyncio.sleep(0.02)

    def check(self) -> None:
        """Nothing was lost, nothing came twice or in another order, no link was lost."""
        assert self.heard == [f"#{n}" for n in range(1, self.said + 1)]
        assert self.lost_links == 0


class Field:
    """A server and a pair in a thread of their own, and what a test does to them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="attacked")
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        self._users = itertools.count(1_000)
        try:
            self.server, self.pair = self.run(self._start())
        except BaseException:
            self.close()
            raise

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End everything."""
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> tuple[Running, Pair]:
        server = await self._stack.enter_async_context(running_server(**LIMITS))
        pair = await self._stack.enter_async_context(Pair.chatting(server.url))
        await pair.say()  # so that the two have a session
        return server, pair

    def aim(self, attack: Attack) -> Aim:
        """An attacker with accounts that nobody had before."""
        return Aim(
            "127.0.0.1",
            self.server.port,
            token,
            rng=random.Random(attack.name),
            users=self._users,
            victim=ANN,
        )

    async def attack(self, attack: Attack) -> Aim:
        """Attack once, while the pair chats."""
        aim = self.aim(attack)
        said = self.pair.said
        chat = asyncio.create_task(self.pair.chat())
        try:
            await once(attack, aim)
            # one that began and ended meanwhile, at least; nothing tells of it
            while self.pair.said < said + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            chat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await chat
        # the last one may have been cut off anywhere: wait for what it has left
        async with asyncio.timeout(PATIENCE):
            while len(self.pair.heard) < self.pair.said:
                self.pair._more.clear()
                await self.pair._more.wait()
        return aim

    async def settled(self) -> None:
        """Wait until nothing is left but the pair."""
        async with asyncio.timeout(PATIENCE):
            while self.left() != (2, 2, 0):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def left(self) -> tuple[int, int, int]:
        """Connections of the gateway, connections of uvicorn, and its tasks."""
        gateway = self.server.server.runner._gateway
        assert gateway is not None
        state = self.server.state
        return len(gateway.engines), len(state.connections), len(state.tasks)


@pytest.fixture(scope="module")
def attacked() -> Iterator[Field]:
    """The one server."""
    field = Field()
    try:
        yield field
    finally:
        field.close()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            attack,
            id=attack.name.replace(" ", "-"),
            marks=[pytest.mark.slow] if attack.name in SLOW else [],
        )
        for attack in ATTACKS.values()
    ],
)
def test_an_attack_gets_its_documented_answer_and_others_dont_notice(
    attacked: Field, attack: Attack
) -> None:
    aim = attacked.run(attacked.attack(attack))
    answers = aim.tally.answers.keys()
    assert answers, "the server said nothing"
    assert attack.answers <= answers <= attack.answers | attack.also
    attacked.run(attacked.settled())
    attacked.pair.check()
