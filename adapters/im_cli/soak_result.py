"""What `im soak` is told, what came of it, and what that proves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from .audit import AuditError, Verdict, audit
from .soak_plan import KINDS, SERVER_NAME, floor
from .soak_points import ANYWHERE, CLIENT, DEATHS, SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """What `im soak` is told."""

    #: rounds of each kind
    kills: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 50))
    #: go on for so long instead, a round of each kind in turn
    minutes: float | None = None
    seed: int = 1
    #: see soak_break.py
    broken: str | None = None
    keep: Path | None = None
    json: bool = False


def parse_kills(text: str) -> dict[str, int]:
    """Read "client=50,server=50"; what is not named is 0.

    Raises:
        ValueError: says what is wrong.
    """
    kills = dict.fromkeys(KINDS, 0)
    for part in text.split(","):
        kind, _, count = part.strip().partition("=")
        if kind not in kills or not (count.isascii() and count.isdigit()):
            raise ValueError(f"--kills is KIND=COUNT with commas between, not {part!r}")
        kills[kind] = int(count)
    return kills


@dataclass(slots=True, kw_only=True)
class SoakResult:
    """What came of it. The numbers of messages are the auditor's."""

    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    redelivered: int = 0
    never_sent: int = 0
    mailbox_gaps: int = 0
    failed: int = 0
    undecided: int = 0
    logins: int = 0
    #: rounds that were lived through, by kind
    rounds: dict[str, int] = field(default_factory=dict)
    #: how often a process died at each point
    client_points: dict[str, int] = field(default_factory=dict)
    server_points: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    seed: int = 1
    broken: str | None = None
    #: "kept", "broken", or "nothing proved"
    verdict: str = "kept"
    exit_code: int = 0
    #: why the verdict is no other
    reasons: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


_OF_THE_VERDICT: Final = (
    *("sent", "accepted", "delivered", "lost", "duplicated", "out_of_order", "redelivered"),
    *("never_sent", "mailbox_gaps", "failed", "undecided", "logins"),
)


def judge(
    directory: Path, options: SoakOptions, rounds: Mapping[str, int], trouble: list[str]
) -> SoakResult:
    """Judge a run by its files.

    Args:
        directory: of the run.
        options: what had to happen.
        rounds: what has happened.
        trouble: what went wrong in the run itself.
    """
    result = SoakResult(rounds=dict(rounds), seed=options.seed, broken=options.broken)
    clients, servers = count_deaths(directory)
    result.client_points, result.server_points = dict(clients), dict(servers)
    try:
        verdict = audit(directory)
    except AuditError as error:
        result.reasons.append(f"the run can't be judged: {error}")
        verdict = Verdict()
    for name in _OF_THE_VERDICT:
        setattr(result, name, getattr(verdict, name))
    result.reasons += trouble
    if not verdict.kept or verdict.failed or verdict.undecided or trouble:
        result.verdict, result.exit_code = "broken", 1
        result.reasons += verdict.problems
        if verdict.failed:
            result.reasons.append(f"{verdict.failed} messages were refused")
        if verdict.undecided:
            result.reasons.append(f"{verdict.undecided} messages never had an end")
        return result
    result.reasons += _unproved(result, options)
    if result.reasons:
        result.verdict, result.exit_code = "nothing proved", 2
    return result


def count_deaths(directory: Path) -> tuple[Counter[str], Counter[str]]:
    """How often clients, and the server, died at each point: as they noted it themselves."""
    clients = Counter(dict.fromkeys((*CLIENT, ANYWHERE), 0))
    servers = Counter(dict.fromkeys((*SERVER, ANYWHERE), 0))
    path = directory / DEATHS
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        who, point = line.split()
        (servers if who == SERVER_NAME else clients)[point] += 1
    return clients, servers


def _unproved(result: SoakResult, options: SoakOptions) -> Iterator[str]:
    rounds = result.rounds
    for kind, wanted in options.kills.items() if options.minutes is None else ():
        if rounds[kind] < wanted:
            yield f"only {rounds[kind]} of {wanted} rounds of kind {kind} happened"
    if not sum(rounds.values()):
        yield "nothing was killed"
    for what, counts, kills in (
        ("client", result.client_points, rounds["client"]),
        ("server", result.server_points, rounds["server"]),
    ):
        wanted = floor(kills, len(counts) - 1)
        for point, count in counts.items():
            if count < wanted and point != ANYWHERE:
                yield f"{what} point {point} was hit {count} times, not {wanted}"
