"""`start_of`, exhaustively, against an oracle written from protocol.md section 2, "Resume"."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from im_proto.server.records import Login
from im_proto.server.resume import Start, start_of
from im_proto.wire import ResumeFrom

#: A mailbox is its seqs; the message at seq n is (user 10, msgId 100 + n).
EPOCH = "e1"


def login(oldest: int, head: int, cursor: int | None, asked: int | None) -> Login:
    held = asked is not None and oldest <= asked <= head
    return Login(
        generation=1,
        last_msg_id=0,
        cursor=cursor,
        epoch=EPOCH,
        head=head,
        oldest=oldest,
        resume_entry=(10, 100 + asked) if held and asked is not None else None,
    )


def oracle(
    oldest: int, head: int, epoch: str, seq: int, from_user: object, msg_id: int | None
) -> Start:
    """All that follows is sent, or all that is held. Never a piece, never silently."""
    held = range(oldest, head + 1)
    nothing_lost = set(range(seq + 1, head + 1)) <= set(held)
    reset = Start(base=oldest - 1, resume="reset")
    if epoch != EPOCH or seq > head or not nothing_lost:
        return reset
    named = from_user is not None and msg_id is not None
    if seq in held and named and (from_user, msg_id) != (10, 100 + seq):
        return reset
    return Start(base=seq, resume="recovered")


def mailboxes() -> list[tuple[int, int]]:
    """(oldest, head): empty, emptied by retention, whole, and cut at the front."""
    return [(head + 1 - held, head) for head in range(6) for held in range(head + 1)]


@pytest.mark.parametrize("oldest, head", mailboxes())
def test_a_resume_is_recovered_or_reset_exactly_as_the_protocol_says(
    oldest: int, head: int
) -> None:
    for epoch, seq, from_user, shift in product(
        (EPOCH, "e0"), range(8), (None, 10, 11, "bravo"), (None, 0, 1)
    ):
        msg_id = None if shift is None else 100 + seq + shift
        resume = ResumeFrom(epoch=epoch, seq=seq, from_user=from_user, msg_id=msg_id)
        for first, cursor in product(("oldest", "latest"), (None, 0, head)):
            known = login(oldest, head, cursor, seq)
            seen = start_of(known, resume, first)  # type: ignore[arg-type]
            assert seen == oracle(oldest, head, epoch, seq, from_user, msg_id), resume
            assert oldest - 1 <= seen.base <= head


@pytest.mark.parametrize("oldest, head", mailboxes())
def test_without_resume_the_cursor_counts_and_never_holds_retention_back(
    oldest: int, head: int
) -> None:
    for cursor in range(8):
        for first in ("oldest", "latest"):
            seen = start_of(login(oldest, head, cursor, None), None, first)  # type: ignore[arg-type]
            expected = max(cursor, oldest - 1) if cursor <= head else head
            assert seen == Start(base=expected, resume=None)
    at_oldest = start_of(login(oldest, head, None, None), None, "oldest")
    at_latest = start_of(login(oldest, head, None, None), None, "latest")
    assert (at_oldest.base, at_latest.base) == (oldest - 1, head)
    assert at_oldest.resume is at_latest.resume is None


def test_a_message_where_a_receipt_stands_now_is_a_reset() -> None:
    """The store was restored from an older file, and has gone on in another way."""
    restored = login(oldest=1, head=5, cursor=None, asked=None)  # no message at seq 3
    for oldest, expected in ((1, "reset"), (3, "reset"), (4, "recovered")):
        known = replace(restored, oldest=oldest)
        named = ResumeFrom(epoch=EPOCH, seq=3, from_user=10, msg_id=103)
        assert start_of(known, named, "oldest").resume == expected
        unnamed = ResumeFrom(epoch=EPOCH, seq=3, from_user=None, msg_id=None)
        assert start_of(known, unnamed, "oldest").resume == "recovered"
