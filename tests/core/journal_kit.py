"""A Driver whose client has a journal: a test says when a write is on disk, or can't be."""

from __future__ import annotations

import copy
import random
from typing import Any, Self

from core.client_kit import START, WALL, Driver
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.client.journal import Change, JournalState


class JournalDriver(Driver):
    """`disk` is what the next process finds. With `slow` a write waits for `write`."""

    def __init__(
        self,
        disk: JournalState | None = None,
        *,
        slow: bool = False,
        seed: int = 0,
        wall: float = WALL,
        **config: Any,
    ) -> None:
        super().__init__(seed=seed, **config)
        self.disk = disk if disk is not None else JournalState()
        self.slow = slow
        #: what is to be written now
        self.asked: act.WriteJournal | None = None
        #: every list that is on disk, in order
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

    def write(self) -> Self:
        """What is to be written is on disk; what follows from that is done."""
        asked, self.asked = self.asked, None
        if asked is not None:
            self.disk.apply(asked.changes)
            self.writes.append(asked.changes)
            self.do(inp.JournalWritten(request=asked.request))
        return self

    def fail(self, reason: str = "disk full") -> Self:
        """It can't be written, and nothing of it was."""
        asked, self.asked = self.asked, None
        assert asked is not None
        self.do(inp.JournalFailed(request=asked.request, reason=reason))
        return self
