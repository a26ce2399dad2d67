"""What is decided inside a transaction, against a model that decides one message at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.server.commit import (
    Device,
    Mailbox,
    Message,
    Plan,
    Snapshot,
    plan_commit,
    unstorable,
    wanted,
)
from im_proto.server.records import (
    PLAIN,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    Stored,
    Submission,
    Unstorable,
)
from im_proto.wire import MAX_ID

AT = 1_700_000_000_000


class DictStore:
    """A store that gives a plan exactly what `wanted` asks for, and no more."""

    def __init__(self):
        self.devices: dict[tuple[int | str, str], Device] = {}
        self.mailboxes: dict[int | str, Mailbox] = {}
        self.messages: list[Message] = []

    def login(self, user, device):
        old = self.devices.get((user, device), Device(0, None, 0))
        generation = 0 if device == PLAIN else old.generation + 1
        self.devices[user, device] = old._replace(generation=generation)
        return generation

    def commit(self, submissions=(), cursors=(), at=AT) -> Plan:
        asked = wanted(submissions, cursors)
        snapshot = Snapshot(
            devices={key: self.devices[key] for key in asked.devices if key in self.devices},
            earlier=[
                m
                for m in self.messages
                if (m.sender, m.msg_id) in asked.identities
                or (m.device == PLAIN and (m.sender, m.client_msg_id) in asked.plain)
            ],
            mailboxes={
                user: self.mailboxes.get(user, Mailbox(f"epoch of {user}", 0))
                for user in asked.recipients
            },
            highest_msg_id=lambda sender: max(
                (m.msg_id for m in self.messages if m.sender == sender), default=0
            ),
        )
        plan = plan_commit(submissions, cursors, snapshot, at)
        self.messages += plan.messages
        self.mailboxes |= plan.mailboxes
        self.devices |= plan.devices
        return plan


class Model:
    """The rules of protocol.md in their plainest form: one message, all of history."""

    def __init__(self):
        self.generations = {}
        self.cursors = {}
        self.rows = []  # (submission, pushed msg_id, seq, at)

    def login(self, user, device):
        if device != PLAIN:
            self.generations[user, device] = self.generations.get((user, device), 0) + 1

    def submit(self, new, at, held):
        if new.device != PLAIN and self.generations.get((new.sender, new.device)) != new.generation:
            return Fenced(key=new.key)
        mine = [row for row in self.rows if row[0].sender == new.sender]
        msg_id = new.msg_id
        for first, pushed, seq, first_at in mine:
            same = first.to_user == new.to_user and first.content == new.content
            if new.device == PLAIN:
                if first.device == PLAIN and first.msg_id == new.msg_id and same:
                    return Stored(
                        key=new.key, to_user=new.to_user, seq=seq, timestamp=first_at, repeat=True
                    )
            elif pushed == new.msg_id:
                if replace(first, key=0, generation=0) == replace(new, key=0, generation=0):
                    return Stored(
                        key=new.key, to_user=new.to_user, seq=seq, timestamp=first_at, repeat=True
                    )
                held.add((new.sender, new.device))
                return Conflicting(key=new.key)
        if new.device != PLAIN and (new.sender, new.device) in held:
            return Held(key=new.key)
        if any(row[1] == msg_id for row in mine):
            msg_id = max(at * 1000, max(row[1] for row in mine) + 1)
        seq = 1 + sum(row[0].to_user == new.to_user for row in self.rows)
        self.rows.append((new, msg_id, seq, at))
        return Stored(key=new.key, to_user=new.to_user, seq=seq, timestamp=at, repeat=False)

    def move(self, move):
        key = (move.user, move.device)
        if move.device != PLAIN and self.generations.get(key) != move.generation:
            return
        self.cursors[key] = max(move.seq, self.cursors.get(key, 0))


USERS = st.sampled_from([1, 2, "bravo"])
DEVICES = st.sampled_from([PLAIN, PLAIN, "a", "b"])
GENERATIONS = st.sampled_from([1, 1, 1, 2, 0])
#: 1000 and 2000 are what the server makes itself at 1 and 2 ms.
MSG_IDS = st.sampled_from([1, 2, 3, 1000, 1001, 2000])

SUBMISSIONS = st.builds(
    Submission,
    key=st.integers(0, 99),
    sender=USERS,
    device=DEVICES,
    generation=GENERATIONS,
    msg_id=MSG_IDS,
    to_user=USERS,
    content=st.sampled_from("xy"),
    message_type=st.sampled_from(["text", "text", "image"]),
    session_id=st.sampled_from([None, None, 5]),
)
MOVES = st.builds(
    CursorMove, user=USERS, device=DEVICES, generation=GENERATIONS, seq=st.integers(0, 5)
)
COMMITS = st.tuples(
    st.just("commit"),
    st.lists(SUBMISSIONS, max_size=12),
    st.lists(MOVES, max_size=4),
    st.integers(0, 2),
)
LOGINS = st.tuples(st.just("login"), USERS, DEVICES)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.one_of(COMMITS, COMMITS, LOGINS), max_size=6))
def test_a_batch_is_decided_like_one_message_after_the_other(steps):
    store, model = DictStore(), Model()
    for user in (1, 2, "bravo"):  # so that not nearly everything is fenced
        store.login(user, "a")
        model.login(user, "a")
    for kind, *arguments in steps:
        if kind == "login":
            store.login(*arguments)
            model.login(*arguments)
            continue
        submissions, cursors, at = arguments
        plan = store.commit(submissions, cursors, at)
        held = set()
        assert list(plan.results) == [model.submit(new, at, held) for new in submissions]
        for move in cursors:
            model.move(move)

    assert [
        (m.sender, m.client_msg_id, m.msg_id, m.to_user, m.content, m.seq, m.timestamp)
        for m in store.messages
    ] == [
        (new.sender, new.msg_id, msg_id, new.to_user, new.content, seq, at)
        for new, msg_id, seq, at in model.rows
    ]
    assert {
        key: device.cursor for key, device in store.devices.items() if device.cursor is not None
    } == model.cursors
    ids = [(m.sender, m.msg_id) for m in store.messages]
    assert len(ids) == len(set(ids))
    for user, mailbox in store.mailboxes.items():
        seqs = [m.seq for m in store.messages if m.to_user == user]
        assert seqs == list(range(1, mailbox.head + 1))
        assert mailbox.epoch == f"epoch of {user}"
    for (user, device), kept in store.devices.items():
        sent = [m.client_msg_id for m in store.messages if (m.sender, m.device) == (user, device)]
        assert kept.last_msg_id == max(sent, default=0)


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


def stored(key, seq, *, repeat=False, to_user=2, timestamp=AT):
    return Stored(key=key, to_user=to_user, seq=seq, timestamp=timestamp, repeat=repeat)


@pytest.fixture
def store():
    made = DictStore()
    made.login(1, "a")
    return made


def test_a_repeat_gets_the_first_answer_in_the_same_batch_and_later(store):
    assert store.commit([message(1), message(2)]).results == (
        stored(1, 1),
        stored(2, 1, repeat=True),
    )
    later = store.commit([message(3)], at=AT + 5)
    assert later.results == (stored(3, 1, repeat=True, timestamp=AT),)
    assert not later.messages and not later.mailboxes and not later.devices


@pytest.mark.parametrize(
    "other",
    [{"to_user": 3}, {"content": "bye"}, {"message_type": "image"}, {"session_id": 5}],
    ids=lambda other: next(iter(other)),
)
@pytest.mark.parametrize("same_batch", [True, False])
def test_the_same_id_for_another_message_conflicts(store, other, same_batch):
    first, second = message(1), message(2, **other)
    if same_batch:
        results = store.commit([first, second]).results
    else:
        results = store.commit([first]).results + store.commit([second]).results
    assert results == (stored(1, 1), Conflicting(key=2))
    assert len(store.messages) == 1


def test_the_same_id_of_another_device_conflicts_even_with_the_same_content(store):
    store.login(1, "b")
    assert store.commit([message(1), message(2, device="b")]).results == (
        stored(1, 1),
        Conflicting(key=2),
    )


def test_a_newer_login_fences_even_a_repeat(store):
    store.commit([message(1)])
    store.login(1, "a")
    move = CursorMove(user=1, device="a", generation=1, seq=4)
    plan = store.commit([message(2), message(3, msg_id=11)], [move])
    assert plan.results == (Fenced(key=2), Fenced(key=3))
    assert not plan.messages and not plan.devices
    again = store.commit([message(4, generation=2)], [replace(move, generation=2)])
    assert again.results == (stored(4, 1, repeat=True),)
    assert store.devices[1, "a"] == Device(generation=2, cursor=4, last_msg_id=10)


def test_a_device_that_never_logged_in_is_fenced(store):
    plan = store.commit([message(1, device="new", generation=0)])
    assert plan.results == (Fenced(key=1),)


def test_a_plain_sender_may_use_an_id_again_for_another_message(store):
    plain = {"device": PLAIN, "generation": 0}
    results = store.commit(
        [
            message(1, **plain),
            message(2, content="bye", **plain),
            message(3, **plain),
            message(4, content="bye", message_type="image", **plain),
            message(5, to_user=3, **plain),
        ]
    ).results
    assert results == (
        stored(1, 1),
        stored(2, 2),
        stored(3, 1, repeat=True),
        stored(4, 2, repeat=True),
        stored(5, 1, to_user=3),
    )
    assert [m.msg_id for m in store.messages] == [10, AT * 1000, AT * 1000 + 1]
    assert [m.client_msg_id for m in store.messages] == [10, 10, 10]
    assert store.commit([message(6, content="bye", **plain)], at=AT + 9).results == (
        stored(6, 2, repeat=True),
    )


def test_a_plain_sender_gets_another_id_where_a_device_has_it(store):
    """The same content, but not by a plain login: another message, not a repeat."""
    store.commit([message(1)])
    plan = store.commit([message(2, device=PLAIN, generation=0)])
    assert plan.results == (stored(2, 2),)
    assert plan.messages[0].msg_id == AT * 1000


def test_an_id_of_our_own_lies_above_all_that_the_sender_has(store):
    plain = {"device": PLAIN, "generation": 0}
    high = AT * 1000 + 500
    store.commit([message(1, msg_id=high)])
    plan = store.commit(
        [message(2, msg_id=high + 7, **plain), message(3, msg_id=high, content="y", **plain)]
    )
    assert plan.messages[1].msg_id == high + 8


def test_a_sender_who_has_used_the_last_id_is_told_so(store):
    plain = {"device": PLAIN, "generation": 0}
    plan = store.commit(
        [message(1, msg_id=MAX_ID, **plain), message(2, msg_id=MAX_ID, content="y", **plain)]
    )
    assert plan.results[0] == stored(1, 1)
    assert isinstance(plan.results[1], Unstorable)
    assert len(plan.messages) == 1


def test_cursors_never_go_back(store):
    move = CursorMove(user=1, device="a", generation=1, seq=4)
    assert store.commit([], [move, replace(move, seq=3)]).devices[1, "a"].cursor == 4
    assert not store.commit([], [replace(move, seq=2), move]).devices


def test_a_plain_cursor_needs_no_login_and_zero_is_a_cursor(store):
    move = CursorMove(user=2, device=PLAIN, generation=0, seq=0)
    assert store.commit([], [move]).devices == {(2, PLAIN): Device(0, 0, 0)}


BAD = [
    {"sender": 0},
    {"sender": 2**63},
    {"sender": True},
    {"sender": "7"},  # it would be the int 7 in a store that keeps text
    {"sender": "a\x00b"},
    {"to_user": ""},
    {"to_user": "\ud800"},
    {"to_user": 1.0},
    {"device": "\ud800"},
    {"device": "a\x00"},
    {"msg_id": 2**63},
    {"msg_id": 0},
    {"session_id": 2**63},
    {"session_id": "5"},
    {"content": "a\x00b"},
    {"content": "a\udfffb"},
    {"content": None},
    {"message_type": "\ud83d"},
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_no_store_can_hold_never_reaches_it(store, bad):
    culprit = message(2, msg_id=11) if "msg_id" not in bad else message(2)
    culprit = replace(culprit, **bad)
    asked = wanted([culprit], [])
    assert not (asked.devices or asked.identities or asked.plain or asked.recipients)
    reason = unstorable(culprit)
    assert reason
    plan = store.commit([message(1), culprit, message(3, msg_id=12)])
    assert plan.results == (stored(1, 1), Unstorable(key=2, reason=reason), stored(3, 2))


@pytest.mark.parametrize("bad", [{"seq": -1}, {"seq": 2**63}, {"user": "7"}, {"device": "\ud800"}])
def test_a_cursor_that_makes_no_sense_is_dropped(store, bad):
    good = CursorMove(user=1, device="a", generation=1, seq=4)
    plan = store.commit([], [replace(good, **bad), good])
    assert plan.devices == {(1, "a"): Device(1, 4, 0)}


def test_the_ends_of_what_a_store_can_hold_are_fine():
    assert unstorable(message(msg_id=MAX_ID, sender=MAX_ID, session_id=MAX_ID)) is None
    assert unstorable(message(sender="bravo", to_user="9" * 30, content="\U0001f600")) is None
