"""How much a transaction takes: as much as the store writes in `commit_time`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import FULL, Kit, Peer
from im_proto.server.batches import HALF, LEAST, BatchSize


def test_a_slow_full_transaction_makes_the_next_one_smaller_by_half_at_the_most() -> None:
    size = BatchSize(128, 0.01)
    assert size.room == 128
    size.took(128, 0.0125)
    assert size.room == 102  # as much as would have taken 10 ms
    size.took(102, 1.0)
    assert size.room == 51
    for _ in range(10):
        size.took(51, 1.0)
    assert size.room == LEAST


def test_quick_ones_grow_again_up_to_the_most() -> None:
    size = BatchSize(128, 0.01)
    for _ in range(10):
        size.took(128, 1.0)
    rooms = []
    while size.room < 128:
        size.took(size.room, 0.01)
        rooms.append(size.room)
    assert rooms[:3] == [10, 12, 15] and len(rooms) == 13
    size.took(128, 0.0)
    assert size.room == 128


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_one_that_was_not_half_full_says_nothing(seconds: float) -> None:
    size = BatchSize(128, 0.01)
    size.took(128, 1.0)
    size.took(31, seconds)
    assert size.room == 64
    size.took(32, seconds)
    assert size.room != 64


@given(
    most=st.integers(1, 1000),
    took=st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 100)), max_size=30),
)
def test_there_is_always_room_for_some_and_never_for_more_than_the_most(
    most: int, took: list[tuple[int, float]]
) -> None:
    size = BatchSize(most, 0.01)
    for items, seconds in took:
        size.took(items, seconds)
        assert min(LEAST, most) <= size.room <= most


@pytest.mark.parametrize(
    "waiting, rested, took, expected",
    [
        (2 * HALF, True, 0.0, HALF),
        (2 * HALF + 1, True, 0.005, HALF),
        (200, True, 0.0, 100),
        (1000, True, 0.0, 128),
        (2 * HALF - 1, True, 0.0, 128),  # half of it is not worth a transaction
        (2 * HALF, False, 0.0, 128),
        (2 * HALF, True, 0.006, 128),
    ],
)
def test_a_store_that_has_rested_and_is_quick_gets_much_in_two_halves(
    waiting: int, rested: bool, took: float, expected: int
) -> None:
    size = BatchSize(128, 0.01)
    size.took(1, took)
    assert size.of(waiting, rested=rested) == expected


def _full_frame(peer: Peer, first: int = 1) -> None:
    """As much as a client may say at once."""
    kind = "CHAT_SEND_TO_ONE_REQUEST"
    peer.batch(
        *(
            peer.envelope(kind, msgId=n, toUser=2, content=f"{n}")
            for n in range(first, first + 2 * HALF)
        )
    )


def _sizes(kit: Kit) -> list[int]:
    return [len(commit.submissions) for commit in kit.commits]


def test_who_says_much_at_once_is_answered_half_of_it_while_the_other_is_written() -> None:
    kit = Kit()
    sender, recipient = kit.user(1, **FULL), kit.user(2, **FULL)
    kit.holding = True
    _full_frame(sender)
    assert (_sizes(kit), sender.answers) == ([HALF], [])
    kit.now += 0.001
    kit.answer()
    assert _sizes(kit) == [HALF, HALF] and len(kit.held) == 1
    assert len(sender.answers) == len(recipient.pushes) == HALF
    kit.now += 0.001
    kit.release()
    ids = list(range(1, 2 * HALF + 1))
    assert [answer["msgId"] for answer in sender.answers] == ids
    assert recipient.contents == [str(n) for n in ids]
    kit.now += 0.001  # the store has rested: as the first time
    _full_frame(sender, first=2 * HALF + 1)
    assert _sizes(kit)[2:] == [HALF, HALF]


def test_what_has_come_during_a_transaction_is_written_as_one() -> None:
    kit = Kit()
    sender = kit.user(1, **FULL)
    kit.holding = True
    sender.chat(1, 2, "first")
    _full_frame(sender, first=2)
    kit.now += 0.001
    kit.release()
    assert _sizes(kit) == [1, 2 * HALF]


def test_a_store_that_takes_long_for_any_transaction_is_asked_for_one() -> None:
    kit = Kit(commit_time=0.005)
    sender = kit.user(1, **FULL)
    kit.holding = True
    sender.chat(1, 2, "first")
    kit.now += 0.003
    kit.answer()
    kit.now += 0.001
    _full_frame(sender, first=2)
    assert _sizes(kit) == [1, 2 * HALF]


def test_a_hub_asks_less_of_a_slow_store_at_once() -> None:
    kit = Kit(commit_batch=64)
    writers = [kit.user(user) for user in range(1, 21)]
    kit.holding = True
    for n in range(1, 11):
        for writer in writers:
            writer.chat(n, 500, f"{n}")
    while kit.held:
        kit.now += 0.1
        kit.answer()
    sizes = [len(commit.submissions) for commit in kit.commits]
    assert sizes[:6] == [1, 64, 32, 16, LEAST, LEAST]  # the first went at once
    assert sum(sizes) == 200


def test_cursors_are_no_more_at_once_either() -> None:
    kit = Kit(commit_batch=8)
    readers = [kit.user(user) for user in range(1, 21)]
    for reader in readers:
        kit.user(99).chat(reader.connection, reader.connection, "hello")
    before = len(kit.commits)
    for reader in readers:
        reader.ack(1)
    kit.wait(5.0)
    assert [len(commit.cursors) for commit in kit.commits[before:]] == [8, 8, 4]
    assert all(kit.cursor(user) == 1 for user in range(1, 21))
