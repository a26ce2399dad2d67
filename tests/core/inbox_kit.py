"""A Driver with a journal: a test says when a write is on disk, and what the next process finds."""

from __future__ import annotations

import copy
import random
from typing import Any

from core.client_kit import START, WALL, Driver
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import Change, JournalState


class Journalled(Driver):
    """`disk` is what a next process finds. With `slow` a write waits for `write`."""

    def __init__(self, disk: JournalState | None = None, *, slow: bool = False, **config: Any):
        super().__init__(**({"device_id": "phone"} | config))
        self.disk = disk if disk is not None else JournalState()
        self.slow = slow
        #: what is to be written now
        self.asked: act.WriteJournal | None = None
        #: every change that is on disk, in order
        self.changes: list[Change] = []
        self.core = ClientCore(
            self.config,
            now=START,
            wall=WALL,
            rng=random.Random(0),
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

    def write(self) -> Journalled:
        """What is to be written is on disk."""
        asked, self.asked = self.asked, None
        if asked is not None:
            self.disk.apply(asked.changes)
            self.changes += asked.changes
            self.do(inp.JournalWritten(request=asked.request))
        return self

    def settle(self) -> Journalled:
        """Whatever is to be written is on disk."""
        while self.asked is not None:
            self.write()
        return self

    def fail(self, reason: str = "disk full") -> Journalled:
        """It can't be written, and nothing of it was."""
        asked, self.asked = self.asked, None
        assert asked is not None
        self.do(inp.JournalFailed(request=asked.request, reason=reason))
        return self

    def crash(self, **config: Any) -> Journalled:
        """The process ends; the next one, with what is on disk, from here on."""
        return Journalled(self.disk, slow=self.slow, **config)

    def noted(self, *kinds: type) -> list[Change]:
        """The changes on disk of these classes, in order."""
        return [change for change in self.changes if isinstance(change, kinds)]

    def shown(self) -> list[tuple[int | None, bool]]:
        """The messages that the application got: seq, and was it flagged."""
        return [(event.seq, event.redelivered) for event in self.of(ev.MessageReceived)]


def acks(d: Driver) -> list[int]:
    """What the server was told, in order."""
    return [message["seq"] for message in d.said("CHAT_ACK_REQUEST")]


def resume(d: Driver) -> Any:
    """The last log-in's."""
    return d.said("AUTH_REQUEST")[-1].get("resume")
