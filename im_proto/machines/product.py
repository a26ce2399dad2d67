"""Which of the client's states go together.

Four machines move apart, but not freely: a link that is not open has nobody logged in. The rules
are data, each one needing something of another machine; `illegal` is asked after every step in
tests, and by nobody in production.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .auth import AuthMachine
from .connection import ConnectionMachine
from .heartbeat import HeartbeatMachine
from .reconnect import ReconnectMachine


class Rule(NamedTuple):
    """While `machine` is in one of `states`, one of `needs` holds."""

    machine: str
    states: tuple[str, ...]
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    why: str

    @property
    def sentence(self) -> str:
        """The rule in one line: `auth authenticated => connection open: …`."""
        needs = ", or ".join(f"{machine} {'|'.join(states)}" for machine, states in self.needs)
        return f"{self.machine} {'|'.join(self.states)} => {needs}: {self.why}"

    def broken_by(self, now: dict[str, str]) -> bool:
        """Whether these states (machine -> state) contradict the rule."""
        return now[self.machine] in self.states and not any(
            now[machine] in states for machine, states in self.needs
        )


RULES: Final = (
    Rule(
        "connection",
        ("opening", "handshaking"),
        (("reconnect", ("attempting",)),),
        "a transport is made for an attempt",
    ),
    Rule(
        "reconnect",
        ("idle", "waiting", "exhausted", "halted"),
        (("connection", ("disconnected", "closing")),),
        "who wants no link now has none, or is taking leave",
    ),
    Rule(
        "auth",
        ("authenticating", "authenticated"),
        (("connection", ("open",)),),
        "a log-in belongs to its link",
    ),
    Rule(
        "auth",
        ("authenticated",),
        (("reconnect", ("established",)),),
        "the log-in is the end of the attempt",
    ),
    Rule(
        "reconnect",
        ("established",),
        (("auth", ("authenticated",)), ("connection", ("closing",))),
        "a link without its log-in is given up",
    ),
    Rule(
        "heartbeat",
        ("resting", "awaiting"),
        (("auth", ("authenticated",)),),
        "only a logged-in link is probed",
    ),
    Rule(
        "auth",
        ("fetching_token",),
        (("reconnect", ("attempting", "established")),),
        "a token is fetched for a link",
    ),
    Rule(
        "auth",
        ("refused",),
        (("reconnect", ("halted",)),),
        "trying again can't change a refusal",
    ),
)

#: The states of each machine, by the names that the rules use.
STATES: Final = {
    "connection": frozenset(state.id for state in ConnectionMachine.states),
    "auth": frozenset(state.id for state in AuthMachine.states),
    "heartbeat": frozenset(state.id for state in HeartbeatMachine.states),
    "reconnect": frozenset(state.id for state in ReconnectMachine.states),
}


def illegal(connection: str, auth: str, heartbeat: str, reconnect: str) -> str | None:
    """The sentence of the first rule that these states break; None if they go together.

    Raises:
        ValueError: a machine has no such state.
    """
    now = {
        "connection": connection,
        "auth": auth,
        "heartbeat": heartbeat,
        "reconnect": reconnect,
    }
    for machine, state in now.items():
        if state not in STATES[machine]:
            raise ValueError(f"{machine} has no state {state!r}")
    return next((rule.sentence for rule in RULES if rule.broken_by(now)), None)
