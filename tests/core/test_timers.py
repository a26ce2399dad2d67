"""The table of deadlines knows the first of them, whatever is set, moved, cancelled or due."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.client.timers import Timer, client_timers

SOME = st.sampled_from([Timer.ACK, Timer.CLOSE, Timer.WATCH, Timer.TYPING])
AT = st.integers(0, 5)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["set", "set", "cancel", "due"]), SOME, AT), max_size=30))
def test_the_first_deadline_is_always_known(ops: list[tuple[str, Timer, int]]) -> None:
    timers = client_timers()
    model: dict[Timer, float] = {}
    for what, timer, at in ops:
        if what == "set":
            timers.set(timer, float(at))
            model[timer] = float(at)
        elif what == "cancel":
            timers.cancel(timer)
            model.pop(timer, None)
        else:
            due = [name for name, _ in timers.pop_due(float(at))]
            assert sorted(due) == sorted(name for name, when in model.items() if when <= at)
            model = {name: when for name, when in model.items() if when > at}
        assert timers.next() == min(model.values(), default=None)
        assert dict(timers.all()) == model
