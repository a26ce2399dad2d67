"""The seven machines: the table says what the class says, and the drawings what both say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statemachine import StateMachine
from statemachine.exceptions import TransitionNotAllowed

from im_proto.errors import LocalProtocolError
from im_proto.machines import (
    AUTH,
    CONNECTION,
    DELIVERY,
    HEARTBEAT,
    MACHINES,
    RECONNECT,
    SERVER_CONNECTION,
    SESSION,
    Table,
)
from script_kit import load

TABLES = (CONNECTION, AUTH, HEARTBEAT, RECONNECT, DELIVERY, SERVER_CONNECTION, SESSION)
PAIRS = list(zip(TABLES, MACHINES, strict=True))
EVENTS = sorted({event for table in TABLES for event in table.events})
UNKNOWN = ["", "no_such_event", "*", "a.b", "__initial__", "Acked", "acked "]
DOCS = Path(__file__).resolve().parents[2] / "docs"

all_tables = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
all_pairs = pytest.mark.parametrize(("table", "machine"), PAIRS, ids=[t.name for t in TABLES])

draw_machines = load(DOCS / "draw_machines.py")


def agree(table: Table, interpreter: StateMachine, state: str, event: str) -> str:
    """Give one event to both; they end in the same state, which is returned, or both refuse."""
    try:
        after = table.next(state, event)
    except LocalProtocolError:
        assert not table.knows(state, event)
        with pytest.raises(TransitionNotAllowed):
            interpreter.send(event)
        after = state
    else:
        assert table.knows(state, event)
        interpreter.send(event)
    assert list(interpreter.configuration_values) == [after]
    return after


@all_pairs
def test_table_and_interpreter_agree_on_every_state_and_event(
    table: Table, machine: type[StateMachine]
) -> None:
    assert machine().current_state_value == table.initial
    for state in table.states:
        for event in [*EVENTS, *UNKNOWN]:
            if event in table.states:  # the library's send() trips over these by itself
                continue
            interpreter = machine(start_value=state)
            if state in table.final:  # it only notices a final state when it enters one
                assert not table.knows(state, event)
            else:
                agree(table, interpreter, state, event)


@all_pairs
@settings(max_examples=60, deadline=None)
@given(picks=st.lists(st.tuples(st.booleans(), st.integers(0, 999)), max_size=40))
def test_table_and_interpreter_agree_at_every_step(
    table: Table, machine: type[StateMachine], picks: list[tuple[bool, int]]
) -> None:
    """The same random walk, mostly along known events and sometimes not; also past the end."""
    interpreter = machine()
    state = table.initial
    anything = [event for event in [*EVENTS, *UNKNOWN] if event not in table.states]
    for wild, pick in picks:
        known = [event for event in table.events if table.knows(state, event)]
        events = anything if wild or not known else known
        state = agree(table, interpreter, state, events[pick % len(events)])


@all_tables
def test_every_state_is_reachable_and_final_means_the_end(table: Table) -> None:
    exits: dict[str, set[str]] = {state: set() for state in table.states}
    for state, event, target in table.edges():
        assert event in table.events
        exits[state].add(target)
    reached, ahead = set(), {table.initial}
    while ahead:
        state = ahead.pop()
        reached.add(state)
        ahead |= exits[state] - reached
    assert reached == set(table.states)
    assert {state for state in table.states if not exits[state]} == table.final


@all_tables
def test_an_unknown_event_is_an_error_that_names_machine_event_and_state(table: Table) -> None:
    for state in table.states:
        with pytest.raises(LocalProtocolError) as caught:
            table.next(state, "no_such_event")
        assert table.name in str(caught.value)
        assert "'no_such_event'" in str(caught.value)
        assert repr(state) in str(caught.value)


@all_pairs
def test_every_state_has_a_docstring(table: Table, machine: type[StateMachine]) -> None:
    docs = draw_machines.state_docs(machine)
    assert list(docs) == list(table.states)
    assert all(docs.values())


# --- what docs/draw_machines.py makes of them


def test_the_committed_pages_are_what_the_classes_say_now() -> None:
    for name, text in draw_machines.pages().items():
        now = (DOCS / name).read_text(encoding="utf-8")
        assert now == text, f"docs/{name} is stale: run python docs/draw_machines.py"


def test_the_snapshot_holds_every_edge_and_nothing_else() -> None:
    seen = set()
    for table, block in zip(TABLES, draw_machines.snapshot().split("\n\n")[1::2], strict=True):
        states, *rows = (line.split() for line in block.splitlines())
        for event, *targets in rows:
            seen |= {
                (table.name, state, event, target)
                for state, target in zip(states, targets, strict=True)
                if target != "."
            }
    assert seen == {(table.name, *edge) for table in TABLES for edge in table.edges()}


def test_the_page_for_readers_has_every_word_and_diagram() -> None:
    page = draw_machines.state_machines_md()
    for machine in MACHINES:
        assert f"```mermaid\n{format(machine, 'mermaid')}```" in page
        assert str(machine.__doc__) in page
        for state, words in draw_machines.state_docs(machine).items():
            assert f"| `{state}`" in page
            assert words in page


def test_check_names_what_is_stale_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw_machines.main(["--check"], tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    assert draw_machines.main([], tmp_path) == 0
    assert draw_machines.main(["--check"], tmp_path) == 0
    capsys.readouterr()
    (tmp_path / "machines.snapshot.txt").write_text("something else")
    assert draw_machines.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "machines.snapshot.txt" in told
    assert "state-machines.md" not in told
    assert (tmp_path / "machines.snapshot.txt").read_text() == "something else"
    assert draw_machines.main(["--nonsense"], tmp_path) == 2
