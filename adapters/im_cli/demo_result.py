"""What the demo is told, what came of it, and what that proves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .audit import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `im demo` is told; messages are each way."""

    messages: int = 2000
    kills: int = 2
    cuts: int = 10
    seed: int = 1
    durability: str = "power"
    sabotage: str | None = None
    keep: Path | None = None
    json: bool = False
    #: everything ends by then, in seconds; None: by the number of messages
    deadline: float | None = None

    @property
    def seconds(self) -> float:
        """The overall deadline."""
        if self.deadline is not None:
            return self.deadline
        return 60 + self.messages / 50 + 5 * self.kills + 2 * self.cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How far it is. Pairs are of alice and bob, as senders."""

    messages: int
    accepted: tuple[int, int]
    delivered: tuple[int, int]
    #: said since the last snapshot
    news: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of it; see the README's table."""

    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    behind_a_fence: int = 0
    never_sent: int = 0
    mailbox_gaps: int = 0
    failed: int = 0
    kills: int = 0
    cuts: int = 0
    cuts_by_kind: dict[str, int] = field(default_factory=dict)
    reconnects: int = 0
    resumed: int = 0
    retransmitted: int = 0
    #: by the server (it had the message already) and by the clients (it was delivered already)
    duplicates_suppressed: int = 0
    in_flight_at_kills: list[int] = field(default_factory=list)
    #: messages that were sent on to the server, on an old connection, after a newer log-in
    stale_writes_refused: int = 0
    zombies_released: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    messages_per_s: float = 0.0
    seconds: float = 0.0
    durability: str = "power"
    seed: int = 1
    sabotage: str | None = None
    #: "kept", "broken", or "nothing proved"
    verdict: str = "kept"
    exit_code: int = 0
    #: why the verdict is no other
    reasons: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def conclude(
    result: Result, verdict: Verdict, options: DemoOptions, error: str = "", gave_up: str = ""
) -> Result:
    """Fill in verdict, exit code and reasons.

    Args:
        result: what has happened.
        verdict: the auditor's.
        options: what had to happen.
        error: why the run was broken off.
        gave_up: which client has ended by itself, and why; none has to.
    """
    if not verdict.kept or result.failed or gave_up:
        result.verdict, result.exit_code = "broken", 1
        result.reasons = [gave_up, *verdict.problems]
        if result.failed:
            result.reasons.append(f"{result.failed} messages were refused")
        result.reasons.append(error)
    else:
        result.reasons = [error, *_unproved(result, options)]
        if any(result.reasons):
            result.verdict, result.exit_code = "nothing proved", 2
        else:
            result.verdict, result.exit_code = "kept", 0
    result.reasons = [reason for reason in result.reasons if reason]
    return result


def _unproved(result: Result, options: DemoOptions) -> Iterator[str]:
    """Which faults have not hit what they had to."""
    if result.kills < options.kills:
        yield f"only {result.kills} of {options.kills} kills happened"
    if result.cuts < options.cuts:
        yield f"only {result.cuts} of {options.cuts} cuts happened"
    for number, count in enumerate(result.in_flight_at_kills, 1):
        if not count:
            yield f"kill {number} hit nothing in flight"
    if not result.retransmitted:
        yield "nothing had to be retransmitted"
