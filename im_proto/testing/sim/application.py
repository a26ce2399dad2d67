"""What an application does with the messages that its client receives."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ...client import inputs as inp
from ...client.incoming import pair_known
from ...client.journal import Handled

if TYPE_CHECKING:
    from ...client.events import MessageReceived
    from .client import ClientNode


class Handles(StrEnum):
    """How an application handles messages."""

    AT_ONCE = "at once"
    SLOWLY = "slowly"
    """One after the other, each taking its time."""
    SHUFFLED = "shuffled"
    """Many at once, in no order."""
    NEVER = "never"
    """Not before `catch_up`."""
    ASKED = "asked"
    """When the test says so, with `handle`."""


class Application:
    """See the module.

    Args:
        client: whose it is.
        handles: how it handles messages.

    Attributes:
        clumsy: how often it fails on a message, 0 to 1.
        exactly_once: what it does for a message, and that it is handled, it writes to the client's
            journal in one transaction.
    """

    def __init__(self, client: ClientNode, handles: Handles) -> None:
        self._client = client
        self.handles = handles
        self.clumsy = 0.0
        self.exactly_once = False
        #: delivered and not handled, in order
        self.waiting: dict[int, MessageReceived] = {}
        #: those that it has begun to handle
        self.begun: dict[int, None] = {}
        #: the epoch of the mailbox that each came out of, as the journal had it
        self._epochs: dict[int, str | None] = {}
        self._free_at = 0.0

    def take(self, message: MessageReceived) -> None:
        """A message came."""
        client, delivery = self._client, message.delivery
        self.waiting[delivery] = message
        self._epochs[delivery] = self._epoch()
        handles, world = self.handles, client.world
        if handles is Handles.AT_ONCE:
            world.later(0.0, self._due, client.lives, delivery)
        elif handles is Handles.SLOWLY:
            begins = max(self._free_at, world.now)
            self._free_at = begins + world.rng.uniform(0.0, 0.2)
            world.at(begins, self._begin, client.lives, delivery)
            world.at(self._free_at, self._due, client.lives, delivery)
        elif handles is Handles.SHUFFLED:
            world.later(0.0, self._begin, client.lives, delivery)
            world.later(world.rng.uniform(0.0, 2.0), self._due, client.lives, delivery)

    def handle(self, delivery: int) -> None:
        """It is done with a message, or has failed on it."""
        message, client = self.waiting.pop(delivery, None), self._client
        self.begun.pop(delivery, None)
        epoch = self._epochs.pop(delivery, None)
        if message is None:
            return
        ok = not self.clumsy or client.world.rng.random() >= self.clumsy
        if ok:
            client.world.ledger.handled(client, message)
            if self.exactly_once and client.disk is not None:
                # numbers of another epoch mean nothing any more, and the pair does
                if message.seq is not None and epoch == self._epoch():
                    client.disk.apply([Handled(seq=message.seq)])
                known = pair_known(message)
                client.disk.apply([known] if known is not None else [])
        client.feed(inp.MessageHandled(delivery=delivery, ok=ok))

    def _epoch(self) -> str | None:
        disk = self._client.disk
        return None if disk is None or disk.cursor is None else disk.cursor.epoch

    def drop(self, delivery: int) -> None:
        """The engine says that it had to let a message go."""
        self.waiting.pop(delivery, None)
        self._epochs.pop(delivery, None)

    def catch_up(self) -> None:
        """Handle everything."""
        for delivery in list(self.waiting):
            self.handle(delivery)

    def forget(self) -> None:
        """The process is gone."""
        self.waiting.clear()
        self.begun.clear()
        self._epochs.clear()
        self._free_at = 0.0

    def _begin(self, life: int, delivery: int) -> None:
        client = self._client
        if life == client.lives and client.alive and not client.frozen and delivery in self.waiting:
            self.begun[delivery] = None
            client.feed(inp.MessageTaken(delivery=delivery))

    def _due(self, life: int, delivery: int) -> None:
        client = self._client
        if life != client.lives or client.engine is None:
            return
        if client.frozen:  # it is frozen itself, so it says nothing
            client.world.later(0.5, self._due, life, delivery)
            return
        self.handle(delivery)
