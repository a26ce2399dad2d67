"""The SQL store and the one in dictionaries answer alike, whatever they are asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.server.actions import (
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
from im_proto.server.inputs import CallDone, Committed, LoginStored, Retained, StatusFound
from im_proto.server.records import PLAIN, CursorMove, ReadMark, Submission
from im_proto.server.rows import Device
from im_proto.server.sessions import Call
from im_proto.testing.memory import MemoryStore
from im_proto.wire.session import SessionOp
from im_proto.wire.types import in_order, user_id
from im_server.store import Store

TABLES = (
    "mailbox_entries",
    "messages",
    "mailboxes",
    "devices",
    "fences",
    "sessions",
    "users",
    "revocations",
)
NAMES = (1, 2, "bravo")
USERS = st.sampled_from(NAMES)
DEVICES = st.sampled_from(["a", "a", "b", PLAIN])
LOGINS = {"device": DEVICES, "generation": st.sampled_from([1] * 8 + [2])}
MSG_IDS = st.sampled_from([1, 1, 2, 2, 3, 3, 4, 1000, 1001])
SESSIONS = st.sampled_from([1, 2, 3, 2**62])
BOOKS = st.sampled_from([0, 7])

SUBMISSIONS = st.builds(
    Submission,
    key=st.integers(0, 99),
    sender=USERS,
    **LOGINS,
    msg_id=st.sampled_from([1, 1, 1, 2, 2, 2, 3, 3, 4, 1000, 1001, 2**63]),
    to_user=USERS,
    content=st.sampled_from([*"xxxxxxxy", "\ud800"]),
    message_type=st.just("text"),
    session_id=st.sampled_from([None, None, None, 1, 2, 3, 2**62]),
    wants_receipt=st.booleans(),
)
MOVES = st.builds(
    CursorMove,
    user=USERS,
    **LOGINS,
    seq=st.integers(0, 9),
    base=st.none() | st.integers(0, 3),
)
MARKS = st.builds(
    ReadMark, key=st.integers(0, 99), reader=USERS, **LOGINS, from_user=USERS, msg_id=MSG_IDS
)
LIFETIMES = st.sampled_from([None, 3])


def tuples(items, most, least=0):
    return st.lists(items, min_size=least, max_size=most).map(tuple)


@st.composite
def calls(draw):
    op = draw(st.sampled_from([*SessionOp, "close", SessionOp.HISTORY, SessionOp.HISTORY]))
    ask = {"op": op}
    if op in (SessionOp.CREATE, SessionOp.START_CHAT, SessionOp.GET):
        book, buyer, seller = draw(BOOKS), draw(USERS), draw(USERS)
        if book == 0:
            buyer, seller = in_order(buyer, seller)
        ask |= {"book_id": book, "buyer_id": buyer, "seller_id": seller}
    if op == "close" or (op == SessionOp.GET and draw(st.booleans())):
        ask |= {"session_id": draw(SESSIONS)}
    if op == SessionOp.HISTORY:
        if draw(st.booleans()):
            ask |= {"session_id": draw(st.sampled_from([1, 1, 2, 3]))}
        else:
            ask |= {"peer_id": draw(USERS)}
        ask |= {
            "start_msg_id": draw(st.sampled_from([None, None, 1, 2])),
            "start_sender_id": draw(st.none() | USERS),
            "direction": draw(st.sampled_from(["before", "after"])),
            "page_size": draw(st.integers(1, 4)),
            "page": draw(st.sampled_from([1, 1, 2])),
        }
    return Call(**ask)


COMMITS = st.builds(
    StoreCommit,
    request=st.just(1),
    submissions=tuples(SUBMISSIONS, 8, 3),
    cursors=tuples(MOVES, 3),
    reads=tuples(MARKS, 3),
    at=st.integers(0, 2),
    session_lifetime=LIFETIMES,
)
CALLS = st.builds(
    StoreCall,
    request=st.just(3),
    user=USERS,
    call=calls(),
    at=st.integers(0, 2),
    session_lifetime=LIFETIMES,
)
OTHERS = st.one_of(
    st.builds(
        StoreLogin,
        request=st.just(2),
        user=USERS,
        device=st.sampled_from([PLAIN, "c", "d"]),
        resume_seq=st.none() | st.integers(1, 4),
        at=st.integers(0, 2),
        keep=st.sampled_from([None, 1, 2, 2, 3]),
        present=st.frozensets(st.sampled_from(["a", "b", "c"])),
        meets=st.booleans(),
    ),
    st.builds(
        StoreStatus,
        request=st.just(4),
        user=USERS,
        device=DEVICES,
        msg_ids=tuples(MSG_IDS, 5),
        forgotten_before=st.just(0),
    ),
    st.builds(StoreSeen, request=st.just(5), user=USERS, at=st.none() | st.integers(0, 9)),
    st.builds(
        StoreRetain,
        request=st.just(6),
        entries_before=st.none() | st.integers(0, 8),
        keep=st.none() | st.integers(1, 4),
        messages_before=st.integers(0, 8),
        limit=st.just(1000),
        devices_before=st.none() | st.integers(0, 8),
        present=st.frozensets(st.tuples(USERS, st.sampled_from(["a", "b"])), max_size=3),
    ),
    st.builds(StoreRevoke, request=st.just(7), user=USERS, before=st.integers(1, 9)),
)
STEPS = st.tuples(COMMITS, CALLS, OTHERS, CALLS).map(list)


def of_both(store, twin, action):
    """What both say, made comparable: epochs are drawn, and no order of mailboxes is promised."""
    said = []
    for each in (store, twin):
        name = {StoreCommit: "commit", StoreLogin: "login", StoreCall: "call"}.get(type(action))
        found = getattr(each, name or type(action).__name__.removeprefix("Store").lower())(action)
        if isinstance(found, LoginStored):
            found = replace(found, login=replace(found.login, epoch=""))
        if isinstance(found, Retained):
            found = replace(found, oldest=tuple(sorted(found.oldest, key=str)))
        said.append(found)
    return said


def in_turn(action, now):
    """The action at the time of its turn, and that time."""
    if isinstance(action, StoreCommit | StoreCall | StoreLogin):
        return replace(action, at=now + action.at), now + action.at
    if isinstance(action, StoreRetain):
        age, away = action.entries_before, action.devices_before
        action = replace(
            action,
            entries_before=None if age is None else now - age,
            messages_before=now - action.messages_before,
            devices_before=away and now - away,
        )
    return action, now


@pytest.fixture(params=["sql", "memory"])
def either(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        yield store


def test_a_cursor_of_an_older_login_is_told_of_and_changes_nothing(either):
    def moved(*cursors):
        done = either.commit(StoreCommit(request=1, submissions=(), cursors=cursors, at=1))
        assert (done.results, done.marks, done.heads) == ((), (), ())
        return done.fenced

    def login(device="a"):
        action = StoreLogin(request=2, user=2, device=device, resume_seq=None)
        return either.login(action).login

    old, new = (
        CursorMove(user=2, device="a", generation=generation, seq=2 + generation)
        for generation in (1, 2)
    )
    plain = CursorMove(user=2, device=PLAIN, generation=0, seq=9)
    assert moved(old) == (old,)  # it has never logged in
    assert (login().generation, login(PLAIN).generation) == (1, 0)
    assert moved(old, plain) == ()
    assert moved(replace(old, seq=2), plain) == ()  # going back is not of an older login
    assert (login().cursor, login(PLAIN).cursor) == (3, 9)
    further = replace(old, seq=7)
    assert moved(plain, further, new, replace(old, seq=-1)) == (further,)
    found = login()
    assert (found.generation, found.cursor) == (3, 4)
    assert moved(new, further) == (new, further)


def test_it_answers_like_the_store_in_memory(tmp_path):
    # One file for all examples: making one takes longer than an example.
    seen: Counter[str] = Counter()
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        raw = store._database._writer.connection.driver_connection

        @settings(max_examples=50, derandomize=True, deadline=None, database=None)
        @given(st.lists(STEPS, min_size=1, max_size=6))
        def play(steps):
            for table in TABLES:
                raw.execute(f"DELETE FROM {table}")
            store._database.known.forget()
            now, twin, before = 1_000, MemoryStore(), set()
            logins = [
                StoreLogin(request=0, user=user, device=device, resume_seq=None)
                for user in NAMES
                for device in ("a", "b")
            ]
            for step in [*logins, *chain.from_iterable(steps)]:
                action, now = in_turn(step, now)
                expected, found = of_both(twin, store, action)
                assert found == expected, action
                note(found, seen)
                check_known(store, twin, seen)
                for user, entries in getattr(found, "entries", ()):
                    after = entries[0].seq - 1
                    read = StoreRead(request=0, user=user, after=after, limit=100)
                    assert store.read(read).entries == entries, "what is pushed is what is held"
                for user in NAMES:
                    read = StoreRead(request=0, user=user, after=0, limit=100)
                    expected, found = of_both(twin, store, read)
                    assert found == expected, (action, user)
                    seen.update(type(entry).__name__ for entry in found.entries)
                assert devices_of(store) == twin.logged_in_at, action
                seen["devices went"] += len(before - twin.logged_in_at.keys())
                before = twin.logged_in_at.keys() | set()
                assert store.revoked() == twin.revoked
            for user in NAMES:
                expected, found = of_both(twin, store, StorePeers(request=0, user=user, at=now))
                assert found == expected
                seen["peers"] += len(found.peers)

        play()
    # else it has compared nothing of note
    for what in (
        "MailboxEntry",
        "ReceiptEntry",
        "ReadSyncEntry",
        "Stored",
        "Refused",
        "Conflicting",
        "let go",
        "peers",
        "records",
        "resumed",
        "devices went",
        "known",
        "waiting",
        "others",
        "fenced cursors",
    ):
        assert seen[what], seen


def devices_of(store):
    """Every device with a name, and when it logged in."""
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM devices WHERE device <> ''").all()
        named = {(user_id(row.user), row.device): row.last_login_at for row in rows}
        # a fence is of a device that is known
        fenced = connection.exec_driver_sql("SELECT DISTINCT user, device FROM fences").all()
        assert {(user_id(user), device) for user, device in fenced} == named.keys()
    return named


def check_known(store, twin, seen):
    """What the writer takes for known is what is held."""
    known = store._database.known
    for user, one in known.users.items():
        box = twin._mailbox(user)
        if one.mailbox is not None:
            assert one.mailbox[1:] == box[1:]
            waiting = [
                (m.sender, m.msg_id, m.to_user, m.session_id, m.seq)
                for m in twin.messages
                if m.to_user == user and m.wants_receipt and m.seq > max(one.since, box.delivered)
            ]
            assert list(map(tuple, one.waiting)) == waiting
            seen["waiting"] += len(waiting)
        for name, device in one.devices.items():
            assert device == twin._devices.get((user, name), Device(0, None, 0))
        for name, others in one.others.items():
            named = {device for of, device in twin._devices if of == user}
            assert others == bool(named - {PLAIN, name})
            seen["others"] += others
        if one.highest is not None:
            sent = [message.msg_id for message in twin.messages if message.sender == user]
            assert one.highest == max(sent, default=0)
    for number, session in known.sessions.items():
        assert session == twin.sessions[number]
    for pair, session in known.chats.items():
        chats = [s for s in twin.sessions.values() if (s.book_id, s.buyer, s.seller) == (0, *pair)]
        assert session == max(chats, key=lambda chat: chat.id)
    seen["known"] += len(known.users) + len(known.sessions) + len(known.chats)


def note(found, seen):
    """Count what an answer shows."""
    match found:
        case Committed():
            seen.update(type(result).__name__ for result in found.results)
            seen["fenced cursors"] += len(found.fenced)
        case StatusFound():
            seen.update(item.status for item in found.items)
        case Retained():
            seen["let go"] += len(found.oldest)
        case CallDone(data={"records": records}):
            seen["records"] += len(records)
        case LoginStored():
            seen["resumed"] += found.login.resume_entry is not None
