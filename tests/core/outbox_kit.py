"""A Driver with a journal for what is sent: processes that end, and what the next one finds."""

from __future__ import annotations

import copy
import random
from typing import Any

from core.client_kit import START, WALL, Driver
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.client.journal import Change, JournalState, OutgoingGone, OutgoingRecord

#: What a server of ours grants here.
GRANTED = ["seq", "batch", "status"]


class Process(Driver):
    """A client with a journal; `disk` is what the next process finds.

    With `slow` a write waits for `write`. Refs go on over processes, and so does the wall clock.
    """

    def __init__(
        self,
        disk: JournalState | None = None,
        *,
        slow: bool = False,
        seed: int = 0,
        wall: float = WALL,
        last_ref: int = 0,
        **config: Any,
    ) -> None:
        super().__init__(seed=seed, **config)
        self._given = config
        self.disk = disk if disk is not None else JournalState()
        self.slow = slow
        self.wall = wall
        self.last_ref = last_ref
        #: what is to be written now
        self.asked: act.WriteJournal | None = None
        #: every list that is on disk
        self.writes: list[tuple[Change, ...]] = []
        self.core = ClientCore(
            self.config,
            now=START,
            wall=wall,
            rng=random.Random(seed),
            journal=copy.deepcopy(self.disk),
        )

    def do(self, event: inp.CoreInput) -> list[act.CoreAction]:
        actions = super().do(event)
        for action in actions:
            if isinstance(action, act.WriteJournal):
                assert self.asked is None, "a second write before the answer to the first"
                self.asked = action
        if not self.slow:
            self.write()
        return actions

    def write(self) -> Process:
        """What is to be written is on disk; what follows from that is done."""
        asked, self.asked = self.asked, None
        if asked is not None:
            self.disk.apply(asked.changes)
            self.writes.append(asked.changes)
            self.do(inp.JournalWritten(request=asked.request))
        return self

    def fail(self, reason: str = "disk full") -> Process:
        """It can't be written, and nothing of it was."""
        asked, self.asked = self.asked, None
        assert asked is not None
        self.do(inp.JournalFailed(request=asked.request, reason=reason))
        return self

    def crash(self, after: float = 1.0, *, slow: bool | None = None, **config: Any) -> Process:
        """The process ends; the next one, `after` seconds later, with what is on disk."""
        return Process(
            self.disk,
            slow=self.slow if slow is None else slow,
            seed=self.core.rng.randrange(1000) + 1,
            wall=self.wall + (self.now - START) + after,
            last_ref=self.last_ref,
            **(self._given | config),
        )

    def send(self, content: str = "hello", to: int | str = 2, **more: Any) -> int:
        self.last_ref += 1
        self.do(inp.Send(ref=self.last_ref, to_user=to, content=content, **more))
        return self.last_ref

    def login_ours(self, **more: Any) -> Process:
        super().login_ours(**({"capabilities": GRANTED} | more))
        return self

    def told_status(self, *items: tuple[int, str], timestamp: int | None = None) -> Process:
        """MESSAGE_STATUS_RESPONSE, by msgId."""
        said = [{"msgId": msg_id, "status": status} for msg_id, status in items]
        if timestamp is not None:
            said = [item | {"timestamp": timestamp} for item in said]
        self.frame("MESSAGE_STATUS_RESPONSE", items=said)
        return self

    def asked_for(self) -> list[list[int]]:
        """The msgIds of every question for a status that went out."""
        return [
            [int(msg_id) for msg_id in message["msgIds"]]
            for message in self.said("MESSAGE_STATUS_REQUEST")
        ]

    def changes(self) -> list[Change]:
        """The changes of the outbox that are to be written now, without the identity's."""
        kinds = (OutgoingRecord, OutgoingGone)
        return [c for c in (self.asked.changes if self.asked else ()) if isinstance(c, kinds)]

    def record(self, ref: int) -> OutgoingRecord:
        """What is on disk of that message."""
        return self.disk.outgoing[ref]

    def record_or_none(self, ref: int) -> OutgoingRecord | None:
        """The same, if there is something."""
        return self.disk.outgoing.get(ref)
