"""Pushes out of a mailbox: resume, acknowledging, holes (protocol.md section 2)."""

from __future__ import annotations

from typing import Any

import pytest

from core.server_kit import Kit, Peer
from im_proto.server import actions as act
from im_proto.server.inputs import ReadDone
from im_proto.server.records import MailboxEntry
from im_proto.server.session import Session


def filled(count: int, **config: Any) -> Kit:
    """A server where user 2 has `count` messages of user 1: m1, m2 ..."""
    kit = Kit(**config)
    sender = kit.user(1)
    for n in range(1, count + 1):
        sender.chat(n, 2, f"m{n}")
    return kit


def some(first: int, last: int) -> list[str]:
    return [f"m{n}" for n in range(first, last + 1)]


def resume(seq: int, **more: Any) -> dict[str, Any]:
    return {"resume": {"epoch": "e0", "seq": seq, "fromUser": 1, "msgId": seq or None, **more}}


# ------------------------------------------------------------ resume


@pytest.mark.parametrize("seq", [0, 1, 4, 5])
def test_a_resume_that_fits_is_recovered_and_goes_on_right_behind(seq: int) -> None:
    peer = filled(5).user(2, **resume(seq))
    data = peer.data
    assert (data["resume"], data["seq"], data["epoch"]) == ("recovered", seq, "e0")
    assert "oldest" not in data
    assert peer.contents == some(seq + 1, 5)
    assert [push["seq"] for push in peer.pushes] == list(range(seq + 1, 6))


@pytest.mark.parametrize("bad", [{"epoch": "e1"}, {"seq": 6}, {"msgId": 4}, {"fromUser": 9}])
def test_a_resume_that_does_not_fit_is_reset_and_starts_at_the_oldest(bad: dict[str, Any]) -> None:
    peer = filled(5).user(2, **resume(3, **bad) if "seq" not in bad else resume(**bad))
    assert (peer.data["resume"], peer.data["oldest"], peer.data["seq"]) == ("reset", 1, 0)
    assert peer.contents == some(1, 5)


def test_the_clients_cursor_beats_the_servers_both_ways() -> None:
    for seq in (1, 4):
        kit = filled(5)
        kit.user(2).ack(3)
        kit.wait(1)
        assert kit.user(2, **resume(seq)).contents == some(seq + 1, 5)


def test_without_resume_the_devices_acknowledged_cursor_counts() -> None:
    kit = filled(5)
    first = kit.user(2)
    assert first.contents == some(1, 5) and "resume" not in first.data
    first.ack(3)
    kit.wait(1)
    assert kit.user(2).contents == some(4, 5)
    assert kit.user(2, "tablet").contents == some(1, 5)  # a device that was never here


def test_an_unknown_device_starts_where_the_configuration_says() -> None:
    kit = filled(5, first_login="latest")
    peer = kit.user(2)
    assert peer.contents == [] and peer.data["seq"] == 5
    kit.user(1).chat(6, 2, "m6")
    assert peer.contents == ["m6"]


def test_what_a_first_login_passed_over_stays_passed_over() -> None:
    """Also for a device that leaves before it has acknowledged anything."""
    kit = filled(5, first_login="latest")
    kit.user(2).lose()
    kit.wait(1)
    kit.user(1).chat(6, 2, "m6")
    assert kit.user(2).contents == ["m6"]


def test_resume_without_seq_is_ignored() -> None:
    peer = filled(3).user(2, capabilities=["batch"], **resume(2))
    assert "resume" not in peer.data and peer.contents == some(1, 3)


def test_live_traffic_follows_what_was_missed_without_a_gap() -> None:
    kit = filled(300)
    sender = kit.user(1, "web")
    kit.holding = True
    peer = kit.user(2)
    kit.answer()
    sender.chat(301, 2, "m301")  # committed while the backlog is read
    kit.release()
    assert peer.contents == some(1, 301)
    assert [push["seq"] for push in peer.pushes] == list(range(1, 302))


# ------------------------------------------------------------ the window


def test_at_most_so_many_are_pushed_beyond_the_ack() -> None:
    kit = filled(20, unacked=8)
    peer = kit.user(2)
    assert peer.contents == some(1, 8)
    peer.ack(3)
    assert peer.contents == some(1, 11)
    kit.user(1).chat(21, 2, "m21")
    assert peer.contents == some(1, 11)
    peer.ack(11)
    peer.ack(19)
    assert peer.contents == some(1, 21)


def test_an_ack_is_cumulative_and_the_same_one_again_is_nothing() -> None:
    kit = filled(5)
    peer = kit.user(2)
    for seq in (2, 2, 5, 5):
        peer.ack(seq)
    assert peer.close is None
    kit.wait(1)
    assert kit.cursor(2) == 5


@pytest.mark.parametrize("acks", [[6], [3, 2], [3, 0], [2**62], [5, 6]])
def test_an_ack_above_what_was_pushed_or_going_back_is_1008(acks: list[int]) -> None:
    kit = filled(5)
    peer = kit.user(2)
    for seq in acks:
        assert peer.close is None
        peer.ack(seq)
    assert peer.code == 1008
    assert "ack" in peer.of("KICK")[0]["reason"]
    assert kit.gateway.online() == {1: 1}
    kit.wait(1)
    assert kit.cursor(2) == (acks[0] if len(acks) > 1 else 0)


def test_an_ack_of_what_is_read_but_not_pushed_yet_is_a_violation_too() -> None:
    kit = filled(5, unacked=2)
    peer = kit.user(2)
    peer.ack(3)
    assert peer.code == 1008


# ------------------------------------------------------------ cursors


def test_cursors_ride_along_or_are_written_after_a_moment() -> None:
    kit = filled(5)
    peer = kit.user(2)
    commits = len(kit.commits)
    for seq in range(1, 5):
        peer.ack(seq)
    assert len(kit.commits) == commits
    kit.wait(0.4)
    assert len(kit.commits) == commits
    kit.wait(0.2)
    (commit,) = kit.commits[commits:]
    assert [move.seq for move in commit.cursors] == [4] and commit.submissions == ()
    peer.ack(5)
    peer.chat(1, 1, "x")
    commit = kit.commits[-1]
    assert [move.seq for move in commit.cursors] == [5] and len(commit.submissions) == 1
    kit.wait(10)
    assert len(kit.commits) == commits + 2


def test_a_cursor_survives_a_failed_commit() -> None:
    kit = filled(5)
    peer = kit.user(2)
    peer.ack(4)
    kit.holding = True
    kit.wait(0.6)
    kit.fail()
    assert peer.close is None  # nobody's message was in it
    kit.wait(0.6)
    kit.release()
    assert kit.cursor(2) == 4


# ------------------------------------------------------------ holes


def test_sync_sends_again_what_follows() -> None:
    kit = filled(5)
    peer = kit.user(2)
    peer.ack(1)
    peer.forget()
    peer.send("SYNC_REQUEST", after=2)
    assert peer.messages[0] == (
        "SYNC_RESPONSE",
        {"status": "recovered", "oldest": 1, "epoch": "e0"},
    )
    assert peer.contents == some(3, 5)
    peer.ack(5)
    assert peer.close is None


def test_sync_drops_what_was_being_read_before() -> None:
    kit = filled(5)
    peer = kit.user(2)
    sender = kit.user(1, "web")
    peer.block()
    sender.chat(6, 2, "m6")
    kit.holding = True
    peer.unblock()
    assert isinstance(kit.held[0], act.StoreRead)
    peer.forget()
    peer.send("SYNC_REQUEST", after=3)
    kit.release()
    assert peer.kinds[0] == "SYNC_RESPONSE"
    assert peer.contents == some(4, 6)


def test_syncs_never_ask_the_store_for_more_than_one_piece_at_a_time() -> None:
    kit = filled(5)
    peer = kit.user(2)
    kit.holding = True
    for _ in range(20):
        peer.send("SYNC_REQUEST", after=2)
    assert sum(isinstance(held, act.StoreRead) for held in kit.held) == 1
    peer.forget()
    kit.release()
    assert peer.contents == some(3, 5)


@pytest.mark.parametrize("after", [0, 6, 2**62])
def test_a_sync_of_what_was_acknowledged_or_never_pushed_is_1008(after: int) -> None:
    peer = filled(5).user(2)
    peer.ack(1)
    peer.send("SYNC_REQUEST", after=after)
    assert peer.code == 1008


def test_what_is_no_longer_held_does_not_hide_what_came_meanwhile() -> None:
    """The store finds nothing to read, and before it says so another message is committed."""
    kit = filled(3)
    sender = kit.user(1, "web")
    kit.holding = True
    peer = kit.user(2)
    kit.answer()
    read = kit.held.popleft()
    assert isinstance(read, act.StoreRead) and read.after == 0
    sender.chat(4, 2, "m4")
    kit.answer()
    kit.do(ReadDone(request=read.request, entries=(), head=3))
    kit.release()
    assert peer.contents[-1] == "m4"


def test_a_read_for_a_connection_that_is_gone_goes_nowhere() -> None:
    kit = filled(3)
    kit.holding = True
    peer: Peer = kit.user(2)
    kit.answer()
    (read,) = kit.held
    peer.lose()
    entry = MailboxEntry(seq=1, from_user=1, to_user=2, msg_id=1, content="m1", timestamp=1,
                         message_type="text", session_id=None)  # fmt: skip
    kit.do(ReadDone(request=read.request, entries=(entry,), head=3))
    assert peer.contents == [] and not kit.gateway.hub._reads


def test_a_message_to_oneself_arrives() -> None:
    kit = Kit()
    peer = kit.user(1)
    peer.chat(1, 1, "note")
    assert peer.contents == ["note"] and len(peer.answers) == 1


def test_what_a_resuming_client_has_handled_is_remembered_for_its_device() -> None:
    """It was handled while the link was down, so no ack on the new link will say it."""
    kit = filled(5)
    kit.user(2).lose()
    kit.user(2, **resume(3)).lose()
    kit.wait(1)
    assert kit.cursor(2) == 3
    assert kit.user(2).contents == some(4, 5)


def test_a_mailbox_that_is_emptied_while_it_is_read_leaves_nobody_stuck() -> None:
    session = Session(
        connection=1,
        user=2,
        roles=frozenset(),
        device="phone",
        granted=frozenset({"seq"}),
        generation=1,
        epoch="e0",
        oldest=1,
        head=84,
        sent=20,
        acked=17,
    )
    session.read((), 84)  # 21 to 84 are gone: nobody will ever acknowledge them
    assert session.room(4) == 0
    session.head = 85
    assert session.room(4) == 1


def test_what_came_while_nothing_was_read_is_read_next() -> None:
    session = Session(
        connection=1,
        user=2,
        roles=frozenset(),
        device="phone",
        granted=frozenset({"seq"}),
        generation=1,
        epoch="e0",
        oldest=1,
        head=21,
        sent=20,
        acked=20,
    )
    session.read((), 20)  # an answer of before the wake-up
    assert session.room(4) == 4


# ------------------------------------------------------------ with the commit


def reads(kit: Kit) -> int:
    return sum(isinstance(action, act.StoreRead) for action in kit.said)


def test_what_comes_in_is_pushed_with_the_commit_to_who_is_that_far() -> None:
    kit = filled(3)
    peer, tablet, sender = kit.user(2), kit.user(2, "tablet"), kit.user(1, "web")
    before = reads(kit)
    kit.holding = True
    for n in range(4, 9):
        sender.chat(n, 2, f"m{n}")
    while kit.held:
        assert isinstance(kit.held[0], act.StoreCommit)
        kit.answer()
    assert peer.contents == tablet.contents == some(1, 8)
    assert [push["seq"] for push in peer.pushes] == list(range(1, 9))
    assert reads(kit) == before


def test_of_what_comes_in_no_more_is_pushed_than_there_is_room_for() -> None:
    kit = Kit(unacked=3)
    peer, sender = kit.user(2), kit.user(1)
    kit.holding = True
    for n in range(1, 6):
        sender.chat(n, 2, f"m{n}")
    kit.release()
    assert peer.contents == some(1, 3)
    peer.ack(2)
    assert peer.contents == some(1, 5)


def test_who_was_asleep_or_behind_gets_it_from_the_mailbox_in_order() -> None:
    kit = Kit(unacked=4)
    awake, asleep, behind = kit.user(2), kit.user(2, "tablet"), kit.user(2, "old")
    sender = kit.user(1)
    asleep.block()
    for n in range(1, 8):
        sender.chat(n, 2, f"m{n}")
        awake.ack(n)
    assert (awake.contents, asleep.contents, behind.contents) == (some(1, 7), [], some(1, 4))
    asleep.unblock()
    behind.ack(4)
    assert (asleep.contents, behind.contents) == (some(1, 4), some(1, 7))
    asleep.ack(4)
    sender.chat(8, 2, "m8")
    assert awake.contents == asleep.contents == behind.contents == some(1, 8)


def test_nothing_is_pushed_that_does_not_follow() -> None:
    def entry(seq: int) -> MailboxEntry:
        return MailboxEntry(seq=seq, from_user=1, to_user=2, msg_id=seq, content="x",
                            message_type="text", session_id=1, timestamp=1)  # fmt: skip

    kit = filled(3)
    kit.user(2)
    (session,) = kit.gateway.hub._roster.of_user(2)
    session.head = 9
    assert session.follow((entry(5),), 10) == ()
    assert session.follow((entry(3), entry(4)), 10) == ()
    assert session.follow((), 10) == ()
    assert session.sent == 3
    assert session.follow((entry(4), entry(5)), 10) == (entry(4), entry(5))
    assert session.sent == 5
