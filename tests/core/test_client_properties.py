"""What holds whatever happens: random inputs of every kind, stale and wrong ones among them."""

from __future__ import annotations

import copy
import pickle
import random
from collections import Counter

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.client_explorer import CONFIGS, OPS, Explorer, Op, replay
from core.client_kit import make_core

SMALL = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FEW = settings(SMALL, max_examples=20)

NUMBER = st.integers(0, 63)
OPS_OF_A_LIFE: st.SearchStrategy[list[Op]] = st.lists(
    st.tuples(st.integers(0, len(OPS) - 1), NUMBER, NUMBER), min_size=40, max_size=120
)
WHICH = st.integers(0, len(CONFIGS) - 1)


@SMALL
@given(WHICH, OPS_OF_A_LIFE)
def test_nothing_that_happens_breaks_a_promise(which: int, ops: list[Op]) -> None:
    x = Explorer(CONFIGS[which])
    for op in ops:
        x.op(op)
    event(f"log-ins: {min(3, x.core.counters.reconnects)}+")
    event(f"ended: {min(5, len(x.ended))}+")


@FEW
@given(WHICH, OPS_OF_A_LIFE)
def test_time_alone_always_goes_on_and_comes_to_rest_or_keeps_a_pace(
    which: int, ops: list[Op]
) -> None:
    x = Explorer(CONFIGS[which])
    for op in ops:
        x.op(op)
    began = x.now
    steps = 0
    while x.core.next_deadline() is not None and steps < 60:
        x.wake()
        steps += 1
    assert steps < 60 or x.now - began > 5


@FEW
@given(WHICH, OPS_OF_A_LIFE)
def test_the_same_inputs_and_the_same_seed_give_the_same_actions(which: int, ops: list[Op]) -> None:
    x = Explorer(CONFIGS[which], seed=5)
    for op in ops:
        x.op(op)
    assert replay(make_core(CONFIGS[which], seed=5), x.history) == x.log


@FEW
@given(WHICH, OPS_OF_A_LIFE, st.floats(0, 1))
def test_a_copy_made_midway_goes_on_as_the_original(
    which: int, ops: list[Op], where: float
) -> None:
    x = Explorer(CONFIGS[which])
    at = int(len(ops) * where)
    for op in ops[:at]:
        x.op(op)
    copied, pickled = copy.deepcopy(x.core), pickle.loads(pickle.dumps(x.core))
    done = len(x.history)
    for op in ops[at:]:
        x.op(op)
    rest = x.history[done:]
    assert replay(copied, rest) == x.log[done:]
    assert replay(pickled, rest) == x.log[done:]


def test_random_lives_reach_what_they_are_meant_to_reach() -> None:
    """Guards the explorer itself: without log-ins and messages it would prove nothing."""
    reached: Counter[str] = Counter()
    states: set[str] = set()
    for seed in range(36):
        rng = random.Random(seed)
        x = Explorer(CONFIGS[seed % len(CONFIGS)], seed=seed)
        for _ in range(120):
            x.op((rng.randrange(len(OPS)), rng.randrange(64), rng.randrange(64)))
            states.add(x.core.reconnect)
        counters = x.core.counters
        for name in counters.__slots__:
            reached[name] += getattr(counters, name)
        reached["failed"] += len(x.ended) - counters.accepted
        reached["pauses"] += x.pauses
        reached["refused inputs"] += sum(line[0] != "[" for line in x.log)
    assert states == {"idle", "attempting", "established", "waiting", "exhausted", "halted"}
    for name in (
        "reconnects",
        "resumed",
        "retransmitted",
        "duplicates_suppressed",
        "accepted",
        "pauses",
    ):
        assert reached[name] > 10, reached
    assert min(reached[name] for name in ("received", "failed", "refused inputs")) > 30, reached
