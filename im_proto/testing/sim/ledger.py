"""The promises: every message that was submitted, what became of it, and who must have it.

* An accepted message is in the store when its sender is told so, once, and in the order of its
  conversation (one sending engine, one recipient). What a plain client has given up (IN_DOUBT) may
  come late: nothing fences an old link of a plain client.
* An engine delivers a message at most once, and each conversation in order.
* A device (one deviceId of a user, over all lives of its process) gets every message of its
  user's mailbox: each was handled in some life, or delivered in the present one, or its loss was
  reported (MessagesMayBeMissing, MessageDropped). A client that names no device is a new device
  each time it starts, and gets all that is still held.
* Plain clients of a user share one cursor, which moves as bytes arrive: together they are
  delivered every message.
* A message has one end: accepted, failed with a code, cancelled (then it was never stored). If
  the process was killed before the end, nobody knows: it is stored at most once.
* With a journal, what is on its disk goes on in the next life, in order, to the same end, and what
  is not on it was never sent: an application that sends it again under its key sends it once. What
  comes again to an application that may have seen it is flagged; to one that writes what it does
  together with the journal nothing comes again that it has done.

What is told beside the messages stands in `hearsay.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NoReturn

from ...client import events as ev
from ...errors import IMErrorCode
from ...server.commit import Message
from ...server.records import MailboxEntry
from ...wire import UserId

if TYPE_CHECKING:
    from .client import ClientNode
    from .world import SimWorld

Key = tuple[UserId, UserId, str]
#: Ends after which a message is never stored.
_NEVER_STORED: Final = frozenset(
    {
        IMErrorCode.MESSAGE_CANCELLED,
        IMErrorCode.MESSAGE_EXPIRED,
        IMErrorCode.QUEUE_FULL,
        IMErrorCode.JOURNAL_FAILED,
    }
)
#: Contents of broadcasts begin so; they are in no mailbox, and nobody is promised one.
BROADCAST = "to all: "


class Submitted:
    """A message, from the wish to send it on."""

    __slots__ = ("client", "conversation", "end", "index", "ref", "seq")

    def __init__(
        self, client: ClientNode | None, ref: int, conversation: Conversation, index: int
    ) -> None:
        self.client = client
        self.ref = ref
        self.conversation = conversation
        self.index = index
        #: "accepted", an IMErrorCode, "unknown" (its process was killed), "unwritten" (and it was
        #: not in the journal), None: pending
        self.end: str | None = None
        #: its place in the recipient's mailbox, once it is stored
        self.seq: int | None = None

    @property
    def may_be_late(self) -> bool:
        """A plain client has given it up, so nothing stands behind it."""
        return self.conversation.plain and self.end not in (None, "accepted", "unknown")


class Conversation:
    """What one engine sends to one user."""

    __slots__ = ("count", "plain", "stored")

    def __init__(self, *, plain: bool) -> None:
        self.plain = plain
        self.count = 0
        #: the index of the newest that is stored
        self.stored = -1


class Installation:
    """What a client's disk stands for, over all lives of its process."""

    __slots__ = ("conversations", "done", "seen", "sent")

    def __init__(self) -> None:
        self.conversations: dict[UserId, Conversation] = {}
        #: by ref, all that was ever submitted
        self.sent: dict[int, Submitted] = {}
        #: what the application was given
        self.seen: dict[Key, None] = {}
        #: … and has handled
        self.done: dict[Key, None] = {}


class Engine:
    """One life of a client's process."""

    __slots__ = (
        "accepted",
        "conversations",
        "delivered",
        "device",
        "last",
        "pending",
        "reported",
    )

    def __init__(self, device: Device) -> None:
        self.device = device
        self.accepted = 0
        self.conversations: dict[UserId, Conversation] = {}
        #: by ref: submitted, without an end
        self.pending: dict[int, Submitted] = {}
        self.delivered: dict[Key, None] = {}
        #: by conversation: the index of the newest delivered
        self.last: dict[Conversation, int] = {}
        #: it was told that messages may be missing: what was skipped may come late
        self.reported = False


class Device:
    """One deviceId of a user, or (name "") all plain clients of a user."""

    __slots__ = ("alive", "done", "excused_below", "name", "settled", "user")

    def __init__(self, user: UserId, name: str) -> None:
        self.user = user
        self.name = name
        self.alive: list[Engine] = []
        #: handled in any life; for plain clients: delivered; and what was reported as dropped
        self.done: dict[Key, None] = {}
        self.excused_below = 0
        #: the seq up to which nothing of the mailbox can ever be missing again, as was last seen
        self.settled = 0

    @property
    def excused(self) -> bool:
        """It may have missed something, and that is all right."""
        return self.excused_below > 1


class Ledger:
    """See the module."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._messages: dict[Key, Submitted] = {}
        self._devices: dict[tuple[UserId, str], Device] = {}
        self._engines: dict[ClientNode, Engine] = {}
        self._installed: dict[ClientNode, Installation] = {}
        #: for reports
        self.submissions = 0
        self.acceptances = 0
        self.deliveries = 0

    # ------------------------------------------------------------ processes

    def born(self, client: ClientNode) -> None:
        """A client's process has started."""
        assert client.engine is not None
        user = client.config.user_id
        name = client.engine.device_id if client.config.extensions else ""
        device = self._devices.setdefault((user, name), Device(user, name))
        if client.disk is None and name:
            # without a journal it can't resume: what the store has dropped is gone, unreported
            self._excuse(device, self._world.server.store.oldest(user))
        engine = self._engines[client] = Engine(device)
        device.alive.append(engine)
        if client.disk is not None:
            self._go_on(client, engine)

    def _go_on(self, client: ClientNode, engine: Engine) -> None:
        """A life begins with what the disk has."""
        assert client.disk is not None
        installation = self._installed.setdefault(client, Installation())
        engine.conversations = installation.conversations
        on_disk = client.disk.outgoing
        for ref, record in on_disk.items():
            if record.end is None or record.key is None:  # an end that was not told, perhaps
                engine.pending[ref] = installation.sent[ref]
        for ref, message in installation.sent.items():
            if message.end is None and ref not in on_disk:
                if message.seq is not None:
                    self._broken(f"message {ref} of {client.name} is stored, the journal lacks it")
                message.end = "unwritten"

    def died(self, client: ClientNode) -> None:
        """A client's process was killed."""
        engine = self._engines.pop(client)
        engine.device.alive.remove(engine)
        if client not in self._installed:
            for message in engine.pending.values():
                message.end = "unknown"

    def pending(self, client: ClientNode) -> int:
        """How many of a client's messages have no end yet."""
        return len(self._engines[client].pending)

    def any_pending(self, client: ClientNode) -> list[int]:
        """The refs of those."""
        return list(self._engines[client].pending)

    # ------------------------------------------------------------ sending

    def submitted(self, client: ClientNode, ref: int, to_user: UserId, content: str) -> None:
        """An application wants a message sent."""
        key = (client.config.user_id, to_user, content)
        before = self._messages.get(key)
        if before is not None and before.end != "unwritten":
            if client in self._installed and before.client is client:
                self._broken(
                    f"{client.name} does not know the key of {content!r}, which is on its way"
                )
            raise ValueError(f"{content!r} was sent before; each message needs its own content")
        engine = self._engines[client]
        plain = not client.config.extensions
        conversation = engine.conversations.setdefault(to_user, Conversation(plain=plain))
        message = Submitted(client, ref, conversation, conversation.count)
        conversation.count += 1
        self._messages[key] = engine.pending[ref] = message
        if client in self._installed:
            self._installed[client].sent[ref] = message
        self.submissions += 1

    def submitted_unheard(
        self, from_user: UserId, to_user: UserId, contents: Iterable[str]
    ) -> None:
        """Somebody without an engine writes this as a user, in this order; no application hears
        what became of it."""
        conversation = Conversation(plain=True)
        for index, content in enumerate(contents):
            message = Submitted(None, 0, conversation, index)
            message.end = "unknown"
            self._messages[from_user, to_user, content] = message

    def refused(self, client: ClientNode, ref: int) -> None:
        """The engine did not take it: its queue is full."""
        self._engines[client].pending.pop(ref).end = IMErrorCode.QUEUE_FULL

    def accepted(self, client: ClientNode, event: ev.MessageAccepted) -> None:
        """A sender was told that its message is accepted."""
        message = self._ended(client, event.ref, "accepted")
        self.acceptances += 1
        self._engines[client].accepted += 1
        if message.seq is None:
            self._broken(f"{event.content!r} was accepted and is not in the store")

    def failed(self, client: ClientNode, event: ev.MessageFailed) -> None:
        """A sender was told that its message has failed."""
        message = self._ended(client, event.ref, str(event.error.code))
        if event.error.code in _NEVER_STORED and message.seq is not None:
            self._broken(f"{event.content!r} ended as {event.error.code} and is in the store")

    def _ended(self, client: ClientNode, ref: int, end: str) -> Submitted:
        message = self._engines[client].pending.pop(ref, None)
        if message is None:
            self._broken(f"message {ref} of {client.name} ended a second time: {end}")
        changed = message.end not in (None, end, "unknown")
        if message.end == "accepted" and end == IMErrorCode.IN_DOUBT:
            # its process died before the journal had that, and the next met a server that is not
            # this one, so it can't know
            changed = False
        if changed and not (client.stream is not None and client.stream.tampered_with):
            self._broken(f"message {ref} of {client.name} ended as {message.end}, now as {end}")
        message.end = end
        return message

    def stored(self, message: Message) -> None:
        """A commit has put a message into a mailbox."""
        known = self._messages.get((message.sender, message.to_user, message.content))
        if known is None:
            self._broken(f"nobody has sent {message.content!r}, and it is in the store")
        if known.seq is not None:
            self._broken(f"{message.content!r} is in the store twice")
        if known.end in _NEVER_STORED or known.end == "unwritten":
            self._broken(f"{message.content!r} ended as {known.end} and was stored later")
        self._check_record(known, message)
        known.seq = message.seq
        if known.index < known.conversation.stored and not known.may_be_late:
            self._broken(f"{message.content!r} was overtaken on its way into the store")
        known.conversation.stored = max(known.index, known.conversation.stored)

    def _check_record(self, known: Submitted, message: Message) -> None:
        client = known.client
        if client is None or client.disk is None or known.end is not None:
            return
        record = client.disk.outgoing.get(known.ref)
        if record is None or (record.handed_at is None and record.end is None):
            self._broken(f"{message.content!r} was sent before its record was on disk")

    # ------------------------------------------------------------ receiving

    def delivered(self, client: ClientNode, event: ev.MessageReceived) -> None:
        """An application was given a message."""
        if event.content.startswith(BROADCAST):
            return
        engine = self._engines[client]
        key = _key(client, event)
        message = self._messages.get(key)
        if message is None or message.seq is None:
            self._broken(f"{event.content!r} was delivered to {client.name} and is not stored")
        if key in engine.delivered and event.attempt == 1:
            self._broken(f"{event.content!r} was delivered to {client.name} twice")
        engine.delivered[key] = None
        installation = self._installed.get(client)
        if installation is not None:
            if key in installation.seen and not event.redelivered:
                self._broken(f"{event.content!r} came to {client.name} again, as if it were new")
            installation.seen[key] = None
        last = engine.last.get(message.conversation, -1)
        late = engine.reported or message.may_be_late or event.attempt > 1
        if message.index < last and not late:
            self._broken(f"{event.content!r} was delivered to {client.name} too late")
        engine.last[message.conversation] = max(message.index, last)
        self.deliveries += 1
        if not engine.device.name:
            engine.device.done[key] = None

    def handled(self, client: ClientNode, event: ev.MessageReceived) -> None:
        """An application is done with a message."""
        key = _key(client, event)
        self._engines[client].device.done[key] = None
        installation = self._installed.get(client)
        if installation is None:
            return
        if client.app.exactly_once and key in installation.done and event.seq is not None:
            self._broken(f"{event.content!r} was handled by {client.name} twice")
        installation.done[key] = None

    def undeliverable(self, client: ClientNode, event: ev.MessageUndeliverable) -> None:
        """A client was told that its application has failed on a message too often."""
        if event.attempts != client.config.handler_attempts:
            self._broken(f"{client.name}: undeliverable after {event.attempts} attempts")
        key = (event.from_user or 0, client.config.user_id, event.content)
        self._engines[client].device.done[key] = None

    def reported(self, client: ClientNode, oldest: int) -> None:
        """A client was told that what is older may be missing."""
        engine = self._engines[client]
        engine.reported = True
        self._excuse(engine.device, oldest)

    def dropped(self, client: ClientNode, event: ev.MessageDropped) -> None:
        """A client was told that its application was too far behind for a message."""
        if event.delivery in client.app.begun:
            self._broken(f"{client.name}: delivery {event.delivery} was dropped while handled")
        message = client.app.waiting.get(event.delivery)
        done = self._engines[client].device.done
        if message is not None:
            done[_key(client, message)] = None
        elif client.disk is None:
            self._broken(f"{client.name}: delivery {event.delivery} was dropped, and not waiting")
        else:  # it had to go before the journal let it be shown
            for held in self._world.server.store.messages:
                if (held.sender, held.msg_id) == (event.from_user, event.msg_id):
                    done[held.sender, held.to_user, held.content] = None

    def trimmed(self, user: UserId, oldest: int) -> None:
        """The store has dropped old messages: who can't know is not told."""
        for device in self._devices.values():
            if device.user == user and not device.name:
                self._excuse(device, oldest)
        for client, engine in self._engines.items():
            assert client.engine is not None
            resumes = client.engine.core.receiving.inbox.epoch is not None
            if engine.device.user == user and not resumes:
                self._excuse(engine.device, oldest)

    def begins_at(self, user: UserId, name: str, seq: int) -> None:
        """A device was never here, and is to begin at the end of its mailbox."""
        device = self._devices.get((user, name))
        if device is not None:
            self._excuse(device, seq)

    @staticmethod
    def _excuse(device: Device, below: int) -> None:
        device.excused_below = max(device.excused_below, below)

    def has_come(self, message: Message) -> bool:
        """May somebody be told that a message has come to its user?"""
        key = (message.sender, message.to_user, message.content)
        of_user = [d for d in self._devices.values() if d.user == message.to_user]
        # a plain client's bytes count when they have arrived
        return any(not device.name or key in device.done for device in of_user)

    def has_surely_come(self, message: Message) -> bool:
        """Has it come to a device that is here, of a user all of whose devices get everything?"""
        key = (message.sender, message.to_user, message.content)
        of_user = [d for d in self._devices.values() if d.user == message.to_user]
        if any(device.excused or not device.name for device in of_user):
            return False
        return any(device.alive and key in device.done for device in of_user)

    # ------------------------------------------------------------ at the end

    def missing(self) -> list[str]:
        """What should have arrived by now and has not; a line each."""
        lines = []
        for device in self._devices.values():
            if not device.alive:
                continue
            entries = self._world.server.store.entries(device.user, device.settled)
            if device.name:
                lines += self._world.hearsay.missing(device, entries)
            settling = True
            for entry in entries:
                if entry.seq < device.excused_below:
                    settled = True
                elif not isinstance(entry, MailboxEntry) or entry.to_user != device.user:
                    settled = self._world.hearsay.was_told(device, entry)
                else:
                    key = (entry.from_user, device.user, entry.content)
                    settled = key in device.done
                    if not settled and not any(key in one.delivered for one in device.alive):
                        lines.append(
                            f"{entry.content!r} (seq {entry.seq}) did not reach device "
                            f"{device.name or 'plain'} of user {device.user}"
                        )
                # nothing is ever taken back of what these three look at
                settling = settling and settled
                if settling:
                    device.settled = entry.seq
        return lines

    def check_counters(self) -> None:
        """What the engines have counted is what happened."""
        for client, engine in self._engines.items():
            assert client.engine is not None
            counted = (client.engine.user_id, client.engine.counters.accepted)
            if counted != (client.config.user_id, engine.accepted):
                self._broken(f"{client.name} has counted {counted}, not {engine.accepted}")

    def _broken(self, text: str) -> NoReturn:
        self._world.fail(text)


def _key(client: ClientNode, event: ev.MessageReceived) -> Key:
    return (event.from_user or 0, client.config.user_id, event.content)
