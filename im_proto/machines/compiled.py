"""Turns a python-statemachine class into a table, once, at import.

The class is the one source: diagrams, the snapshot and this table come from it. The library's
interpreter takes hundreds of times longer than a look-up (`python benchmarks/machines.py`), and
some kilobytes for each machine, so an engine holds states (strings) and asks the table.

What a table can't say is refused here, at import, so that no machine can quietly mean more than
its table does. The rule is an allow-list: a machine is states, events and docstrings, derived
from `StateMachine` alone. Whatever else stands in the class is refused unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from statemachine import Event, State, StateMachine
from statemachine.callbacks import CallbackSpec
from statemachine.transition import Transition

from im_proto.errors import LocalProtocolError


class UncompilableMachine(TypeError):
    """A machine class uses something that a `(state, event) -> state` table can't express."""


class Table:
    """One machine, compiled.

    Attributes:
        name: the class's name.
        initial: the state to start in.
        states: all states, in the order of the class.
        events: all events, in the order of the class.
        final: the states that nothing leads out of.
    """

    __slots__ = ("_edges", "events", "final", "initial", "name", "states")

    def __init__(
        self,
        name: str,
        initial: str,
        states: tuple[str, ...],
        events: tuple[str, ...],
        final: frozenset[str],
        edges: dict[tuple[str, str], str],
    ) -> None:
        self.name = name
        self.initial = initial
        self.states = states
        self.events = events
        self.final = final
        self._edges = edges

    def next(self, state: str, event: str) -> str:
        """The state that `event` leads to.

        Raises:
            LocalProtocolError: `state` doesn't know `event`; the text names both.
        """
        try:
            return self._edges[state, event]
        except KeyError:
            raise LocalProtocolError(
                f"{self.name}: event {event!r} is not allowed in state {state!r}"
            ) from None

    def knows(self, state: str, event: str) -> bool:
        """Whether `event` may happen in `state`."""
        return (state, event) in self._edges

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """All (state, event, target), state by state."""
        return ((state, event, target) for (state, event), target in self._edges.items())


def compile_machine(machine: type[StateMachine]) -> Table:
    """Make the table of a machine class.

    Raises:
        UncompilableMachine: the class uses something that a table can't express: two targets for
            one (state, event), conditions, validators, callbacks of any kind, listeners,
            eventless or internal transitions, compound, parallel or history states, invoke,
            several events on one transition, delayed or special events, another base than
            `StateMachine`.
    """
    name = machine.__name__
    if machine.__bases__ != (StateMachine,):
        raise UncompilableMachine(f"{name}: must derive from StateMachine, and from it alone")
    states: list[State] = list(machine.states)
    events = [event for event in vars(machine).values() if isinstance(event, Event)]
    if not states:
        raise UncompilableMachine(f"{name}: has no states")
    for state in states:
        _refuse(_faults_of_state(state), f"{name}: state {state.id!r}")
    edges: dict[tuple[str, str], str] = {}
    for state in states:
        for transition in state.transitions:
            where = f"{name}: transition {state.id} -> {getattr(transition.target, 'id', None)}"
            _refuse(_faults_of_transition(transition), where)
            key = (state.id, next(iter(transition.events)).id)
            if key in edges:
                raise UncompilableMachine(f"{name}: two transitions for (state, event) {key}")
            edges[key] = transition.targets[0].id
    used = {event for _, event in edges}
    for event in events:
        _refuse(_faults_of_event(event, used), f"{name}: event {event.id!r}")
    _refuse(_faults_of_class(machine, {s.id for s in states}, {e.id for e in events}), f"{name}:")
    return Table(
        name=name,
        initial=next(state.id for state in states if state.initial),
        states=tuple(state.id for state in states),
        events=tuple(event.id for event in events),
        final=frozenset(state.id for state in states if state.final),
        edges=edges,
    )


def _refuse(faults: Iterator[str], where: str) -> None:
    for fault in faults:
        raise UncompilableMachine(f"{where} {fault}")


def _faults_of_state(state: State) -> Iterator[str]:
    if state.is_history:
        yield "is a history state"
    if state.parallel:
        yield "is parallel"
    if state.states or state.history:
        yield "is compound"
    if state.value != state.id:
        yield f"has a value of its own, {state.value!r}: two states might share it"
    for what, group in (("enter", state.enter), ("exit", state.exit), ("invoke", state.invoke)):
        if _written(group):
            yield f"has {what} callbacks"
    yield from _faults_of_name(state.id)


def _faults_of_transition(transition: Transition) -> Iterator[str]:
    events = [event.id for event in transition.events]
    # The library gives `error_x = …` a second event `error.x` by itself, and the like.
    if special := [event for event in events if event.startswith(_SPECIAL_EVENTS)]:
        yield f"has the special event {special[0]!r}"
    if not events:
        yield "has no event"
    if len(events) > 1:
        yield f"has several events: {', '.join(events)}"
    if transition.internal:
        yield "is internal"
    if len(transition.targets) != 1:
        yield f"has {len(transition.targets)} targets"
    for what, group in (
        ("cond or unless", transition.cond),
        ("validators", transition.validators),
        ("before callbacks", transition.before),
        ("on callbacks", transition.on),
        ("after callbacks", transition.after),
    ):
        if _written(group):
            yield f"has {what}"
    for event in transition.events:
        yield from _faults_of_timing(event)


def _faults_of_event(event: Event, used: set[str]) -> Iterator[str]:
    if event.id not in used:
        yield "has no transition"
    yield from _faults_of_timing(event)
    yield from _faults_of_name(event.id)


def _faults_of_timing(event: Event) -> Iterator[str]:
    if event.delay:
        yield f"is delayed: {event.id!r}"
    if event.internal:
        yield f"is queued internally: {event.id!r}"


def _faults_of_name(name: str) -> Iterator[str]:
    # `*`, `error.` and dotted names are patterns to the library: `msg` would match `msg.evil`.
    if not _NAME.fullmatch(name):
        yield "is not a plain lower-case name"
    if name.startswith(_CALLBACK_NAMES):
        yield "has a name that the library would call as a callback"
    if hasattr(StateMachine, name) or name in _INSTANCE_ATTRIBUTES:
        yield "hides an attribute of StateMachine"


def _faults_of_class(
    machine: type[StateMachine], states: set[str], events: set[str]
) -> Iterator[str]:
    if both := sorted(states & events):
        yield f"has {both[0]!r} as a state and as an event"
    for attribute in sorted(vars(machine).keys() - _ATTRIBUTES_OF_ANY_MACHINE - states - events):
        yield f"has {attribute!r}: a machine is states and events, nothing else"


def _written(group: Iterable[CallbackSpec]) -> bool:
    """Whether the class's author put a callback here.

    The library itself adds the names that it calls by convention; they find nothing in a class
    that has only states and events, none of them so named.
    """
    return any(not spec.is_convention for spec in group)


class _Plain(StateMachine):
    """What the library and this Python put into any machine class."""

    here = State(initial=True)
    there = State(final=True)
    go = here.to(there)


#: Annotations mean nothing to the library; where a class keeps them depends on Python's version.
_ATTRIBUTES_OF_ANY_MACHINE: Final = vars(_Plain).keys() - {"here", "there", "go"} | {
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
}
_INSTANCE_ATTRIBUTES: Final = ("model", "state_field", "history_values")
_CALLBACK_NAMES: Final = ("before_", "on_", "after_", "prepare_event")
_SPECIAL_EVENTS: Final = ("error_", "done_state_", "done_invoke_")
_NAME: Final = re.compile("[a-z][a-z0-9_]*")
