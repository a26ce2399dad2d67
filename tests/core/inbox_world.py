"""A mailbox, a client with a journal and an application, and whatever can go wrong between them.

One user's mailbox holds messages, receipts, copies and unknown things. The client's process may
end at any time, with or without its last write on disk; the store may lose what is newest (and has
another epoch then) or oldest; pushes are left out; the application handles in any order, or fails.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from core.client_kit import Driver
from core.inbox_kit import Journalled
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.incoming import pair_known
from im_proto.client.journal import Handled, JournalState

ME, DEVICE = 1, "phone"
KINDS = ("message", "message", "message", "note", "receipt", "read", "copy", "own", "new")
#: by kind, which events tell of it
TOLD = (ev.ReceiptReceived, ev.ReadElsewhere, ev.OwnMessage, ev.UnknownMessage)


class World:
    """Random, and the same for the same seed; every promise is checked on the way.

    Args:
        transactional: the application writes what it has handled into the journal itself, together
            with its own work.
        resets: the store may lose things.
    """

    def __init__(self, seed: int, *, transactional: bool = False, resets: bool = True) -> None:
        self.rng = random.Random(seed)
        self.transactional = transactional
        self.resets = resets
        self.seen: Counter[str] = Counter()
        # the mailbox: by seq, (kind, name of the entry)
        self.epoch, self.oldest, self.head = 1, 1, 0
        self.entries: dict[int, tuple[str, int]] = {}
        self.names = 0
        # the server's side of the link
        self.at: int | None = None
        self.acked = 0
        # of the application, over all its lives, by the name of a message
        self.shown: Counter[int] = Counter()
        self.shown_now: set[int] = set()
        #: that it comes was perhaps written, and the process ended before it was shown
        self.said_now: set[int] = set()
        self.said_before: set[int] = set()
        self.worked: Counter[int] = Counter()
        self.settled: set[int] = set()
        self.excused: set[int] = set()
        self.was_reset = False
        self.having: dict[int, ev.MessageReceived] = {}
        #: by delivery, the mailbox that the journal knew when it was shown
        self.epochs: dict[int, str] = {}
        self.client = self._process(JournalState())

    def _process(self, disk: JournalState) -> Journalled:
        self.at, self.acked = None, 0
        self.having, self.shown_now = {}, set()
        self.said_before |= self.said_now
        return Journalled(disk, slow=True, handler_attempts=2)

    # ------------------------------------------------------------ what happens

    def op(self) -> None:
        """Something happens."""
        ops = [self.arrive, self.connect, *[self.push, self.work, self.work, self.write] * 2]
        rare = [self.skip, self.fail_write, self.lose, self.crash, self.time]
        if self.resets:
            rare += [self.restore, self.trim]
        self.rng.choice(ops if self.rng.random() < 0.93 else rare)()
        self.check()

    def arrive(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.head += 1
            self.names += 1
            self.entries[self.head] = (self.rng.choice(KINDS), self.names)

    def connect(self) -> None:
        """A log-in, and what the server makes of `resume`."""
        if self.at is not None:
            return
        d = self.client.forget().link()
        resume = d.said("AUTH_REQUEST")[-1].get("resume")
        data: dict[str, Any] = {"epoch": f"e{self.epoch}", "seq": 0}
        if resume is not None:
            seq = resume["seq"]
            good = resume["epoch"] == data["epoch"] and self.oldest - 1 <= seq <= self.head
            if good and "msgId" in resume:
                _, name = self.entries.get(seq, ("", resume["msgId"]))
                good = name == resume["msgId"]
            oldest = None if good else self.oldest
            data["resume"] = "recovered" if good else "reset"
            data |= {"seq": seq if good else self.oldest - 1, "oldest": oldest}
            self.seen[data["resume"]] += 1
            self.was_reset |= not good
        elif self.oldest > 1:
            data["seq"] = self.oldest - 1
        self.at = self.acked = data["seq"]
        self._hear(lambda: self.client.login_ours(**data))

    def push(self) -> None:
        """The next of the mailbox, some in one text."""
        for _ in range(self.rng.randint(1, 4)):
            if self.at is not None and self.at < self.head:
                self.at += 1
                self._say(self.at)

    def skip(self) -> None:
        """The server leaves one out."""
        if self.at is not None and self.at + 1 < self.head:
            self.seen["holes"] += 1
            self.at += 1
            self.push()

    def _say(self, seq: int) -> None:
        kind, name = self.entries[seq]
        self.said_now.add(name)
        d = self.client
        fields: dict[str, Any] = {"msgId": name}
        if kind == "note":
            fields |= {"fromUser": ME, "toUser": ME, "deviceId": DEVICE}
        elif kind in ("copy", "own"):
            device = DEVICE if kind == "own" else "tablet"
            fields |= {"fromUser": ME, "toUser": 2, "deviceId": device}
        if kind == "receipt":
            told = {"msgIds": [name], "user": 2, "status": "read", "seq": seq}
            self._hear(lambda: d.frame("RECEIPT_PUSH", **told))
        elif kind == "read":
            self._hear(lambda: d.frame("READ_SYNC", fromUser=2, msgId=name, seq=seq))
        elif kind == "new":
            self._hear(lambda: d.frame("NEW", seq=seq))
        else:
            self._hear(lambda: d.push(seq, f"m{name}", **fields))

    def work(self) -> None:
        """The application handles one of what it has, in any order, or fails on it."""
        if not self.having:
            return
        delivery = self.rng.choice(list(self.having))
        message = self.having.pop(delivery)
        assert message.msg_id is not None
        if self.rng.random() < 0.3:
            self.seen["failures"] += 1
            self._hear(lambda: self.client.do(inp.MessageHandled(delivery=delivery, ok=False)))
            return
        self.worked[message.msg_id] += 1
        self.settled.add(message.msg_id)
        if self.transactional:
            self._note(delivery, message)
            if self.rng.random() < 0.05:
                self.crash()
                return
        self._hear(lambda: self.client.do(inp.MessageHandled(delivery=delivery)))

    def _note(self, delivery: int, message: ev.MessageReceived) -> None:
        """What the application writes itself; numbers mean nothing in another mailbox."""
        known, disk = pair_known(message), self.client.disk
        assert known is not None
        disk.apply([known])
        same = disk.cursor is not None and disk.cursor.epoch == self.epochs[delivery]
        if message.seq is not None and same:
            disk.apply([Handled(seq=message.seq)])

    def write(self) -> None:
        self._hear(self.client.write)

    def fail_write(self) -> None:
        if self.client.asked is not None:
            self.seen["failed writes"] += 1
            self._hear(self.client.fail)

    def lose(self) -> None:
        if self.at is not None:
            self.at = None
            self._hear(self.client.lose)

    def time(self) -> None:
        self._hear(lambda: self.client.pass_time(self.rng.choice([0.1, 1.1])))

    def crash(self) -> None:
        """The process ends; its last write is on disk, or it is not."""
        self.seen["crashes"] += 1
        disk, asked = self.client.disk, self.client.asked
        if asked is not None and self.rng.random() < 0.5:
            disk.apply(asked.changes)
        self.client = self._process(disk)

    def restore(self) -> None:
        """The store is that of an earlier time, so it has another epoch."""
        self.lose()
        self.seen["restored"] += 1
        self.was_reset = True
        self.epoch += 1
        head = self.rng.randint(max(self.oldest - 1, self.head - 4), self.head)
        for seq in range(head + 1, self.head + 1):
            self.excused.add(self.entries.pop(seq)[1])
        self.head = head

    def trim(self) -> None:
        """The store has dropped what is oldest."""
        self.lose()
        oldest = self.rng.randint(self.oldest, self.head + 1)
        for seq in range(self.oldest, oldest):
            self.excused.add(self.entries.pop(seq)[1])
        self.oldest = oldest

    # ------------------------------------------------------------ what must come of it

    def _hear(self, do: Any) -> None:
        """Do it, and note what the application is told and the server hears."""
        self.client.forget()
        do()
        d: Driver = self.client
        for event in d.events():
            self._told(event)
        for said in d.said():
            if said["type"] == "CHAT_ACK_REQUEST":
                self._ack(said["seq"])
            elif said["type"] == "SYNC_REQUEST" and self.at is not None:
                self.at = said["after"]
                self._hear(
                    lambda: self.client.frame(
                        "SYNC_RESPONSE", status="recovered", oldest=self.oldest
                    )
                )
        if any(isinstance(a, act.AbortTransport | act.CloseTransport) for a in d.actions):
            self.at = None

    def _told(self, event: ev.Event) -> None:
        if isinstance(event, ev.MessageReceived):
            name = event.msg_id
            assert name is not None
            assert event.content == f"m{name}"
            again = self.shown[name] > 0
            assert event.redelivered or not again, f"{name} is shown again, unflagged"
            may_be = again or self.was_reset or name in self.said_before
            assert may_be or not event.redelivered, f"{name} is new, and flagged"
            assert event.attempt > 1 or name not in self.shown_now, f"{name} twice in one life"
            assert not self.transactional or not self.worked[name], f"{name} after it was worked"
            self.seen["flagged"] += event.redelivered
            self.seen["shown"] += 1
            self.shown[name] += 1
            self.shown_now.add(name)
            self.having[event.delivery] = event
            cursor = self.client.disk.cursor
            self.epochs[event.delivery] = cursor.epoch if cursor is not None else ""
        elif isinstance(event, ev.MessageUndeliverable):
            assert event.msg_id is not None
            assert event.attempts == 2
            self.seen["undeliverable"] += 1
            self.settled.add(event.msg_id)
        elif isinstance(event, ev.MessagesMayBeMissing):
            self.seen["may be missing"] += 1
            for seq in range(self.oldest, event.oldest):
                self.excused.add(self.entries[seq][1])
        elif isinstance(event, TOLD):
            self.seen[type(event).__name__] += 1

    def _ack(self, seq: int) -> None:
        assert self.at is not None
        assert self.acked < seq <= self.at, f"acknowledges {seq}"
        cursor = self.client.disk.cursor
        assert cursor is not None
        assert cursor.epoch == f"e{self.epoch}"
        assert seq <= cursor.seq, f"acknowledges {seq}, on disk is {cursor.seq}"
        self.acked = seq
        self.seen["acks"] += 1

    def check(self) -> None:
        """What is on disk is true."""
        disk = self.client.disk
        if disk.cursor is None or disk.cursor.epoch != f"e{self.epoch}":
            return
        for seq in [*range(self.oldest, disk.cursor.seq + 1), *disk.handled]:
            kind, name = self.entries.get(seq, ("", 0))
            if kind in ("message", "note") and name not in self.excused:
                assert name in self.settled, f"{name} at {seq} is not handled"

    def end(self) -> None:
        """All goes well from here on: then everything was handled, and that is on disk."""
        if self.rng.random() < 0.5:
            self.crash()
        for _ in range(40):
            self.connect()
            while self.at is not None and self.at < self.head:
                self.at += 1
                self._say(self.at)
            for delivery, message in list(self.having.items()):
                del self.having[delivery]
                assert message.msg_id is not None
                self.worked[message.msg_id] += 1
                self.settled.add(message.msg_id)
                if self.transactional:
                    self._note(delivery, message)
                self._hear(lambda d=delivery: self.client.handle(d))
            self._hear(self.client.settle)
            self.time()
            self.check()
        for kind, name in self.entries.values():
            if kind in ("message", "note") and name not in self.excused:
                assert name in self.settled, f"{name} was never handled"
                assert not self.transactional or self.worked[name] <= 1
        cursor = self.client.disk.cursor
        assert cursor is not None
        assert cursor.seq == self.head, f"ends at {cursor.seq} of {self.head}"
        assert self.acked == self.head or self.acked == cursor.seq
        assert self.client.disk.handled == set()
