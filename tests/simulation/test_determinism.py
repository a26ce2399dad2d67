"""One seed is one history, byte for byte, in every process."""

from __future__ import annotations

import hashlib

from core.process_kit import said_in_a_process
from im_proto.testing import simulate

SCRIPT = """
import hashlib
from im_proto.testing import simulate
digest, lines = hashlib.sha256(), 0
def trace(line):
    global lines
    lines += 1
    digest.update(line.encode() + b"\\n")
outcome = simulate(11, minutes=0.4, trace=trace)
print(digest.hexdigest(), lines, outcome.steps, outcome.failure)
"""


def history(seed: int) -> list[str]:
    lines: list[str] = []
    outcome = simulate(seed, minutes=0.2, trace=lines.append)
    assert outcome.failure is None
    return lines


def test_two_processes_with_different_hash_seeds_write_the_same_history() -> None:
    one, other = said_in_a_process(SCRIPT, "1"), said_in_a_process(SCRIPT, "2")
    assert one == other
    digest, lines, steps, failure = one.split()
    assert len(digest) == hashlib.sha256().digest_size * 2
    assert int(lines) > int(steps) > 500
    assert failure == "None"


def test_another_seed_is_another_history() -> None:
    one = history(3)
    assert one == history(3)
    assert one != history(4)


def test_a_history_that_nobody_reads_changes_nothing() -> None:
    lines: list[str] = []
    read = simulate(5, minutes=0.2, trace=lines.append)
    unread = simulate(5, minutes=0.2)
    assert (read.steps, read.simulated, read.faults) == (
        unread.steps,
        unread.simulated,
        unread.faults,
    )
