"""`Line`: everybody's own order is kept, and nobody waits behind all of somebody else's."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import ALL, DETERMINISTIC, Kit
from im_proto.server import actions as act
from im_proto.server.costs import weight
from im_proto.server.line import Line

_OPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["append", "prepend"]), st.integers(1, 3), st.integers(0, 9)),
        st.tuples(st.just("pop"), st.just(0), st.just(0)),
        st.tuples(st.just("keep"), st.just(0), st.integers(0, 9)),
    ),
    max_size=40,
)


@given(_OPS)
@DETERMINISTIC
def test_it_is_a_queue_for_each_user_served_in_turn(ops: list[tuple[str, int, int]]) -> None:
    line: Line[tuple[int, int]] = Line()
    queues: dict[int, deque[tuple[int, int]]] = {}
    turns: list[int] = []
    for name, user, number in ops:
        if name == "append":
            line.append(user, (user, number))
            queues.setdefault(user, deque()).append((user, number))
        elif name == "prepend":
            line.prepend(user, (user, number))
            queues.setdefault(user, deque()).appendleft((user, number))
        elif name == "keep":
            line.keep(lambda item, least=number: item[1] >= least)
            for user, queue in queues.items():
                queues[user] = deque(item for item in queue if item[1] >= number)
        elif turns:
            assert line.pop() == queues[turns[0]].popleft()
            turns.append(turns.pop(0))
        turns = [user for user in turns if queues[user]]
        turns += [user for user, queue in queues.items() if queue and user not in turns]
        assert len(line) == sum(map(len, queues.values()))


def test_a_flood_of_one_user_does_not_hold_up_the_message_of_another() -> None:
    kit = Kit(commit_batch=4)
    flooder, other = kit.user(1), kit.user(2)
    kit.holding = True
    for n in range(1, 101):
        flooder.chat(n, 3, f"flood {n}")
    other.chat(1, 3, "hello")
    kit.answer(2)
    written = [[s.content for s in commit.submissions] for commit in kit.commits[-3:]]
    assert written[0] == ["flood 1"]  # it came first, and went at once
    assert written[1] == ["flood 2", "hello", "flood 3", "flood 4"]


def test_no_more_is_asked_at_once_than_a_batch_costs() -> None:
    kit = Kit(commit_batch=400)
    asking, other = [kit.user(user, **ALL) for user in range(10, 20)], kit.user(1)
    kit.holding = True
    other.chat(1, 3, "first")  # a commit is under way, so that the rest heaps up
    for one in asking:
        for n in range(3):
            one.send("SESSION_REQUEST", id=str(n), op="history", params={"peerId": 2})
    other.chat(2, 3, "hello")
    kit.answer()
    asked = [action for action in kit.held if isinstance(action, act.StoreCall)]
    assert asked
    assert sum(weight(question) for question in asked[:-1]) < 400
    for _ in range(2):  # each of the ten asks once before it is his turn
        kit.answer(len(kit.held))
    assert kit.submissions[-1].content == "hello"
    kit.release()
    assert [len(one.of("SESSION_RESPONSE")) for one in asking] == [3] * 10
