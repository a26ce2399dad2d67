"""`compile_machine` refuses, at import, every shape that a table can't express.

Each shape is tried on the real library: what it refuses by itself is listed apart, so that a
version of it which stops refusing is noticed.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
from statemachine import Event, HistoryState, State, StateChart, StateMachine
from statemachine.exceptions import InvalidDefinition
from statemachine.states import States

from im_proto.errors import LocalProtocolError
from im_proto.machines import UncompilableMachine, compile_machine

Body = dict[str, Any]
Shape = Callable[[], Body]


def build(body: Body, *bases: type) -> type[StateMachine]:
    """`class M(*bases)` with this body: a dict, so that a body can be put together."""
    machine: type[StateMachine] = types.new_class(
        "M", bases or (StateMachine,), exec_body=lambda namespace: namespace.update(body)
    )
    return machine


def ring(**more: Any) -> Body:
    """Two states, `go` and `back`, and what the test is about."""
    a, b = State(initial=True), State()
    return {"a": a, "b": b, "go": a.to(b), "back": b.to(a), **more}


def going(**arguments: Any) -> Body:
    """The ring, with something on the transition from a to b."""
    a, b = State(initial=True), State()
    return {"a": a, "b": b, "go": a.to(b, **arguments), "back": b.to(a)}


def loose(*targets: State | None, **arguments: Any) -> Body:
    """The ring, and one more transition out of a that no attribute names."""
    body = ring()
    body["a"].to(*targets or (body["b"],), **arguments)
    return body


def holding(**arguments: Any) -> Body:
    """The ring, with something on the state b."""
    a, b = State(initial=True), State(**arguments)
    return {"a": a, "b": b, "go": a.to(b), "back": b.to(a)}


def timed(**arguments: Any) -> Body:
    """The ring, with an event object for go."""
    a, b = State(initial=True), State()
    return {"a": a, "b": b, "go": Event(a.to(b), **arguments), "back": b.to(a)}


def decorated(group: str) -> Body:
    """The ring, with a callback put on `go`, or on the state b, by decorator."""
    body = ring()
    target = body["b"] if group in {"enter", "exit", "invoke"} else body["go"]
    body["callback"] = getattr(target, group)(a_function())
    return body


def a_function() -> Callable[[Any], bool]:
    def callback(self: Any) -> bool:
        return True

    return callback


def decorated_transition() -> Body:
    a, b = State(initial=True), State()
    return {"a": a, "b": b, "back": b.to(a), "go": a.to(b)(a_function())}


def two_targets() -> Body:
    a, b, c = State(initial=True), State(), State()
    return {"a": a, "b": b, "c": c, "go": a.to(b) | a.to(c), "back": b.to(a) | c.to(a)}


def reused() -> Body:
    body = ring()
    return {**body, "again": body["go"]}


def compound() -> Body:
    class Nest(State.Compound):
        x = State(initial=True)
        y = State()
        inner = x.to(y) | y.to(x)

    b = State()
    return {"nest": Nest, "b": b, "go": Nest.to(b), "back": b.to(Nest)}


def parallel() -> Body:
    class Both(State.Parallel):
        class Left(State.Compound):
            x = State(initial=True, final=True)

        class Right(State.Compound):
            y = State(initial=True, final=True)

    b = State(final=True)
    return {"both": Both, "b": b, "go": Both.to(b)}


def history() -> Body:
    a, h = State(initial=True), HistoryState()
    return {"a": a, "h": h, "go": a.to(h), "back": h.to(a)}


def enum_states() -> Body:
    kinds = Enum("kinds", "A B")
    states = States.from_enum(kinds, initial=kinds["A"])
    return {"some": states, "go": states.A.to(states.B), "back": states.B.to(states.A)}


def one_name_for_both() -> Body:
    body = ring()
    body["b"].to(body["a"], event="a")
    return body


def named_event(name: str) -> Body:
    body = ring()
    return {**body, name: body["b"].to(body["a"])}


def named_state(name: str) -> Body:
    a, b = State(initial=True), State()
    return {"a": a, name: b, "go": a.to(b), "back": b.to(a)}


def method(name: str) -> Shape:
    return lambda: ring(**{name: a_function()})


REFUSED: dict[str, tuple[Shape, str]] = {
    # more, or less, than one target
    "two targets": (two_targets, r"two transitions for \(state, event\) \('a', 'go'\)"),
    "the same target twice": (lambda: loose(event="go"), "two transitions for"),
    "no target": (lambda: loose(None, event="stay"), "a -> None has 0 targets"),
    # conditions
    "cond": (lambda: going(cond=lambda: True), "has cond or unless"),
    "unless": (lambda: going(unless=lambda: True), "has cond or unless"),
    "validators": (lambda: going(validators=lambda: None), "has validators"),
    "cond as text": (lambda: going(cond="a_flag and not another"), "has cond or unless"),
    "cond by decorator": (lambda: decorated("cond"), "has cond or unless"),
    "unless by decorator": (lambda: decorated("unless"), "has cond or unless"),
    "validators by decorator": (lambda: decorated("validators"), "has validators"),
    # events
    "eventless": (loose, "a -> b has no event"),
    "two events in one text": (lambda: loose(event="x y"), "has several events: x, y"),
    "two events in a list": (lambda: loose(event=["x", "y"]), "has several events: x, y"),
    "one transition under two names": (reused, "has several events: go, again"),
    "event= and a name": (lambda: going(event="x"), "has several events: x, go"),
    "a delayed event": (lambda: timed(delay=10), "is delayed: 'go'"),
    "a delayed event inline": (lambda: loose(event=Event("x", delay=10)), "is delayed: 'x'"),
    "an internal event": (lambda: timed(internal=True), "is queued internally: 'go'"),
    "an event under another name": (lambda: timed(id="gone"), "has 'go'"),
    "an event of no transition": (lambda: ring(ghost=Event()), "'ghost' has no tran"),
    "any event": (lambda: loose(event="*"), r"event '\*' is not a plain"),
    "a dotted event": (lambda: loose(event="error.execution"), "is not a plain"),
    "error_execution": (lambda: named_event("error_execution"), "special event 'error_exec"),
    "error_x inline": (lambda: loose(event="error_x"), "special event 'error_x'"),
    "done_state_a": (lambda: named_event("done_state_a"), "special event 'done_state_a'"),
    "done_invoke_a": (lambda: named_event("done_invoke_a"), "special event 'done_invoke_a'"),
    "an event that is a callback": (lambda: named_event("on_enter_b"), "call as a callback"),
    "an event that hides send()": (lambda: named_event("send"), "hides an attribute"),
    "an event that hides model": (lambda: named_event("model"), "hides an attribute"),
    # states
    "internal": (lambda: loose_internal(), "a -> a is internal"),
    "compound": (compound, "'nest' is compound"),
    "parallel": (parallel, "'both' is parallel"),
    "history": (history, "'h' is a history state"),
    "invoke": (lambda: holding(invoke=lambda: None), "'b' has invoke callbacks"),
    "enter": (lambda: holding(enter=lambda: None), "'b' has enter callbacks"),
    "exit": (lambda: holding(exit="a_method"), "'b' has exit callbacks"),
    "enter by decorator": (lambda: decorated("enter"), "'b' has enter callbacks"),
    "exit by decorator": (lambda: decorated("exit"), "'b' has exit callbacks"),
    "invoke by decorator": (lambda: decorated("invoke"), "'b' has invoke callbacks"),
    "a value": (lambda: holding(value=1), "'b' has a value of its own, 1"),
    "states from an enum": (enum_states, "has a value of its own"),
    "a state that is a callback": (lambda: named_state("on_go"), "call as a callback"),
    "a state that hides name": (lambda: named_state("name"), "hides an attribute"),
    "one name for both": (one_name_for_both, "has 'a' as a state and as an event"),
    # callbacks on transitions
    "before": (lambda: going(before="a_method"), "has before callbacks"),
    "on": (lambda: going(on="a_method"), "has on callbacks"),
    "after": (lambda: going(after=lambda: None), "has after callbacks"),
    "before by decorator": (lambda: decorated("before"), "has before callbacks"),
    "on by decorator": (lambda: decorated("on"), "has on callbacks"),
    "after by decorator": (lambda: decorated("after"), "has after callbacks"),
    "an event that is a method": (decorated_transition, "has on callbacks"),
    # callbacks by name, and whatever else is neither state nor event
    **{
        f"{name}()": (method(name), f"has '{name}'")
        for name in (
            "before_go", "on_go", "after_go", "on_enter_b", "on_exit_b", "on_invoke_b",
            "before_transition", "on_transition", "after_transition", "on_enter_state",
            "on_exit_state", "prepare_event", "helper", "__init__", "send",
        )
    },
    "listeners": (lambda: ring(listeners=[object]), "has 'listeners'"),
    "unknown events allowed": (
        lambda: ring(allow_event_without_transition=True), "has 'allow_event_without_transition'"
    ),
    "errors swallowed": (lambda: ring(catch_errors_as_events=True), "has 'catch_errors_as_ev"),
    "another start": (lambda: ring(start_configuration_values=["b"]), "has 'start_config"),
    "no states": (dict, "has no states"),
}  # fmt: skip


def loose_internal() -> Body:
    body = ring()
    body["stay"] = body["a"].to.itself(internal=True)
    return body


@pytest.mark.parametrize(("shape", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(shape: Shape, words: str) -> None:
    machine = build(shape())  # the library takes it
    with pytest.raises(UncompilableMachine, match=words) as caught:
        compile_machine(machine)
    assert str(caught.value).startswith("M")


class WithCallback:
    def on_enter_b(self) -> None: ...


class Parent(StateMachine):
    a = State(initial=True)
    b = State()
    go = a.to(b)
    back = b.to(a)


@pytest.mark.parametrize(
    "machine",
    [
        build(ring(), StateChart),
        build(ring(), WithCallback, StateMachine),
        build(ring(), StateMachine, WithCallback),
        build({}, Parent),
        StateMachine,
    ],
    ids=["StateChart", "mixin before", "mixin behind", "inherited machine", "StateMachine"],
)
def test_another_base_is_refused(machine: type[StateMachine]) -> None:
    with pytest.raises(UncompilableMachine, match="must derive from StateMachine, and from it al"):
        compile_machine(machine)


def final_with_exit() -> Body:
    a, b = State(initial=True), State(final=True)
    return {"a": a, "b": b, "go": a.to(b), "back": b.to(a)}


def trap() -> Body:
    a, b = State(initial=True), State()
    return {"a": a, "b": b, "go": a.to(b)}


def no_way_to_the_end() -> Body:
    start, a, b, end = State(initial=True), State(), State(), State(final=True)
    return {
        "start": start,
        "a": a,
        "b": b,
        "end": end,
        "go": start.to(a) | a.to(b),
        "back": b.to(a),
        "finish": start.to(end),
    }


def two_initials() -> Body:
    a, b = State(initial=True), State(initial=True)
    return {"a": a, "b": b, "go": a.to(b), "back": b.to(a)}


@pytest.mark.parametrize(
    "shape",
    [
        final_with_exit,
        trap,
        no_way_to_the_end,
        two_initials,
        lambda: ring(c=State()),
        lambda: going(internal=True),
        lambda: loose(event=Event()),
        lambda: timed(id="go", delay=10, internal=True),
    ],
    ids=[
        "a final state with exits",
        "a trap",
        "no way to the final state",
        "two initial states",
        "an unreachable state",
        "internal to another state",
        "an event without a name",
        "delayed and internal",
    ],
)
def test_the_library_refuses_by_itself(shape: Shape) -> None:
    with pytest.raises(InvalidDefinition):
        build(shape())


def test_what_a_table_can_say_is_accepted() -> None:
    a, b, c = State(), State("A name for readers"), State(final=True)
    a.to(b, event="inline")
    table = compile_machine(
        build(
            {
                "__doc__": "Words.",
                "a": a,
                "b": b,
                "c": c,
                "go": a.to(b),
                "went": a.to(b),
                "stay": b.to(b),
                "end": c.from_(a, b),
                "restart": a.from_.any(),  # type: ignore[no-untyped-call]
            }
        )
    )
    assert (table.name, table.initial, table.final) == ("M", "a", frozenset({"c"}))
    assert table.states == ("a", "b", "c")
    assert set(table.events) == {"inline", "go", "went", "stay", "end", "restart"}
    assert set(table.edges()) == {
        ("a", "inline", "b"),
        ("a", "go", "b"),
        ("a", "went", "b"),
        ("b", "stay", "b"),
        ("a", "end", "c"),
        ("b", "end", "c"),
        ("a", "restart", "a"),
        ("b", "restart", "a"),
    }
    with pytest.raises(LocalProtocolError, match="M: event 'go' is not allowed in state 'c'"):
        table.next("c", "go")


def test_annotations_say_nothing() -> None:
    compile_machine(build(ring(__annotations__={"note": str})))
