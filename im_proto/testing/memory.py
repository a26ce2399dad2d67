"""A store in dictionaries: what it decides, it decides with the functions that every store uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..server.actions import (
    StoreAction,
    StoreCall,
    StoreCommit,
    StoreLogin,
    StorePeers,
    StoreRead,
    StoreRetain,
    StoreRevoke,
    StoreSeen,
    StoreStatus,
)
from ..server.commit import (
    Awaiting,
    BookSession,
    Device,
    DeviceKey,
    Identity,
    Mailbox,
    Message,
    NewEntry,
    Plan,
    Snapshot,
    Wanted,
    plan_commit,
    wanted,
)
from ..server.inputs import (
    CallDone,
    Committed,
    LoginStored,
    PeersFound,
    ReadDone,
    Retained,
    RevocationStored,
    StatusFound,
    StoreInput,
)
from ..server.records import PLAIN, Entry, Login, MailboxEntry
from ..server.retention import Held, devices_that_go, plan_release
from ..server.session_rules import read_by
from ..server.sessions import answer, peers
from ..server.status import status_items
from ..wire import UserId
from .memory_view import MemoryView, identity


class MemoryStore:
    """Keeps everything as long as the object lives: the disk of a simulated server.

    Args:
        epoch: of every mailbox.
    """

    def __init__(self, epoch: str = "e0") -> None:
        self._epoch = epoch
        #: what is held, in the order of acceptance
        self.messages: list[Message] = []
        #: by id; none is ever let go
        self.sessions: dict[int, BookSession] = {}
        #: by (sender, either of its ids)
        self._by_identity: dict[Identity, list[Message]] = {}
        self._mailboxes: dict[UserId, Mailbox] = {}
        #: what each mailbox still holds, and the seq of the first
        self._entries: dict[UserId, list[NewEntry]] = {}
        self._oldest: dict[UserId, int] = {}
        self._devices: dict[DeviceKey, Device] = {}
        #: of devices with a name, in milliseconds since 1970
        self.logged_in_at: dict[DeviceKey, int] = {}
        self._last_seen: dict[UserId, int | None] = {}
        #: of whom the tokens that were made before are good no longer
        self.revoked: dict[UserId, int] = {}

    def carry_out(self, action: StoreAction) -> StoreInput | None:
        """Do what is asked for, at once; None where no answer is needed."""
        answered: StoreInput | None = getattr(self, _CARRY_OUT[type(action)])(action)
        return answered

    def commit(self, action: StoreCommit) -> Committed:
        """Write a batch."""
        snapshot = self._look_up(wanted(action.submissions, action.cursors, action.reads))
        plan = plan_commit(
            action.submissions,
            action.cursors,
            snapshot,
            action.at,
            reads=action.reads,
            session_lifetime=action.session_lifetime,
        )
        self._write(plan)
        return Committed(
            request=action.request,
            results=plan.results,
            marks=plan.marks,
            heads=plan.heads,
            entries=plan.by_mailbox(),
            acquainted=plan.acquainted,
            fenced=plan.fenced,
        )

    def login(self, action: StoreLogin) -> LoginStored:
        """Start a new generation of a device."""
        key = (action.user, action.device)
        known = self._devices.get(key) or Device(generation=0, cursor=None, last_msg_id=0)
        if action.device != PLAIN:
            if key not in self._devices:
                self._make_room(action)
            self.logged_in_at[key] = action.at
            known = known._replace(generation=known.generation + 1)
            self._devices[key] = known
        mailbox = self._mailbox(action.user)
        entry = None
        oldest = self.oldest(action.user)
        if action.resume_seq is not None and oldest <= action.resume_seq <= mailbox.head:
            at = self.entries(action.user)[action.resume_seq - oldest]
            entry = (at.from_user, at.msg_id) if isinstance(at, MailboxEntry) else None
        login = Login(
            generation=known.generation,
            last_msg_id=known.last_msg_id,
            cursor=known.cursor,
            epoch=mailbox.epoch,
            head=mailbox.head,
            oldest=oldest,
            resume_entry=entry,
        )
        met = self._met(action.user, action.at) if action.meets else None
        return LoginStored(request=action.request, login=login, peers=met)

    def read(self, action: StoreRead) -> ReadDone:
        """Read a piece of a mailbox."""
        held = self._entries.get(action.user, [])
        first = max(0, action.after + 1 - self.oldest(action.user))
        return ReadDone(
            request=action.request,
            entries=tuple(new.entry() for new in held[first : first + action.limit]),
            head=self._mailbox(action.user).head,
        )

    def status(self, action: StoreStatus) -> StatusFound:
        """Look up what became of messages."""
        found = list(self._found((action.user, msg_id) for msg_id in action.msg_ids))
        items = status_items(
            action,
            self._devices.get((action.user, action.device)),
            found,
            {m.to_user: self._mailbox(m.to_user).delivered for m in found},
            self.sessions,
        )
        return StatusFound(request=action.request, items=items)

    def call(self, action: StoreCall) -> CallDone:
        """Carry out a call about sessions."""
        outcome = answer(
            action.call,
            action.user,
            MemoryView(self.messages, self.sessions, self._mailboxes),
            at=action.at,
            lifetime=action.session_lifetime,
        )
        self.sessions.update((session.id, session) for session in outcome.sessions)
        return CallDone(
            request=action.request,
            code=outcome.code,
            data=outcome.data,
            text=outcome.text,
            acquainted=outcome.acquainted,
        )

    def peers(self, action: StorePeers) -> PeersFound:
        """Look up who shares an active session with a user."""
        return PeersFound(request=action.request, peers=self._met(action.user, action.at))

    def _met(self, user: UserId, at: int) -> tuple[tuple[UserId, int | None], ...]:
        found = peers(user, self.sessions.values(), at)
        return tuple((peer, self._last_seen.get(peer)) for peer in found)

    def seen(self, action: StoreSeen) -> None:
        """Note when a user was here last."""
        self._last_seen[action.user] = action.at

    def retain(self, action: StoreRetain) -> Retained:
        """Let go what is too old."""
        held = [self._held(user, action.entries_before) for user in self._entries]
        release = plan_release(held, action.keep, action.limit)
        for user, oldest in release.oldest.items():
            self.trim(user, oldest)
        referred = {
            identity(new.what)
            for entries in self._entries.values()
            for new in entries
            if isinstance(new.what, Message)
        }
        loose = [
            message
            for message in self.messages
            if message.timestamp < action.messages_before and identity(message) not in referred
        ]
        self._forget(loose[: release.room])
        before = action.devices_before
        if not release.more and before is not None:
            away = [key for key, at in self.logged_in_at.items() if at < before]
            self._drop_devices(
                key for key in away if key not in action.present and not self._stands(key)
            )
        return Retained(
            request=action.request,
            oldest=tuple(release.oldest.items()),
            more=release.more or len(loose) > release.room,
        )

    def revoke(self, action: StoreRevoke) -> RevocationStored:
        """Keep that the tokens of a user made before are good no longer."""
        self.revoked[action.user] = action.before
        return RevocationStored(request=action.request)

    # ------------------------------------------------------------ what happens to a disk

    def oldest(self, user: UserId) -> int:
        """The oldest seq that a mailbox still holds; its head + 1 if it holds none."""
        return self._oldest.get(user, 1)

    def entries(self, user: UserId, above: int = 0) -> list[Entry]:
        """What a mailbox still holds above a seq, in order."""
        return [new.entry() for new in self._between(user, above, self._mailbox(user).head)]

    def trim(self, user: UserId, oldest: int) -> None:
        """Retention: the mailbox holds nothing below `oldest` any more."""
        before = self.oldest(user)
        if before < oldest <= self._mailbox(user).head + 1:
            self._oldest[user] = oldest
            del self._entries[user][: oldest - before]

    def renew(self, user: UserId, epoch: str) -> None:
        """The mailbox was moved or restored: what clients knew of its numbers is void."""
        self._mailboxes[user] = self._mailbox(user)._replace(epoch=epoch)

    # ------------------------------------------------------------ a commit

    def _look_up(self, asked: Wanted) -> Snapshot:
        earlier = [
            m
            for m in self._found(asked.identities | asked.plain)
            if identity(m) in asked.identities
            or (m.device == PLAIN and (m.sender, m.client_msg_id) in asked.plain)
        ]
        undelivered = [
            _awaiting(new.what)
            for user, upto in asked.acked.items()
            for new in self._between(user, self._mailbox(user).delivered, upto)
            if isinstance(new.what, Message) and new.what.wants_receipt and new.what.to_user == user
        ]
        users = asked.mailboxes.union(message.sender for message in undelivered)
        ids = asked.session_ids.union(
            {message.session_id for message in earlier},
            {message.session_id for message in undelivered},
        )
        return Snapshot(
            devices={key: self._devices[key] for key in asked.devices if key in self._devices},
            others={
                (user, device)
                for user, device in asked.others
                if any(u == user and d not in (PLAIN, device) for u, d in self._devices)
            },
            earlier=earlier,
            undelivered=undelivered,
            unread=[message for reading in asked.read for message in self._unread(*reading)],
            mailboxes={user: self._mailbox(user) for user in users},
            sessions=[
                session
                for session in self.sessions.values()
                if session.id in ids or (session.buyer, session.seller) in asked.chats
            ],
            highest_msg_id=lambda user: max(
                (m.msg_id for m in self.messages if m.sender == user), default=0
            ),
            highest_session_id=lambda: max(self.sessions, default=0),
        )

    def _unread(self, reader: UserId, sender: UserId, msg_id: int) -> Iterator[Awaiting]:
        for upto in self._found([(sender, msg_id)]):
            if upto.msg_id == msg_id and upto.to_user == reader:
                above = read_by(self.sessions[upto.session_id], reader)
                yield from (
                    _awaiting(m)
                    for m in self.messages
                    if m.wants_receipt
                    and (m.session_id, m.to_user) == (upto.session_id, reader)
                    and above < m.seq <= upto.seq
                )

    def _write(self, plan: Plan) -> None:
        self._mailboxes.update(plan.mailboxes)
        self._devices.update(plan.devices)
        self.sessions.update(plan.sessions)
        for message in plan.messages:
            self.messages.append(message)
            for msg_id in {message.msg_id, message.client_msg_id}:
                self._by_identity.setdefault((message.sender, msg_id), []).append(message)
        for new in plan.entries:
            self._entries.setdefault(new.user, []).append(new)

    # ------------------------------------------------------------ devices

    def _make_room(self, action: StoreLogin) -> None:
        known = [
            (name, at) for (user, name), at in self.logged_in_at.items() if user == action.user
        ]
        going = devices_that_go(known, action.keep, action.present)
        self._drop_devices([(action.user, device) for device in going])

    def _stands(self, key: DeviceKey) -> bool:
        """Does its mailbox hold anything that it has acknowledged?"""
        cursor = self._devices[key].cursor
        return cursor is not None and bool(self._between(key[0], 0, cursor))

    def _drop_devices(self, going: Iterable[DeviceKey]) -> None:
        for key in list(going):
            del self._devices[key], self.logged_in_at[key]

    # ------------------------------------------------------------ small things

    def _mailbox(self, user: UserId) -> Mailbox:
        return self._mailboxes.get(user) or Mailbox(self._epoch, 0)

    def _between(self, user: UserId, above: int, upto: int) -> Sequence[NewEntry]:
        oldest = self.oldest(user)
        return self._entries.get(user, [])[max(0, above + 1 - oldest) : max(0, upto + 1 - oldest)]

    def _found(self, identities: Iterable[Identity]) -> Iterator[Message]:
        for one in identities:
            yield from self._by_identity.get(one, ())

    def _held(self, user: UserId, entries_before: int | None) -> Held:
        oldest, head = self.oldest(user), self._mailbox(user).head
        young = oldest
        if entries_before is not None:
            fresh = (new.seq for new in self._entries[user] if new.at >= entries_before)
            young = next(fresh, head + 1)
        return Held(user=user, oldest=oldest, head=head, young=young)

    def _forget(self, messages: Sequence[Message]) -> None:
        gone = {identity(message) for message in messages}
        self.messages = [m for m in self.messages if identity(m) not in gone]
        for message in messages:
            for msg_id in {message.msg_id, message.client_msg_id}:
                self._by_identity[message.sender, msg_id].remove(message)
            key = (message.sender, message.device)
            device = self._devices.get(key)
            if device is not None:  # else it has gone before its message
                self._devices[key] = device._replace(
                    forgotten=max(device.forgotten, message.client_msg_id)
                )


def _awaiting(m: Message) -> Awaiting:
    return Awaiting(m.sender, m.msg_id, m.to_user, m.session_id, m.seq)


#: By name, so that what is overridden is what is called.
_CARRY_OUT: Final[dict[type, str]] = {
    StoreCommit: "commit",
    StoreLogin: "login",
    StoreRead: "read",
    StoreStatus: "status",
    StoreCall: "call",
    StorePeers: "peers",
    StoreSeen: "seen",
    StoreRetain: "retain",
    StoreRevoke: "revoke",
}
