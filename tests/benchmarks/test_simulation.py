"""Lives are counted, and one that fails is no figure."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import simulation
from im_proto.testing import simulate


def test_steps_of_all_lives_are_counted() -> None:
    figure = simulation._live([3, 4], 0.1)
    assert figure.details["steps"] == sum(simulate(s, minutes=0.1).steps for s in (3, 4))
    assert figure.value > 0


def test_a_life_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(seed: int, **more: Any) -> Any:
        return type("Outcome", (), {"seed": seed, "failure": "it rained"})

    monkeypatch.setattr(simulation, "simulate", fails)
    with pytest.raises(RuntimeError, match="seed 7: it rained"):
        simulation._live([7], 1.0)
