"""The promises about what is told beside the messages: how far they came, what other devices of a
user have sent, who is here.

* A receipt is told for what has come to that user, or what the user has marked as read; and in the
  end it is told to every device of the sender.
* A device is told what other devices of its user have sent.
* What a mailbox holds besides messages reaches every device, as messages do.
* Who shares a session with somebody who is here knows it, at rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from ...client import events as ev
from ...server.commit import Message
from ...server.records import PLAIN, Entry, MailboxEntry, ReceiptEntry
from ...server.sessions import peers
from ...wire import UserId

if TYPE_CHECKING:
    from .client import ClientNode
    from .ledger import Device
    from .world import SimWorld

#: What a device was told, or has to be.
Fact: TypeAlias = tuple[object, ...]
_TELLS: Final = (ev.ReceiptReceived, ev.ReadElsewhere, ev.OwnMessage)


class Hearsay:
    """See the module."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        #: all that were ever stored: by sender and msgId; and with it where they went
        self._messages: dict[tuple[UserId, int], Message] = {}
        #: by device, named ones only: what it was told, and what it has to be told in the end
        self._told: dict[tuple[UserId, str], dict[Fact, None]] = {}
        self._due: dict[tuple[UserId, str], dict[Fact, None]] = {}
        #: by message: who was told that it has come, or was read
        self._acknowledged: dict[tuple[UserId, str], dict[int, None]] = {}
        #: by reader and sender: up to which seq of the reader's mailbox
        self._read: dict[tuple[UserId, UserId], int] = {}
        #: by client, on this link: who is here, as it was told
        self._here: dict[ClientNode, dict[UserId, bool]] = {}

    # ------------------------------------------------------------ what happens

    def logged_in(self, user: UserId, device: str) -> None:
        """The server has taken a device in."""
        if device != PLAIN:
            self._due.setdefault((user, device), {})

    def stored(self, message: Message) -> None:
        """A commit has put a message into a mailbox."""
        self._messages[message.sender, message.msg_id] = message
        if message.to_user != message.sender:
            copy = ("own", message.to_user, message.content)
            for (user, device), due in self._due.items():
                if user == message.sender and device != message.device:
                    due[copy] = None

    def marked(self, client: ClientNode, from_user: UserId, msg_id: int) -> None:
        """A user has read what somebody wrote, up to that message."""
        message = self._messages.get((from_user, msg_id))
        reader = client.config.user_id
        if message is not None and message.to_user == reader:
            upto = self._read.get((reader, from_user), 0)
            self._read[reader, from_user] = max(upto, message.seq)

    def heard(self, client: ClientNode, event: ev.Event) -> None:
        """An application was told something."""
        if isinstance(event, ev.Authenticated):
            self._here[client] = {}
        elif isinstance(event, ev.PresenceChanged):
            self._here[client][event.user] = event.online
        elif isinstance(event, _TELLS):
            assert client.engine is not None
            device = (client.config.user_id, client.engine.device_id)
            self._told.setdefault(device, {})[_fact(event)] = None
            if isinstance(event, ev.ReceiptReceived):
                self._check(client, event)
                told = self._acknowledged.setdefault(device, {})
                told.update(dict.fromkeys(event.msg_ids))

    def _check(self, client: ClientNode, receipt: ev.ReceiptReceived) -> None:
        sender, user = client.config.user_id, receipt.user
        for msg_id in receipt.msg_ids:
            message = self._messages.get((sender, msg_id))
            if message is None or message.to_user != user:
                self._world.fail(f"{client.name} has a receipt for {msg_id}, not sent to {user}")
            read = message.seq <= self._read.get((user, sender), 0)
            come = self._world.ledger.has_come(message)
            if not (read if receipt.status == "read" else come):
                self._world.fail(
                    f"{client.name} was told that {message.content!r} was {receipt.status}"
                )

    # ------------------------------------------------------------ at the end

    def was_told(self, device: Device, entry: Entry) -> bool:
        """Was a device told of what its mailbox holds besides messages for it, if it has to be?"""
        if not device.name or not _concerns(device, entry):
            return True
        return _fact(entry) in self._told.get((device.user, device.name), {})

    def missing(self, device: Device, entries: list[Entry]) -> list[str]:
        """What a device should have been told by now and was not; a line each.

        Args:
            device: one with a name.
            entries: of its mailbox, those that it may not have been told of yet.
        """
        name = (device.user, device.name)
        told = self._told.get(name, {})
        due = {
            _fact(entry): None
            for entry in entries
            if entry.seq >= device.excused_below and _concerns(device, entry)
        }
        if not device.excused:
            waiting = self._due.get(name, {})
            for fact in [fact for fact in waiting if fact in told]:
                del waiting[fact]
            due |= waiting | self._receipts(device)
        return [
            f"{fact} was not told to device {device.name} of user {device.user}"
            for fact in due
            if fact not in told
        ]

    def _receipts(self, device: Device) -> dict[Fact, None]:
        """For what a sender must have a receipt, and has none: it has come to a device that has
        missed nothing, so it was never passed over, and the store has let nothing go, so it was
        there when it came."""
        ledger, oldest = self._world.ledger, self._world.server.store.oldest
        acknowledged = self._acknowledged.get((device.user, device.name), {})
        return {
            ("come", message.msg_id): None
            for message in self._world.server.store.messages
            if message.sender == device.user != message.to_user
            and message.wants_receipt
            and message.msg_id not in acknowledged
            and oldest(message.to_user) == 1
            and ledger.has_surely_come(message)
        }

    def unaware(self) -> list[str]:
        """Who does not know who is here; a line each."""
        server = self._world.server
        assert server.gateway is not None
        roster = server.gateway.hub._roster
        at = int(server.machine.wall(self._world.now) * 1000)
        lines = []
        for client, here in self._here.items():
            user = client.config.user_id
            if client.engine is None or "presence" not in client.engine.core.capabilities:
                continue
            mine = [s for s in server.store.sessions.values() if user in (s.buyer, s.seller)]
            lines += [
                f"{client.name} does not know that user {peer} is here"
                for peer in peers(user, mine, at)
                if roster.of_user(peer) and not here.get(peer)
            ]
        return lines


def _concerns(device: Device, entry: Entry) -> bool:
    """Is it told to this device, and is it no message for it?"""
    if not isinstance(entry, MailboxEntry):
        return True
    return entry.to_user != device.user and entry.device != device.name


def _fact(what: ev.Event | Entry) -> Fact:
    if isinstance(what, ev.ReceiptReceived | ReceiptEntry):
        return ("receipt", what.user, what.status, *what.msg_ids)
    if isinstance(what, MailboxEntry | ev.OwnMessage):
        return ("own", what.to_user, what.content)
    return ("read", getattr(what, "from_user", None), getattr(what, "msg_id", None))
