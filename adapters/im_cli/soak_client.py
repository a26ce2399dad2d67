"""An application of `im soak`, in a process that dies where it is told to.

    python -m im_cli.soak_client        its orders come on the standard input

It writes to the others without an end and handles what they write, as an application does that
wants nothing lost: each message has a `key`, and after a crash all keys without a known end are
sent again. What it wanted, and what it heard of that, stands in its log, a line at a time, whose
form `audit.py` tells. What it has handled stands there too ("auto"), or in a table of its own in
the storage's file, written in the transaction of the message ("transactional").
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from im_asyncio import ClientConfig, IMClient, IMError, Message, MessageError, SentMessage

from . import soak_break
from .soak_points import Orders
from .soak_seams import watch_client

#: So many messages at most have no answer.
_UNANSWERED: Final = 64
#: It says up to so many at a time …
_BURST: Final = 4
#: … and then nothing for so many seconds.
_PAUSE: Final = 0.04
#: Far longer than any outage here; a longer memory would only make each start slower.
_KEYS_KEPT: Final = 300.0
_END: Final = "the end"
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS received "
    "(n INTEGER PRIMARY KEY, sender TEXT, msg_id INTEGER, content TEXT)"
)


class _Log:
    """What the application keeps of itself, over all its lives."""

    def __init__(self, path: Path, user: int, name: str) -> None:
        #: what it wanted: number, recipient, content
        self.queued: dict[int, tuple[int, str]] = {}
        self.ended: set[int] = set()
        #: the users whose last message came in
        self.heard_out: set[str] = set()
        new = not path.exists()
        if not new:
            self._read(path)
        self._file = path.open("a", encoding="utf-8", newline="\n", buffering=1)
        if new:
            self.note("started", user=user, name=name)

    def _read(self, path: Path) -> None:
        whole, _, rest = path.read_bytes().rpartition(b"\n")
        if rest:  # killed in the middle of a line
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1)
        for line in whole.split(b"\n"):
            entry = json.loads(line)
            match entry["event"]:
                case "queued":
                    self.queued[entry["n"]] = entry["to"], entry["content"]
                case "accepted" | "failed":
                    self.ended.add(entry["n"])
                case "received" if entry["content"].endswith(_END):
                    self.heard_out.add(str(entry["from"]))

    def note(self, event: str, **entry: Any) -> None:
        """Write a line; it survives the process when this returns."""
        entry = {"t": round(time.time(), 6), "event": event, **entry}
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")


class _Application:
    def __init__(self, orders: Orders) -> None:
        given = orders.given
        self._name: str = given["name"]
        self._peers: list[int] = given["peers"]
        self._transactional = given["mode"] == "transactional"
        self._points = orders.points
        storage = orders.directory / f"{self._name}.db"
        self._log = _Log(orders.directory / f"{self._name}.jsonl", given["user"], self._name)
        self._client = IMClient(
            ClientConfig(
                ws_url=f"ws://127.0.0.1:{given['port']}/ws",
                token=f"dev:{given['user']}",
                user_id=given["user"],
                keys_kept=_KEYS_KEPT,
                reconnect={"initial_delay": 0.05, "max_delay": 0.3, "stable_after": 1.0},  # type: ignore[arg-type]
            ),
            callbacks="inline",
            storage=storage,
            durability="process",
        )
        self._client.set_callbacks(message_sent=self._accepted, message_failed=self._failed)
        self._read_table(storage)
        self._unanswered: set[int] = set()
        self._finishing = False
        self._over = asyncio.Event()

    def _read_table(self, storage: Path) -> None:
        if not self._transactional:
            return
        with sqlite3.connect(storage) as db:
            db.execute(_TABLE)
            rows = db.execute("SELECT sender FROM received WHERE content LIKE ?", (f"%{_END}",))
            self._log.heard_out.update(sender for (sender,) in rows)
        db.close()

    async def run(self, orders: Orders) -> None:
        """Live until everything is said and heard, or it is killed.

        Raises:
            IMError: the client gave up.
        """
        loop = asyncio.get_running_loop()
        orders.obey(lambda: loop.call_soon_threadsafe(self._finish))
        for n in sorted(self._log.queued.keys() - self._log.ended):
            self._send(n)
        await self._client.connect(timeout=None, retry=True)
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._say()), tasks.create_task(self._hear())]
            await self._over.wait()
            for helper in helpers:
                helper.cancel()
        await self._client.close()

    def _finish(self) -> None:
        self._finishing = True
        said = {to for to, content in self._log.queued.values() if content.endswith(_END)}
        for peer in self._peers:
            if peer not in said:
                self._queue(peer, _END)
        self._look()

    def _look(self) -> None:
        heard = self._log.heard_out >= {str(peer) for peer in self._peers}
        if self._finishing and heard and not self._unanswered:
            self._over.set()

    # ------------------------------------------------------------ saying

    async def _say(self) -> None:
        # what is said need not be repeatable: the moments of the kills are not either
        rng = random.Random()  # noqa: S311
        while not self._finishing:
            for _ in range(rng.randint(1, _BURST)):
                if len(self._unanswered) < _UNANSWERED:
                    self._queue(rng.choice(self._peers), "x" * rng.randint(1, 100))
            await asyncio.sleep(_PAUSE)

    def _queue(self, to: int, text: str) -> None:
        n = len(self._log.queued) + 1
        content = f"#{n} of {self._name}: {text}"
        self._log.queued[n] = to, content
        self._log.note("queued", n=n, to=to, content=content)
        self._send(n)

    def _send(self, n: int) -> None:
        to, content = self._log.queued[n]
        self._unanswered.add(n)
        sent = self._client.queue_message(to, content, key=f"{self._name}-{n}")
        if sent.done:  # an earlier life had its answer, and died before it wrote it down
            self._ended(sent)

    def _accepted(self, sent: SentMessage) -> None:
        self._ended(sent)

    def _failed(self, error: MessageError) -> None:
        self._ended(error.sent)

    def _ended(self, sent: SentMessage) -> None:
        assert sent.key is not None
        n = int(sent.key.rpartition("-")[2])
        self._unanswered.discard(n)
        if n in self._log.ended:
            return
        self._log.ended.add(n)
        about = {"n": n, "to": sent.to_user_id, "content": sent.content, "msg_id": sent.msg_id}
        if sent.error is None:
            self._log.note("accepted", **about)
        else:
            self._log.note("failed", error=str(sent.error.code), **about)
        self._look()

    # ------------------------------------------------------------ hearing

    async def _hear(self) -> None:
        async for message in self._client.messages():
            self._points.reach("handle-before")
            if self._transactional:
                async with message.transaction() as db:
                    db.execute(
                        "INSERT INTO received (sender, msg_id, content) VALUES (?, ?, ?)",
                        (str(message.from_user), message.msg_id, message.content),
                    )
                    self._points.reach("handle-inside")
            else:
                self._write_down(message)
                self._points.reach("handle-after")
            if message.content.endswith(_END):
                self._log.heard_out.add(str(message.from_user))
                self._look()

    def _write_down(self, message: Message) -> None:
        self._log.note(
            "received",
            **{"from": message.from_user},
            msg_id=message.msg_id,
            content=message.content,
            redelivered=message.redelivered,
        )


async def _run(orders: Orders) -> None:
    await _Application(orders).run(orders)


def main() -> None:
    """Be it, until everything is said and heard."""
    orders = Orders()
    soak_break.apply(orders.given["broken"])
    watch_client(orders.points)
    try:
        asyncio.run(_run(orders))
    except* IMError as errors:
        raise SystemExit(f"the client gave up: {errors.exceptions[0]}") from None


if __name__ == "__main__":
    main()
