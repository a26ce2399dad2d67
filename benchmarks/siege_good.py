"""The good users of a siege, in a process of their own: pairs that chat, and tell what they see.

    python benchmarks/siege_good.py URL CLIENTS SEED

The secret is in IM_SECRET. Each second a line of JSON; ends when its input does, with a line that
says what became of all messages.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

from im_asyncio import ClientConfig, IMClient, IMError, Message
from im_server import make_token

#: Seconds from one message of a user to the next, on average.
PACE: Final = 2.0
#: Of the messages, those that are as long as a message may be.
LONG: Final = 0.05
#: One of so many users is a bot, which says so much at once, and then rests for as long as it
#: would have taken others.
BOTS: Final = 20
BURST: Final = 20
#: Seconds in which, at the end, all that was said has to have arrived.
PATIENCE: Final = 60.0


@dataclass
class User:
    """One user: what it says, and what it hears from its other half."""

    number: int
    peer: int
    client: IMClient
    rng: random.Random
    said: int = 0
    failed: int = 0
    lost_links: int = 0
    heard: list[int] = field(default_factory=list)
    #: milliseconds from the call to the other application, since the last line
    latencies: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, url: str, number: int, secret: str, seed: int) -> User:
        """The user with that id; 1 and 2 are a pair, 3 and 4 …"""
        token = make_token(number, secret)
        client = IMClient(ClientConfig(ws_url=url, token=token, user_id=number), callbacks="inline")
        peer = number + 1 if number % 2 else number - 1
        user = cls(number, peer, client, random.Random(f"{seed} {number}"))
        client.on("message_received", user._hear)
        client.on("message_failed", user._fail)
        client.on("reconnecting", user._lose)
        return user

    def _hear(self, message: Message) -> None:
        if message.from_user != self.peer:
            return  # an attacker's
        number, said_at = message.content.split()[:2]
        self.heard.append(int(number))
        self.latencies.append((time.monotonic() - float(said_at)) * 1000)
        if self.rng.random() < 0.5:
            self.client.mark_read(message)

    def _fail(self, _: object) -> None:
        self.failed += 1

    def _lose(self, *_: object) -> None:
        self.lost_links += 1

    async def chat(self) -> None:
        """Say something now and then, and do what people do besides."""
        while True:
            burst = 1 if self.number % BOTS else BURST
            await asyncio.sleep(min(self.rng.expovariate(1 / PACE), 5 * PACE) * burst)
            does = self.rng.random()
            if does < 0.3:
                self.client.typing(self.peer)
            elif does < 0.4:
                await self._look()
            elif does < 0.42:
                await self._come_back()
            for _ in range(burst):
                self.said += 1
                long = "." * 900 if self.rng.random() < LONG else "hello"
                self.client.queue_message(self.peer, f"{self.said} {time.monotonic():.6f} {long}")

    async def _look(self) -> None:
        try:
            match self.rng.randrange(3):
                case 0:
                    await self.client.get_current_sessions()
                case 1:
                    await self.client.get_or_create_session(0, self.number, self.peer)
                case _:
                    await anext(aiter(self.client.history(peer_id=self.peer)), None)
        except IMError:
            self.failed += 1

    async def _come_back(self) -> None:
        """As a page does that is loaded again."""
        await self.client.disconnect()
        await self.client.connect(retry=True)


def _line(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _end(users: dict[int, User]) -> dict[str, int]:
    """What became of all messages."""
    found = dict.fromkeys(("said", "lost", "duplicated", "out_of_order", "failed", "lost_links"), 0)
    for user in users.values():
        heard = users[user.peer].heard
        first = list(dict.fromkeys(heard))
        found["said"] += user.said
        found["lost"] += user.said - len(first)
        found["duplicated"] += len(heard) - len(first)
        found["out_of_order"] += sum(b < a for a, b in itertools.pairwise(first))
        found["failed"] += user.failed
        found["lost_links"] += user.lost_links
    return found


async def main(url: str, clients: int, seed: int) -> None:
    """Chat until the input ends."""
    secret = os.environ["IM_SECRET"]
    users = {n: User.of(url, n, secret, seed) for n in range(1, clients + 1)}
    for user in users.values():
        await user.client.connect(retry=True)  # one address may not log in so often at once
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    chats = [asyncio.create_task(user.chat()) for user in users.values()]
    for user in users.values():
        user.lost_links = 0
    _line(ready=True)
    while not stop.done():
        await asyncio.wait([stop], timeout=1.0)
        latencies = [x for user in users.values() for x in user.latencies]
        for user in users.values():
            user.latencies.clear()
        _line(
            at=time.monotonic(),
            latencies=[round(x, 2) for x in latencies],
            said=sum(user.said for user in users.values()),
            lost_links=sum(user.lost_links for user in users.values()),
        )
    for chat in chats:
        chat.cancel()
    await asyncio.gather(*chats, return_exceptions=True)
    until = time.monotonic() + PATIENCE
    while any(users[u.peer].said > len(u.heard) for u in users.values()):
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.1)
    _line(end=_end(users))
    for user in users.values():
        await user.client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
