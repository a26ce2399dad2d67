"""What a store decides, in its plainest form: one thing after the other, over all of history."""

from __future__ import annotations

from dataclasses import dataclass, field

from im_proto.server.records import (
    PLAIN,
    Conflicting,
    Fenced,
    Held,
    MailboxEntry,
    Marked,
    ReadSyncEntry,
    ReceiptEntry,
    Refused,
    Stored,
    Submission,
)

FORBIDDEN = "you may not write to them"


@dataclass
class Row:
    new: Submission
    msg_id: int
    session: int
    seq: int
    at: int
    read: bool = False


@dataclass
class Chat:
    book: int
    two: tuple
    status: int = 1
    end: int | None = None


@dataclass
class Model:
    lifetime: int | None = None
    generations: dict = field(default_factory=dict)
    cursors: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    boxes: dict = field(default_factory=dict)  # user: entries, from seq 1 on; None: let go
    furthest: dict = field(default_factory=dict)
    sessions: list = field(default_factory=list)  # the id is the place, from 1 on
    arrived: set = field(default_factory=set)  # (user, seq): a device has really acknowledged it

    def login(self, user, device):
        if device != PLAIN:
            self.generations[user, device] = self.generations.get((user, device), 0) + 1

    def begin(self, book, buyer, seller, at):
        end = at + self.lifetime if self.lifetime and book else None
        self.sessions.append(Chat(book, (buyer, seller), end=end))
        return len(self.sessions)

    def trim(self, user, count):
        box = self.boxes.get(user, [])
        held = [seq for seq, entry in enumerate(box) if entry is not None]
        for seq in held[:count]:
            box[seq] = None

    # ---- messages

    def submit(self, new, at, held):
        if self._fenced(new.sender, new.device, new.generation):
            return Fenced(key=new.key)
        mine = [row for row in self.rows if row.new.sender == new.sender]
        msg_id = new.msg_id
        for row in mine:
            old = row.new
            same = old.to_user == new.to_user and old.content == new.content
            if new.device == PLAIN:
                if old.device == PLAIN and old.msg_id == new.msg_id and same:
                    return self._stored(new, row, repeat=True)
            elif row.msg_id == new.msg_id:
                if same and old.device == new.device:
                    return self._stored(new, row, repeat=True)
                held.add((new.sender, new.device))
                return Conflicting(key=new.key)
        if new.device != PLAIN and (new.sender, new.device) in held:
            return Held(key=new.key)
        if any(row.msg_id == msg_id for row in mine):
            msg_id = max(at * 1000, max(row.msg_id for row in mine) + 1)
        if new.forbidden:
            return Refused(key=new.key, code=403, reason=FORBIDDEN)
        code, session = self._session(new, at)
        if code is not None:
            return Refused(key=new.key, code=code, reason=session)
        row = Row(new, msg_id, session, self._enter(new.to_user, None), at)
        self.rows.append(row)
        self.boxes[new.to_user][row.seq - 1] = self._shown(row, row.seq)
        if new.sender != new.to_user and self._has_other(new.sender, new.device):
            seq = self._enter(new.sender, None)
            self.boxes[new.sender][seq - 1] = self._shown(row, seq)
        return self._stored(new, row, repeat=False)

    def _session(self, new, at):
        users = {new.sender, new.to_user}
        if new.session_id is None:
            for number, chat in enumerate(self.sessions, 1):
                if chat.book == 0 and set(chat.two) == users and chat.status == 1:
                    return None, number
            pair = sorted((new.sender, new.to_user), key=lambda u: (isinstance(u, str), u))
            return None, self.begin(0, *pair, at)
        if not 1 <= new.session_id <= len(self.sessions):
            return 40400, "no such session"
        chat = self.sessions[new.session_id - 1]
        if sorted(map(str, chat.two)) != sorted(map(str, (new.sender, new.to_user))):
            return 40400, "no such session"
        if chat.status == 1 and chat.end is not None and at >= chat.end:
            chat.status = 2
        if chat.status != 1:
            return 40300, "the session is over"
        if chat.end is not None and chat.end - at < self.lifetime / 2:
            chat.end = at + self.lifetime
        return None, new.session_id

    # ---- cursors and what was read

    def move(self, move, at):
        """Is it fenced?"""
        if self._fenced(move.user, move.device, move.generation):
            return True
        self._move(move, at)
        return False

    def _move(self, move, at):
        key = (move.user, move.device)
        old = self.cursors.get(key)
        if old is not None and old >= move.seq:
            return
        self.cursors[key] = move.seq
        began = old if old is not None else move.base or 0
        box = self.boxes.get(move.user, [])
        furthest = self.furthest.get(move.user, 0)
        told = []
        for seq in range(began + 1, min(move.seq, len(box)) + 1):
            if box[seq - 1] is not None:
                self.arrived.add((move.user, seq))
            if seq > furthest:
                self.furthest[move.user] = seq
                told += [r for r in self.rows if (r.new.to_user, r.seq) == (move.user, seq)]
        self._tell(move.user, "delivered", [r for r in told if not r.read and box[r.seq - 1]], at)

    def mark(self, mark, at):
        if self._fenced(mark.reader, mark.device, mark.generation):
            return Marked(key=mark.key, found=None)
        named = [
            row
            for row in self.rows
            if (row.new.sender, row.msg_id) == (mark.from_user, mark.msg_id)
            and row.new.to_user == mark.reader
        ]
        for upto in named:
            now = [
                row
                for row in self.rows
                if row.session == upto.session
                and row.new.to_user == mark.reader
                and row.seq <= upto.seq
                and not row.read
            ]
            for row in now:
                row.read = True
            self._tell(mark.reader, "read", now, at)
            if now and self._has_other(mark.reader, mark.device):
                seq = self._enter(mark.reader, None)
                self.boxes[mark.reader][seq - 1] = ReadSyncEntry(
                    seq=seq, from_user=mark.from_user, msg_id=mark.msg_id
                )
        return Marked(key=mark.key, found=bool(named))

    def _tell(self, user, status, rows, at):
        groups = {}
        for row in sorted(rows, key=lambda row: row.seq):
            if row.new.wants_receipt:
                groups.setdefault((row.new.sender, row.session), []).append(row.msg_id)
        for (sender, session), ids in groups.items():
            seq = self._enter(sender, None)
            self.boxes[sender][seq - 1] = ReceiptEntry(
                seq=seq,
                msg_ids=tuple(ids),
                user=user,
                status=status,
                session_id=session,
                timestamp=at,
            )

    # ---- small things

    def _fenced(self, user, device, generation):
        return device != PLAIN and self.generations.get((user, device)) != generation

    def _has_other(self, user, device):
        return any(u == user and d != device for u, d in self.generations)

    def _enter(self, user, entry):
        self.boxes.setdefault(user, []).append(entry)
        return len(self.boxes[user])

    @staticmethod
    def _stored(new, row, *, repeat):
        return Stored(
            key=new.key,
            to_user=row.new.to_user,
            seq=row.seq,
            timestamp=row.at,
            repeat=repeat,
            session_id=row.session,
            msg_id=row.msg_id,
        )

    @staticmethod
    def _shown(row, seq):
        return MailboxEntry(
            seq=seq,
            from_user=row.new.sender,
            to_user=row.new.to_user,
            msg_id=row.msg_id,
            content=row.new.content,
            message_type=row.new.message_type,
            session_id=row.session,
            timestamp=row.at,
            device=row.new.device,
        )

    def held(self, user):
        return [entry for entry in self.boxes.get(user, []) if entry is not None]
