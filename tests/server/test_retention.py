"""What is too old goes, the oldest first, a little in each transaction."""

from __future__ import annotations

import json

import pytest

from im_cli.audit import audit
from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead, StoreRetain, StoreStatus
from im_proto.server.records import PLAIN, CursorMove, ReceiptEntry, Submission
from im_server import logins, retaining
from im_server.rownumbers import last_row
from im_server.store import Store, StoreError


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as opened:
        opened.login(StoreLogin(request=0, user=1, device="a", resume_seq=None))
        yield opened


def send(store, at, *msg_ids, to=2, receipts=False, device="a", content="hello"):
    submissions = tuple(
        Submission(
            key=i,
            sender=1,
            device=device,
            generation=int(device != PLAIN),
            msg_id=i,
            to_user=to,
            content=content,
            message_type="text",
            session_id=None,
            wants_receipt=receipts,
        )
        for i in msg_ids
    )
    return store.commit(StoreCommit(request=1, submissions=submissions, cursors=(), at=at))


def retain(store, *, entries_before=None, keep=None, messages_before=0, limit=1000, **devices):
    return store.retain(
        StoreRetain(
            request=9,
            entries_before=entries_before,
            keep=keep,
            messages_before=messages_before,
            limit=limit,
            **devices,
        )
    )


def held(store, user=2):
    found = store.read(StoreRead(request=1, user=user, after=0, limit=10_000))
    return [entry.seq for entry in found.entries], found.head


def kept_messages(store):
    raw = store._database._writer.connection.driver_connection
    return [row[0] for row in raw.execute("SELECT msg_id FROM messages ORDER BY id")]


def status(store, *msg_ids):
    asked = StoreStatus(request=1, user=1, device="a", msg_ids=msg_ids, forgotten_before=0)
    return [item.status for item in store.status(asked).items]


def test_what_is_older_than_the_age_goes(store):
    for at in (10, 20, 30):
        send(store, at, at, at + 1)
    assert retain(store, entries_before=10) == retain(store)
    done = retain(store, entries_before=30)
    assert (done.request, done.oldest, done.more) == (9, ((2, 5),), False)
    assert held(store) == ([5, 6], 6)
    assert store.login(StoreLogin(request=0, user=2, device="b", resume_seq=4)).login.oldest == 5
    done = retain(store, entries_before=31)
    assert done.oldest == ((2, 7),)
    assert held(store) == ([], 6)
    send(store, 40, 40)
    assert held(store) == ([7], 7)


def test_what_is_more_than_the_count_goes(store):
    send(store, 10, *range(1, 8))
    send(store, 10, 8, to=3)
    assert retain(store, keep=7).oldest == ()
    assert retain(store, keep=3).oldest == ((2, 5),)
    assert held(store) == ([5, 6, 7], 7)
    assert held(store, 3) == ([1], 1)


def test_nothing_behind_a_young_entry_goes_even_if_the_clock_went_back(store):
    for at in (10, 50, 20):
        send(store, at, at)
    assert retain(store, entries_before=30).oldest == ((2, 2),)
    assert retain(store, entries_before=30).oldest == ()
    assert held(store) == ([2, 3], 3)


def test_a_transaction_is_bounded_and_says_that_there_is_more(store):
    for user in (2, 3, 4):
        send(store, 10, *range(10 * user, 10 * user + 5), to=user)
    sizes, oldest = [], {}
    while True:
        before = sum(len(held(store, user)[0]) for user in (2, 3, 4))
        done = retain(store, entries_before=11, limit=4)
        oldest |= dict(done.oldest)
        sizes.append(before - sum(len(held(store, user)[0]) for user in (2, 3, 4)))
        if not done.more:
            break
    assert sizes == [4, 4, 4, 3]
    assert oldest == {2: 6, 3: 6, 4: 6}


def test_a_round_over_many_mailboxes_is_made_in_pages(store, monkeypatch):
    monkeypatch.setattr(retaining, "_PAGE", 2)
    for user in range(2, 7):
        send(store, 10, user, to=user)
    gone = []
    while (done := retain(store, entries_before=11)).more:
        gone.append([user for user, _ in done.oldest])
    gone.append([user for user, _ in done.oldest])
    # the first page has the mailbox of 1 too, which is empty
    assert gone == [[2], [3, 4], [5, 6], []]
    assert not any(held(store, user)[0] for user in range(2, 7))
    # the next round begins anew
    send(store, 10, 99, to=2)
    while (done := retain(store, entries_before=11)).more:
        pass
    assert held(store) == ([], 2)


def test_a_message_goes_when_no_mailbox_has_it_and_nobody_repeats_it(store):
    store.login(StoreLogin(request=0, user=1, device="b", resume_seq=None))
    send(store, 10, 1, 2)  # and copies for the sender's other device
    send(store, 20, 3)
    assert held(store, 1) == ([1, 2, 3], 3)
    retain(store, messages_before=100)
    assert kept_messages(store) == [1, 2, 3]
    raw = store._database._writer.connection.driver_connection
    raw.execute("DELETE FROM mailbox_entries WHERE user = '1'")
    raw.execute("UPDATE messages SET held = 1")
    retain(store, entries_before=20, messages_before=10)
    assert kept_messages(store) == [1, 2, 3]  # somebody may still repeat them
    assert status(store, 1, 2, 3) == ["accepted"] * 3
    assert retain(store, messages_before=20, limit=1).more
    assert kept_messages(store) == [2, 3]
    assert not retain(store, messages_before=20, limit=1).more
    assert kept_messages(store) == [3]


def test_a_copy_holds_its_message_back(store):
    store.login(StoreLogin(request=0, user=1, device="b", resume_seq=None))
    send(store, 10, 1)
    send(store, 10, 2, to=1)  # to oneself: one entry
    retain(store, keep=1, messages_before=11)
    assert held(store, 1) == ([2], 2)
    assert kept_messages(store) == [1, 2]  # in the mailbox of 2
    done = retain(store, entries_before=11, messages_before=11)
    assert dict(done.oldest) == {1: 3, 2: 2}
    assert kept_messages(store) == []


def test_what_was_let_go_is_forgotten_and_not_taken_for_never_sent(store):
    send(store, 10, 5, 7)
    send(store, 20, 9)
    assert status(store, 5, 6, 8) == ["accepted", "never", "never"]
    retain(store, entries_before=20, messages_before=20)
    assert status(store, 5, 6, 7, 8, 9) == ["forgotten"] * 3 + ["never", "accepted"]


def test_receipts_go_like_messages(store):
    store.login(StoreLogin(request=0, user=2, device="b", resume_seq=None))
    send(store, 10, 1, receipts=True)
    move = CursorMove(user=2, device="b", generation=1, seq=1)
    store.commit(StoreCommit(request=1, submissions=(), cursors=(move,), at=20))
    found = store.read(StoreRead(request=1, user=1, after=0, limit=9)).entries
    assert [type(entry) for entry in found] == [ReceiptEntry]
    assert dict(retain(store, entries_before=20).oldest) == {2: 2}
    assert dict(retain(store, entries_before=21).oldest) == {1: 2}


def test_a_plain_sender_s_second_message_of_a_name_is_let_go_too(store):
    send(store, 10, 1, device=PLAIN)
    send(store, 10, 1, device=PLAIN, content="another")
    retain(store, entries_before=11, messages_before=11)
    assert kept_messages(store) == []


def test_a_retention_that_fails_keeps_everything(store):
    send(store, 10, *range(1, 50))
    raw = store._database._writer.connection.driver_connection
    raw.execute(
        """CREATE TRIGGER full BEFORE DELETE ON messages WHEN OLD.msg_id = 30
           BEGIN SELECT RAISE(ABORT, 'no'); END"""
    )
    with pytest.raises(StoreError):
        retain(store, entries_before=11, messages_before=11)
    assert len(held(store)[0]) == len(kept_messages(store)) == 49
    raw.execute("DROP TRIGGER full")
    retain(store, entries_before=11, messages_before=11)
    assert kept_messages(store) == []


def test_a_row_number_is_never_used_again(store):
    """Webhooks and fences go by them: the newest message may be let go, too."""

    def rows():
        raw = store._database._writer.connection.driver_connection
        return [row[0] for row in raw.execute("SELECT id FROM messages ORDER BY id")]

    send(store, 10, 1, 2, 3)
    for _ in range(2):
        retain(store, entries_before=20, messages_before=20)
    assert rows() == []
    with store.writing() as connection:
        assert last_row(connection) == 3
    send(store, 30, 4)
    assert rows() == [4]


def test_no_more_mailboxes_are_looked_into_than_there_is_room_for(store, monkeypatch):
    looked = []
    look = retaining._held

    def held_of(connection, row, request):
        looked.append(row.user)
        return look(connection, row, request)

    monkeypatch.setattr(retaining, "_held", held_of)
    for user in range(100, 150):
        send(store, 10, *(10 * user + n for n in range(3)), to=user)
    done = retain(store, entries_before=20, limit=7)
    assert dict(done.oldest) == {100: 4, 101: 4, 102: 2} and done.more
    assert len(looked) == 3


# ---------------------------------------------------------------- devices


def come(store, at, *devices, user=2, **more):
    for device in devices:
        store.login(StoreLogin(request=0, user=user, device=device, resume_seq=None, at=at, **more))


def rows(store, table):
    raw = store._database._writer.connection.driver_connection
    return raw.execute(f"SELECT user, device FROM {table} WHERE user > '1'").fetchall()


def test_devices_that_stay_away_go_with_their_fences(store):
    come(store, 10, "a", "a", "here", "", user=2)
    come(store, 10, "a", user="bravo")
    come(store, 20, "b", "a", user=3)
    retain(store, devices_before=None)
    retain(store, devices_before=10)
    assert len(rows(store, "devices")) == 6
    assert not retain(store, devices_before=20, present=frozenset({(2, "here")})).more
    left = [("2", "here"), ("3", "a"), ("3", "b")]
    assert rows(store, "fences") == left
    assert rows(store, "devices") == [("2", ""), *left]
    back = store.login(StoreLogin(request=0, user=2, device="a", resume_seq=None, at=30)).login
    assert (back.generation, back.cursor, back.last_msg_id) == (1, None, 0)


def test_a_device_whose_cursor_stands_for_something_stays(store):
    come(store, 10, "a", "b")
    send(store, 100, 1, 2)
    move = CursorMove(user=2, device="a", generation=1, seq=1)
    store.commit(StoreCommit(request=1, submissions=(), cursors=(move,), at=100))
    retain(store, devices_before=50)
    assert rows(store, "devices") == [("2", "a")]
    retain(store, devices_before=50, keep=1)  # now 2 alone is held, behind its cursor
    assert rows(store, "devices") == []


def test_devices_go_a_few_in_each_transaction_and_a_page_at_a_time(store, monkeypatch):
    monkeypatch.setattr(retaining, "_PAGE", 2)
    monkeypatch.setattr(retaining, "_DEVICES", 3)
    here = frozenset({(3, "d0"), (3, "d4")})
    for user in range(2, 7):
        come(store, 10, *(f"d{n}" for n in range(5)), user=user)
    left = []
    while (done := retain(store, devices_before=20, present=here)).more:
        left.append(len(rows(store, "devices")))
    left.append(len(rows(store, "devices")))
    assert left[-1] == 2 and rows(store, "fences") == [("3", "d0"), ("3", "d4")]
    assert all(0 <= before - after <= 3 for before, after in zip([25, *left], left, strict=False))
    assert not done.more


def test_a_new_device_takes_the_place_of_the_oldest(store):
    come(store, 10, "a", "b", "c")
    come(store, 20, "a", keep=3)
    come(store, 30, "d", "", "", keep=3)
    assert rows(store, "devices") == [("2", ""), ("2", "a"), ("2", "c"), ("2", "d")]
    come(store, 40, "e", keep=3, present=frozenset({"c"}))
    assert rows(store, "fences") == [("2", "c"), ("2", "d"), ("2", "e")]


def test_a_device_leaves_no_more_than_so_many_fences(store, monkeypatch):
    monkeypatch.setattr(logins, "FENCES", 3)
    come(store, 10, *"aaaaaab")
    raw = store._database._writer.connection.driver_connection
    found = raw.execute("SELECT device, generation FROM fences WHERE user = '2'").fetchall()
    assert found == [("a", 4), ("a", 5), ("a", 6), ("b", 1)]


def test_what_a_device_sent_is_let_go_after_it(store):
    send(store, 10, 5)
    retain(store, devices_before=20)
    assert store.login(StoreLogin(request=0, user=1, device="a", resume_seq=None)).login
    send(store, 30, 6)
    retain(store, entries_before=40, messages_before=40, devices_before=1)
    assert kept_messages(store) == []


def test_an_audit_takes_a_device_that_begins_again_for_what_it_is(tmp_path):
    """Its log-ins count from 1 again: what it sent in earlier ones is behind no fence."""
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        for _ in range(3):
            come(store, 10, "a", user=1)
        store.commit(StoreCommit(request=1, submissions=(sent(1, 3),), cursors=(), at=10))
        retain(store, devices_before=20)
        for generation in (1, 2):
            come(store, 30, "a", user=1)
            new = sent(1 + generation, generation)
            store.commit(StoreCommit(request=1, submissions=(new,), cursors=(), at=30))
    for user, event in ((1, "accepted"), (2, "received")):
        lines = [{"t": 0.0, "event": "started", "user": user}]
        for n in (1, 2, 3):
            said = {"t": 0.0, "n": n, "to": 2, "from": 1, "content": f"m{n}", "msg_id": n}
            events = ["queued", event] if user == 1 else [event]
            lines += [said | {"event": name} for name in events]
        text = "\n".join(json.dumps(line) for line in lines)
        (tmp_path / f"{user}.jsonl").write_text(text + "\n")
    verdict = audit(tmp_path)
    assert verdict.kept and verdict.behind_a_fence == 0, verdict.problems
    assert (verdict.accepted, verdict.logins) == (3, 2)


def sent(n, generation):
    return Submission(
        key=n,
        sender=1,
        device="a",
        generation=generation,
        msg_id=n,
        to_user=2,
        content=f"m{n}",
        message_type="text",
        session_id=None,
    )
