"""A store for tests of what a store decides. It looks up what is wanted, and no more."""

from __future__ import annotations

from typing import Any

from im_proto.server.actions import StoreCall, StoreCommit, StoreLogin
from im_proto.server.calls import read_call
from im_proto.server.commit import Plan
from im_proto.server.inputs import CallDone
from im_proto.server.records import CursorMove, Entry, ReadMark, Submission
from im_proto.testing.memory import MemoryStore

AT = 1_700_000_000_000


class Store(MemoryStore):
    """Keeps the last plan, too."""

    plan: Plan

    def _write(self, plan: Plan) -> None:
        self.plan = plan
        super()._write(plan)

    def put(self, submissions=(), cursors=(), reads=(), at=AT, lifetime=None) -> Plan:
        done = self.commit(
            StoreCommit(
                request=7,
                submissions=tuple(submissions),
                cursors=tuple(cursors),
                reads=tuple(reads),
                at=at,
                session_lifetime=lifetime,
            )
        )
        plan = self.plan
        assert (done.results, done.marks) == (plan.results, plan.marks)
        assert (done.heads, done.acquainted) == (plan.heads, plan.acquainted)
        assert done.fenced == plan.fenced
        return plan

    def enter(self, user, device) -> int:
        action = StoreLogin(request=7, user=user, device=device, resume_seq=None)
        return self.login(action).login.generation

    def ask(self, user, op, at=AT, lifetime=None, site=False, page=100, **params: Any) -> CallDone:
        call = read_call(op, params, history_page=page, site=site)
        return self.call(
            StoreCall(request=7, user=user, call=call, at=at, session_lifetime=lifetime)
        )

    def of(self, user, kind) -> list[Entry]:
        """The entries of this kind in the mailbox of a user."""
        return [entry for entry in self.entries(user) if isinstance(entry, kind)]


def message(key=0, **changes):
    fields = {
        "sender": 1,
        "device": "a",
        "generation": 1,
        "msg_id": 10,
        "to_user": 2,
        "content": "hello",
        "message_type": "text",
        "session_id": None,
    }
    return Submission(key=key, **(fields | changes))


def move(seq, user=2, device="a", generation=1, base=None):
    return CursorMove(user=user, device=device, generation=generation, seq=seq, base=base)


def mark(msg_id, key=0, reader=2, device="a", generation=1, from_user=1):
    return ReadMark(
        key=key,
        reader=reader,
        device=device,
        generation=generation,
        from_user=from_user,
        msg_id=msg_id,
    )
