"""A client with a journal for what is sent: processes that end, and what the next one finds."""

from __future__ import annotations

from typing import Any

from core.client_kit import START, WALL
from core.journal_kit import JournalDriver
from im_proto.client import inputs as inp
from im_proto.client.journal import Change, JournalState, OutgoingGone, OutgoingRecord

#: What a server of ours grants here.
GRANTED = ["seq", "batch", "status"]


class Process(JournalDriver):
    """Refs go on over processes, and so does the wall clock."""

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
        super().__init__(disk, slow=slow, seed=seed, wall=wall, **config)
        self._given = config
        self.wall = wall
        self.last_ref = last_ref

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
