"""How many steps of engines a second of one core has, in a world in which everything goes wrong.

A step is one input to a client's engine or to the gateway; the world around them (clocks, network,
store, applications, and every check after every step) is counted in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from im_proto.testing import simulate

from .harness import Contestant, Figure, Goal, Options, Row

#: Lives of a round, by seed, and their virtual minutes.
_SEEDS: Final = (100, 101, 102, 103)
_MINUTES: Final = 10.0
_QUICK_SEEDS: Final = (0, 1, 2)
_QUICK_MINUTES: Final = 1.0


def _live(seeds: Sequence[int], minutes: float) -> Figure:
    outcomes = [simulate(seed, minutes=minutes) for seed in seeds]
    for outcome in outcomes:
        if outcome.failure is not None:
            raise RuntimeError(f"seed {outcome.seed}: {outcome.failure}")
    steps = sum(outcome.steps for outcome in outcomes)
    return Figure(
        steps / sum(outcome.seconds for outcome in outcomes),
        {
            "steps": steps,
            "virtual seconds": sum(outcome.simulated for outcome in outcomes),
            "messages delivered": sum(outcome.delivered for outcome in outcomes),
        },
    )


def rows(options: Options) -> Sequence[Row]:
    """One row."""
    seeds, minutes = (_QUICK_SEEDS, _QUICK_MINUTES) if options.quick else (_SEEDS, _MINUTES)
    return [
        Row(
            key="simulation",
            title="Simulation: steps of engines",
            goal="≥ 20,000 engine steps a second of one core",
            unit="steps a second",
            higher_is_better=True,
            contestants=[Contestant("im", run=lambda: _live(seeds, minutes))],
            goals=[Goal("im", ">=", 20_000.0)],
            notes=[
                f"CPU time; `im simulate` with all faults, seeds {', '.join(map(str, seeds))}, "
                f"{minutes:g} virtual minutes each"
            ],
        )
    ]
