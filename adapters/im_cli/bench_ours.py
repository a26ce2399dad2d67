"""Our own part of a benchmark: `im serve` in a process of its own, and pairs of `IMClient`."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections import deque
from typing import Final

from im_asyncio import IMClient, Message, SentMessage

from .bench_load import Lane, Setup
from .bench_process import START, BenchError, BenchProcess
from .bench_settings import RAISED

#: The client has one too: what its outbox holds.
_MAX_QUEUE: Final = 100_000


class Server(BenchProcess):
    """`im serve` with the limits of `RAISED`, on a database of its own that goes with it.

    Args:
        durability: as of `im serve`.
        loop: its event loop.
        batching: several envelopes in a frame; without, each has its own, both ways.

    Raises:
        BenchError: it does not start. Says why.
    """

    def __init__(self, durability: str, loop: str, *, batching: bool = True) -> None:
        self._directory = tempfile.mkdtemp(prefix="im-bench-")
        self.secret = secrets.token_hex(32)
        self._users = 1
        settings = {**RAISED, **({} if batching else {"batch": 1})}
        super().__init__(
            "im serve",
            *("im_cli.tied", "im_cli.bench_loop", loop, "im_cli", "serve"),
            *("--no-page", "--host", "127.0.0.1", "--port", 0, "--durability", durability),
            *("--database", f"sqlite:///{self._directory}/im.db"),
            *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
            environment={"IM_SECRET": self.secret},  # shows in no list of processes
            stop=True,
        )
        try:
            line = self.line(START)
            found = re.fullmatch(r"listening on http://(.+:\d+)", line)
            if found is None:
                raise BenchError(f"im serve said {line!r}")
        except BaseException:
            self.close()
            raise
        self.url = f"ws://{found[1]}/ws"

    def close(self) -> None:
        """End it, and remove its database."""
        super().close()
        # what is left of it, also where it was killed
        shutil.rmtree(self._directory, ignore_errors=True)

    def setup(self, pairs: int, window: int) -> Setup:
        """For pairs of users that were not there before."""
        from im_server.tokens import make_token

        def user(number: int) -> tuple[int, str]:
            return number, make_token(number, self.secret)

        first, self._users = self._users, self._users + 2 * pairs
        users = [(*user(first + 2 * n), *user(first + 2 * n + 1)) for n in range(pairs)]
        return Setup(self.url, pairs, window, users)


class _OurPair:
    def __init__(self, a: IMClient, b: IMClient, to: int | str) -> None:
        self._a = a
        self._to = to
        self._lane: Lane | None = None
        b.set_callbacks(message_received=self._received)

    def _received(self, message: Message) -> None:
        if self._lane is not None:
            self._lane.received(message.content)

    async def run(self, lane: Lane, window: int) -> None:
        self._lane = lane
        queue, to, text = self._a.queue_message, self._to, lane.text
        under_way: deque[SentMessage] = deque()
        while True:
            while len(under_way) < window and lane.next():
                under_way.append(queue(to, text))
            if not under_way:
                return
            await under_way.popleft()
            lane.acked()


async def connect(setup: Setup, number: int) -> _OurPair:
    """A and B, logged in."""
    user_a, token_a, user_b, token_b = setup.users[number]
    common = {"ws_url": setup.url, "in_flight": max(setup.window, 1), "max_queue": _MAX_QUEUE}
    a = IMClient({**common, "user_id": user_a, "token": token_a}, callbacks="inline")
    b = IMClient({**common, "user_id": user_b, "token": token_b}, callbacks="inline")
    pair = _OurPair(a, b, user_b)
    await a.connect()
    await b.connect()
    return pair
