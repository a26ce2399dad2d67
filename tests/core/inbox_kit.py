"""A client with a journal, and what it shows: a next process finds what is on disk."""

from __future__ import annotations

from typing import Any

from core.client_kit import Driver
from core.journal_kit import JournalDriver
from im_proto.client import events as ev
from im_proto.client.journal import Change, JournalState


class Journalled(JournalDriver):
    """Of a device with a fixed name."""

    def __init__(
        self, disk: JournalState | None = None, *, slow: bool = False, **config: Any
    ) -> None:
        super().__init__(disk, slow=slow, **({"device_id": "phone"} | config))

    def settle(self) -> Journalled:
        """Whatever is to be written is on disk."""
        while self.asked is not None:
            self.write()
        return self

    def crash(self, **config: Any) -> Journalled:
        """The process ends; the next one, with what is on disk, from here on."""
        return Journalled(self.disk, slow=self.slow, **config)

    def noted(self, *kinds: type) -> list[Change]:
        """The changes on disk of these classes, in order."""
        return [change for write in self.writes for change in write if isinstance(change, kinds)]

    def shown(self) -> list[tuple[int | None, bool]]:
        """The messages that the application got: seq, and was it flagged."""
        return [(event.seq, event.redelivered) for event in self.of(ev.MessageReceived)]


def acks(d: Driver) -> list[int]:
    """What the server was told, in order."""
    return [message["seq"] for message in d.said("CHAT_ACK_REQUEST")]


def resume(d: Driver) -> Any:
    """The last log-in's."""
    return d.said("AUTH_REQUEST")[-1].get("resume")
