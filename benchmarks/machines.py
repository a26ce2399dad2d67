"""A state transition: the compiled table against the library's interpreter, in one run.

    python benchmarks/machines.py [--json]

Prints the median of several rounds for each and their ratio. Asserts nothing.
"""

from __future__ import annotations

import json
import statistics
import sys
import timeit

from im_proto.machines import HEARTBEAT, HeartbeatMachine

EVENTS = ("started", "probe_sent", "missed", "life_seen", "probe_sent", "stopped_probing")
ROUNDS = 7


def table() -> None:
    """One life of a heartbeat, by look-up."""
    state = HEARTBEAT.initial
    for event in EVENTS:
        state = HEARTBEAT.next(state, event)


def interpreter(machine: HeartbeatMachine) -> None:
    """The same life, by python-statemachine."""
    for event in EVENTS:
        machine.send(event)


def microseconds(function: object, number: int) -> list[float]:
    """Microseconds for one transition, one figure a round."""
    timer = timeit.Timer(function)  # type: ignore[arg-type]
    return [timer.timeit(number) / number / len(EVENTS) * 1e6 for _ in range(ROUNDS)]


def main() -> None:
    """Measure in turn, so that both see the same machine."""
    machine = HeartbeatMachine()
    by_table = microseconds(table, 20_000)
    by_interpreter = microseconds(lambda: interpreter(machine), 100)
    found = {
        "table_us": statistics.median(by_table),
        "interpreter_us": statistics.median(by_interpreter),
        "spread_table_us": [min(by_table), max(by_table)],
        "spread_interpreter_us": [min(by_interpreter), max(by_interpreter)],
    }
    found["ratio"] = found["interpreter_us"] / found["table_us"]
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        print(f"table        {found['table_us']:8.2f} µs a transition")
        print(f"interpreter  {found['interpreter_us']:8.2f} µs a transition")
        print(f"ratio        {found['ratio']:8.0f}")


if __name__ == "__main__":
    main()
