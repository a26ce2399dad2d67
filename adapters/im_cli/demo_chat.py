"""The two applications of the demo: each writes to the other, and keeps its own log."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from im_asyncio import ClientConfig, IMClient, Message, MessageError, SentMessage, Status

#: So many messages of one application are without an answer at a time, if it has enough to say.
UNANSWERED: Final = 128
#: By so much the server's idea of a log-in's time may be earlier than ours, in milliseconds.
_CLOCK_MS: Final = 10
_WORDS: Final = (
    "is the book still there?",
    "yes. come by at six",
    "书还在吗？",
    "在的，晚上六点见",
    "ok 👍🏽",
    "“quotes”, \\ and a\ttab",
    "l" + "o" * 120 + "ng",
)


def texts(name: str, count: int, rng: random.Random) -> list[str]:
    """What somebody has to say; the running number tells one from another."""
    return [f"#{n} of {name}: {rng.choice(_WORDS)}" for n in range(1, count + 1)]


class Person:
    """An application with one client: what it says, and what it hears.

    Args:
        name: whose log it is.
        to: the user it writes to.
        config: of its client.
        log: the file it writes.
        lines: what it will say.
    """

    def __init__(
        self, name: str, to: int, config: ClientConfig, log: Path, lines: list[str]
    ) -> None:
        self.name = name
        self.client = IMClient(config, callbacks="inline")
        self.client.set_callbacks(
            message_sent=self._on_accepted,
            message_failed=self._on_failed,
            reconnected=self._on_reconnected,
        )
        self._to = to
        self._lines = lines
        self._log = log.open("w", encoding="utf-8", newline="\n", buffering=1)
        self._start = time.monotonic()
        self._pending: dict[int, SentMessage] = {}
        self._numbers: dict[int, int] = {}
        self._heard: set[str] = set()
        self._may_go = asyncio.Event()
        self._cap = 0
        self.said = 0
        self.accepted = 0
        self.failed = 0
        #: when each text was handed to the client, on the monotonic clock
        self.said_at: dict[str, float] = {}
        #: seconds from there to the arrival at the other application
        self.latencies: list[float] = []
        #: asks the other one when it said something
        self.when_said: Callable[[str], float | None] = lambda _: None
        #: log-ins after a lost link so far, and when the last one was, in ms since 1970
        self.returns = 0
        self._returned_at = 0.0
        #: messages that were sent again though the server had them: accepted before that log-in
        self.repeats_recognised = 0
        self._note("started", user=config.user_id, name=name)

    # ------------------------------------------------------------ what the demo asks

    @property
    def delivered(self) -> int:
        """Different texts that have arrived here."""
        return len(self._heard)

    @property
    def unanswered(self) -> int:
        """Messages that were said and have no end yet."""
        return len(self._pending)

    @property
    def to_say(self) -> int:
        """How much it says in all."""
        return len(self._lines)

    @property
    def done(self) -> bool:
        """Everything was said and answered."""
        return self.said == len(self._lines) and not self._pending

    @property
    def online(self) -> bool:
        """The client is logged in, as far as it knows."""
        return self.client.connection_state.status is Status.AUTHENTICATED

    @property
    def in_flight(self) -> int:
        """Messages that were handed to the present connection and are unanswered."""
        if not self.online:
            return 0
        return sum(sent.status == "in_flight" for sent in self._pending.values())

    @property
    def cap(self) -> int:
        """It says no more than this many, for now."""
        return self._cap

    @cap.setter
    def cap(self, count: int) -> None:
        self._cap = max(self._cap, min(count, len(self._lines)))
        self._may_go.set()

    # ------------------------------------------------------------ saying and hearing

    async def say_all(self) -> None:
        """Say everything, as fast as answers come and the cap allows."""
        while self.said < len(self._lines):
            while self.said >= self._cap or len(self._pending) >= UNANSWERED:
                self._may_go.clear()
                await self._may_go.wait()
            text = self._lines[self.said]
            self.said += 1
            self._note("queued", n=self.said, to=self._to, content=text)
            self.said_at[text] = time.monotonic()
            sent = self.client.queue_message(self._to, text)
            self._pending[sent.ref] = sent
            self._numbers[sent.ref] = self.said

    async def hear_all(self) -> None:
        """Write down what arrives, until the client is disconnected."""
        async for message in self.client.messages():
            self._hear(message)
            # to handle a message takes time: others come in, and links end, meanwhile
            await asyncio.sleep(0)

    def _hear(self, message: Message) -> None:
        self._note(
            "received",
            n=_number(message.content),
            **{"from": message.from_user},
            msg_id=message.msg_id,
            content=message.content,
        )
        said_at = self.when_said(message.content)
        if said_at is not None and message.content not in self._heard:
            self.latencies.append(time.monotonic() - said_at)
            self._heard.add(message.content)

    def _on_accepted(self, sent: SentMessage) -> None:
        self.accepted += 1
        before = self._returned_at - _CLOCK_MS
        if sent.sends > 1 and sent.timestamp is not None and sent.timestamp < before:
            self.repeats_recognised += 1
        self._end("accepted", sent)

    def _on_failed(self, error: MessageError) -> None:
        self.failed += 1
        self._end("failed", error.sent, error=str(error.code))

    def _end(self, event: str, sent: SentMessage, **more: Any) -> None:
        self._pending.pop(sent.ref, None)
        self._note(
            event,
            n=self._numbers.pop(sent.ref, None),
            to=self._to,
            msg_id=sent.msg_id,
            content=sent.content,
            **more,
        )
        self._may_go.set()

    def _on_reconnected(self) -> None:
        self.returns += 1
        self._returned_at = time.time() * 1000

    # ------------------------------------------------------------ the log

    def _note(self, event: str, **entry: Any) -> None:
        t = round(time.monotonic() - self._start, 6)
        self._log.write(
            json.dumps({"t": t, "event": event, **entry}, ensure_ascii=False) + "\n",
        )

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def _number(content: str) -> int | None:
    digits = content[1:].partition(" ")[0]
    return int(digits) if content.startswith("#") and digits.isdecimal() else None
