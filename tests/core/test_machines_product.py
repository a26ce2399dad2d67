"""Which of the client's states go together."""

from __future__ import annotations

from itertools import product

import pytest

from im_proto.machines import AUTH, CONNECTION, HEARTBEAT, RECONNECT
from im_proto.machines.product import RULES, STATES, illegal

EVERY = list(product(CONNECTION.states, AUTH.states, HEARTBEAT.states, RECONNECT.states))
LEGAL = [states for states in EVERY if illegal(*states) is None]


def test_the_rules_speak_of_states_that_exist() -> None:
    for rule in RULES:
        for machine, states in ((rule.machine, rule.states), *rule.needs):
            assert set(states) <= STATES[machine], rule.sentence


def test_every_rule_is_the_first_one_broken_somewhere() -> None:
    assert {illegal(*states) for states in EVERY} == {None, *(rule.sentence for rule in RULES)}


def test_every_state_is_legal_in_some_company() -> None:
    for position, table in enumerate((CONNECTION, AUTH, HEARTBEAT, RECONNECT)):
        assert {states[position] for states in LEGAL} == set(table.states)


@pytest.mark.parametrize(
    "states",
    [
        ("disconnected", "logged_out", "stopped", "idle"),  # the beginning
        ("opening", "fetching_token", "stopped", "attempting"),
        ("handshaking", "token_held", "stopped", "attempting"),
        ("open", "authenticating", "stopped", "attempting"),
        ("open", "authenticated", "resting", "established"),
        ("open", "authenticated", "awaiting", "established"),
        ("closing", "token_held", "stopped", "established"),  # leaving, reason not yet judged
        ("disconnected", "token_held", "stopped", "waiting"),
        ("disconnected", "logged_out", "stopped", "exhausted"),
        ("closing", "token_held", "stopped", "idle"),  # disconnect() on an open link
        ("closing", "logged_out", "stopped", "idle"),
        ("closing", "refused", "stopped", "halted"),  # a log-in was refused
        ("disconnected", "refused", "stopped", "halted"),
    ],
    ids=" ".join,
)
def test_a_life_is_legal(states: tuple[str, str, str, str]) -> None:
    assert illegal(*states) is None


@pytest.mark.parametrize(
    ("states", "broken"),
    [
        (("closing", "authenticated", "stopped", "established"), "auth authenticating|authentic"),
        (("open", "authenticated", "resting", "attempting"), "auth authenticated => reconnect"),
        (("open", "logged_out", "stopped", "established"), "reconnect established =>"),
        (("open", "authenticating", "resting", "attempting"), "heartbeat resting|awaiting =>"),
        (("open", "token_held", "stopped", "idle"), "reconnect idle|"),
        (("opening", "token_held", "stopped", "established"), "connection opening|handshaking =>"),
        (("disconnected", "fetching_token", "stopped", "waiting"), "auth fetching_token =>"),
        (("disconnected", "refused", "stopped", "idle"), "auth refused =>"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_contradiction_is_named(states: tuple[str, str, str, str], broken: str) -> None:
    sentence = illegal(*states)
    assert sentence is not None
    assert sentence.startswith(broken)


def test_a_state_that_does_not_exist_is_no_combination() -> None:
    with pytest.raises(ValueError, match="auth has no state 'open'"):
        illegal("open", "open", "stopped", "idle")
