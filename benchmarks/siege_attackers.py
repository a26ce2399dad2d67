"""The attackers of a siege, in a process of their own.

    python benchmarks/siege_attackers.py PORT ATTACKERS SEED SECONDS [NAME …]

The secret is in IM_SECRET: an attacker may well have an account, or many. Each comes from an
address of its own, 127.0.0.2 and so on, and goes through all attacks (or those that are named), in
an order of its own, SECONDS for each. One that makes the server wait for a deadline is left to
itself meanwhile, one at a time: so an attacker has two connections, or what a flood needs. Each
second a line of JSON; ends when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from im_server import make_token
from security.attacks import ATTACKS, Aim, Attack, Tally, once

#: Connections that make the server wait, if nothing but that is done.
WAITING: Final = 10
#: Seconds that a round may take: longer than any deadline of the server, and two of those for an
#: answer, of which something was still taken in the first.
PATIENCE: Final = 90.0
#: Seconds between two bytes of an attacker that is slow on purpose.
SLOW: Final = 1.0


@dataclass
class Deed:
    """What was done with one attack."""

    rounds: int = 0
    connections: int = 0
    bytes: int = 0
    frames: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, tally: Tally) -> None:
        """One round more."""
        self.rounds += 1
        self.connections += tally.connections
        self.bytes += tally.bytes
        self.frames += tally.frames
        self.answers += tally.answers


class Attacker:
    """One of them.

    Args:
        index: which.
        users: ids of accounts that nobody had before.
        port: of the server.
        secret: of the server's tokens.
        seed: of its order.
        deeds: where it notes what it did.
    """

    def __init__(
        self,
        index: int,
        users: Iterator[int],
        port: int,
        secret: str,
        seed: int,
        deeds: dict[str, Deed],
    ) -> None:
        self._source = f"127.0.0.{2 + index}"
        self._port = port
        self._secret = secret
        self._rng = random.Random(f"{seed} {index}")
        self._users = users
        self._deeds = deeds
        self.waiting: set[asyncio.Task[None]] = set()

    async def go(self, attacks: list[Attack], seconds: float) -> None:
        """Again and again, until cancelled."""
        order = list(attacks)
        while True:
            self._rng.shuffle(order)
            for attack in order:
                if not attack.waits:
                    await self._for(attack, seconds)
                elif len(order) == 1:
                    await asyncio.wait([self._leave(attack) for _ in range(WAITING)])
                elif not self.waiting:
                    self._leave(attack)

    def _leave(self, attack: Attack) -> asyncio.Task[None]:
        task = asyncio.create_task(self._round(attack))
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)
        return task

    async def _for(self, attack: Attack, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            # a round that goes on is not cut off: what it is answered is of interest
            await self._round(attack)

    async def _round(self, attack: Attack) -> None:
        aim = Aim(
            "127.0.0.1",
            self._port,
            self._token,
            rng=self._rng,
            users=self._users,
            source=self._source,
            many=5_000,
            pause=SLOW,
            patience=PATIENCE,
        )
        try:
            await once(attack, aim)
        finally:
            self._deeds.setdefault(attack.name, Deed()).add(aim.tally)
        await asyncio.sleep(0)

    def _token(self, user: int) -> str:
        return make_token(user, self._secret)


def _line(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def main(port: int, attackers: int, seed: int, seconds: float, names: list[str]) -> None:
    """Attack until the input ends."""
    secret = os.environ["IM_SECRET"]
    deeds: dict[str, Deed] = {}
    attacks = [ATTACKS[name] for name in names] or list(ATTACKS.values())
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # of no earlier run either: what one account has said and taken counts for the next attack
    users = itertools.count(int(time.time()) * 1_000_000)
    all_of_them = [Attacker(n, users, port, secret, seed, deeds) for n in range(attackers)]
    _line(ready=True)
    tasks = [asyncio.create_task(one.go(attacks, seconds)) for one in all_of_them]
    while not stop.done():
        await asyncio.wait([stop], timeout=1.0)
        for task in tasks:
            if task.done():
                task.result()  # a mistake of ours
        _line(deeds={name: vars(deed) for name, deed in deeds.items()})
    every = [*tasks, *(task for one in all_of_them for task in one.waiting)]
    for task in every:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*every, return_exceptions=True)


if __name__ == "__main__":
    port, attackers, seed, seconds, *names = sys.argv[1:]
    asyncio.run(main(int(port), int(attackers), int(seed), float(seconds), names))
