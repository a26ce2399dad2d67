"""How a machine of Hypothesis is run here, and how it is shown that it can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from im_proto.config import ClientConfig, ServerConfig
from im_proto.testing.machines import ClientEngineMachine, ServerEngineMachine

#: The same inputs each time, and no shrinking of what is meant to fail. The rarest bug is found
#: in some hundred examples, most in a few; which ones they are depends on the interpreter and on
#: Hypothesis, so there are enough for bad luck. They are run only until it is found.
SABOTAGED = settings(
    max_examples=3000,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

#: Nothing wrong is expected here, but if there is, it is told in seconds: shrinking a machine
#: takes minutes. To have fewer steps, add `Phase.shrink` for one run.
SOUND = settings(SABOTAGED, max_examples=30, stateful_step_count=40)


@contextmanager
def alone() -> Iterator[None]:
    """Without the constants of all modules that are imported by now, which Hypothesis mixes in:
    they depend on what this process has run before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "_get_local_constants", providers.Constants)
        providers.CONSTANTS_CACHE.cache.clear()
        yield
    providers.CONSTANTS_CACHE.cache.clear()


def fails(machine: type[RuleBasedStateMachine], words: str) -> None:
    """Run the machine: it must find what is wrong, and say it in these words."""
    with alone(), pytest.raises(AssertionError, match=words):
        run_state_machine_as_test(machine, settings=SABOTAGED)


def wrap(patch: pytest.MonkeyPatch, owner: type, name: str, after: Callable[..., Any]) -> None:
    """Let `after(result, self, …)` have the last word on a method."""
    original = getattr(owner, name)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return after(original(self, *args, **kwargs), self, *args, **kwargs)

    patch.setattr(owner, name, wrapped)


def client_machine(**fields: Any) -> type[ClientEngineMachine]:
    """A machine for one configuration that gets to a log-in quickly."""
    more = {"ws_url": "ws://chat.example/ws", "token": "t0", "user_id": 1, "sleep_watch": None}

    class Machine(ClientEngineMachine):
        def make_config(self) -> ClientConfig:
            return ClientConfig.model_validate(more | fields)

    return Machine


def server_machine(**fields: Any) -> type[ServerEngineMachine]:
    """A machine for one configuration."""

    class Machine(ServerEngineMachine):
        def make_config(self) -> ServerConfig:
            return ServerConfig.model_validate(fields)

    return Machine


def reached(machine: type[Any], examples: int) -> Counter[str]:
    """How often a machine meets each event, action or message in so many runs."""
    seen: Counter[str] = Counter()

    class Counting(machine):  # type: ignore[misc]
        def on_event(self, event: object) -> None:
            seen[type(event).__name__] += 1

        def on_message(self, connection: int, message: object) -> None:
            seen[type(message).__name__] += 1

        def on_action(self, action: object) -> None:
            seen[type(action).__name__] += 1

    with alone():
        run_state_machine_as_test(Counting, settings=settings(SABOTAGED, max_examples=examples))
    return seen
