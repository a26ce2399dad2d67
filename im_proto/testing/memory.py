"""A store in dictionaries: what it decides, it decides with `plan_commit`, as every store."""

from __future__ import annotations

from ..server.actions import StoreCommit, StoreLogin, StoreRead
from ..server.commit import Device, DeviceKey, Identity, Mailbox, Message, Snapshot, plan_commit
from ..server.inputs import Committed, LoginStored, ReadDone
from ..server.records import PLAIN, Login, MailboxEntry
from ..wire import UserId


class MemoryStore:
    """Keeps everything as long as the object lives: the disk of a simulated server.

    Args:
        epoch: of every mailbox.
    """

    def __init__(self, epoch: str = "e0") -> None:
        self._epoch = epoch
        self.messages: list[Message] = []
        #: by (sender, either of its ids)
        self._by_identity: dict[Identity, list[Message]] = {}
        self._mailboxes: dict[UserId, Mailbox] = {}
        #: what each mailbox still holds, and the seq of the first
        self._entries: dict[UserId, list[Message]] = {}
        self._oldest: dict[UserId, int] = {}
        self._devices: dict[DeviceKey, Device] = {}

    def commit(self, action: StoreCommit) -> Committed:
        """Write a batch."""
        recipients = {s.to_user for s in action.submissions}
        snapshot = Snapshot(
            devices=self._devices,
            earlier=[
                message
                for s in action.submissions
                for message in self._by_identity.get((s.sender, s.msg_id), ())
            ],
            mailboxes={user: self._mailbox(user) for user in recipients},
            highest_msg_id=lambda user: max(
                (m.msg_id for m in self.messages if m.sender == user), default=0
            ),
        )
        plan = plan_commit(action.submissions, action.cursors, snapshot, action.at)
        self._mailboxes.update(plan.mailboxes)
        self._devices.update(plan.devices)
        for message in plan.messages:
            self.messages.append(message)
            for msg_id in {message.msg_id, message.client_msg_id}:
                self._by_identity.setdefault((message.sender, msg_id), []).append(message)
            self._entries.setdefault(message.to_user, []).append(message)
        return Committed(request=action.request, results=plan.results)

    def login(self, action: StoreLogin) -> LoginStored:
        """Start a new generation of a device."""
        key = (action.user, action.device)
        known = self._devices.get(key)
        generation = 0 if action.device == PLAIN else (known.generation if known else 0) + 1
        cursor = known.cursor if known else None
        last = known.last_msg_id if known else 0
        if action.device != PLAIN:
            self._devices[key] = Device(generation, cursor, last)
        mailbox = self._mailbox(action.user)
        entry = None
        oldest = self.oldest(action.user)
        if action.resume_seq is not None and oldest <= action.resume_seq <= mailbox.head:
            at = self._entries[action.user][action.resume_seq - oldest]
            entry = (at.sender, at.msg_id)
        login = Login(
            generation=generation,
            last_msg_id=last,
            cursor=cursor,
            epoch=mailbox.epoch,
            head=mailbox.head,
            oldest=oldest,
            resume_entry=entry,
        )
        return LoginStored(request=action.request, login=login)

    def read(self, action: StoreRead) -> ReadDone:
        """Read a piece of a mailbox."""
        held = self._entries.get(action.user, [])
        first = max(0, action.after + 1 - self.oldest(action.user))
        entries = tuple(
            MailboxEntry(
                seq=m.seq,
                from_user=m.sender,
                to_user=m.to_user,
                msg_id=m.msg_id,
                content=m.content,
                message_type=m.message_type,
                session_id=m.session_id,
                timestamp=m.timestamp,
            )
            for m in held[first : first + action.limit]
        )
        return ReadDone(
            request=action.request, entries=entries, head=self._mailbox(action.user).head
        )

    # ------------------------------------------------------------ what happens to a disk

    def oldest(self, user: UserId) -> int:
        """The oldest seq that a mailbox still holds; its head + 1 if it holds none."""
        return self._oldest.get(user, 1)

    def entries(self, user: UserId) -> list[Message]:
        """What a mailbox still holds, in order."""
        return self._entries.get(user, [])

    def trim(self, user: UserId, oldest: int) -> None:
        """Retention: the mailbox holds nothing below `oldest` any more."""
        before = self.oldest(user)
        if before < oldest <= self._mailbox(user).head + 1:
            self._oldest[user] = oldest
            del self._entries[user][: oldest - before]

    def renew(self, user: UserId, epoch: str) -> None:
        """The mailbox was moved or restored: what clients knew of its numbers is void."""
        self._mailboxes[user] = Mailbox(epoch, self._mailbox(user).head)

    def _mailbox(self, user: UserId) -> Mailbox:
        return self._mailboxes.get(user) or Mailbox(self._epoch, 0)
