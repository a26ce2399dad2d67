"""The demo without its server: the plan, the verdict, the table, the sabotage's undoing."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from im_cli import sabotage
from im_cli.audit import Verdict
from im_cli.demo import DemoOptions, Result, demo_command
from im_cli.demo_chat import texts
from im_cli.demo_faults import make_plan
from im_cli.demo_result import conclude
from im_cli.demo_view import show
from im_cli.fault_proxy import Cut

# ---------------------------------------------------------------- the plan


def test_a_plan_can_be_repeated_and_seeds_differ() -> None:
    assert make_plan(2000, 2, 10, 1) == make_plan(2000, 2, 10, 1)
    assert make_plan(2000, 2, 10, 1) != make_plan(2000, 2, 10, 2)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("messages", "kills", "cuts"), [(2000, 2, 10), (300, 1, 4), (50, 3, 0)])
def test_a_plan_holds_what_was_asked_for(messages: int, kills: int, cuts: int, seed: int) -> None:
    plan = make_plan(messages, kills, cuts, seed)
    assert sum(fault.cut is None for fault in plan) == kills
    assert len(plan) == kills + cuts
    assert [fault.at for fault in plan] == sorted(fault.at for fault in plan)
    assert plan[0].at > 0
    assert plan[-1].at < 2 * messages * 0.95  # there is something left to hit
    if cuts >= 4:
        kinds = {fault.cut for fault in plan}
        assert {Cut.ZOMBIE, Cut.LOST_ANSWERS} <= kinds  # what the sabotages are found by
        assert kinds & {Cut.MID_FRAME_UP, Cut.MID_FRAME_DOWN}
        assert {fault.target for fault in plan if fault.cut} == {0, 1}


def test_every_text_is_its_own() -> None:
    import random

    said = texts("alice", 500, random.Random(1)) + texts("bob", 500, random.Random(1))
    assert len(set(said)) == 1000
    assert said[0].startswith("#1 of alice: ")


# ---------------------------------------------------------------- the verdict

GOOD = Result(
    sent=4000,
    accepted=4000,
    delivered=4000,
    kills=2,
    cuts=10,
    in_flight_at_kills=[60, 128],
    retransmitted=500,
)
OPTIONS = DemoOptions(kills=2, cuts=10)


def concluded(error: str = "", verdict: Verdict | None = None, **changes: Any) -> Result:
    result = Result(**{**GOOD.as_dict(), **changes})
    return conclude(result, verdict or Verdict(), OPTIONS, error)


def test_a_good_run_is_kept() -> None:
    result = concluded()
    assert (result.verdict, result.exit_code, result.reasons) == ("kept", 0, [])


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"in_flight_at_kills": [60, 0]}, "", "kill 2 hit nothing in flight"),
        ({"retransmitted": 0}, "", "nothing had to be retransmitted"),
        ({"kills": 1, "in_flight_at_kills": [60]}, "", "only 1 of 2 kills happened"),
        ({"cuts": 9}, "", "only 9 of 10 cuts happened"),
        ({}, "it did not finish", "it did not finish"),
    ],
)
def test_a_run_that_proves_nothing_says_why(
    changes: dict[str, Any], error: str, reason: str
) -> None:
    result = concluded(error, **changes)
    assert (result.verdict, result.exit_code) == ("nothing proved", 2)
    assert result.reasons == [reason]


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(lost=1),
        Verdict(duplicated=1),
        Verdict(out_of_order=1),
        Verdict(never_sent=1),
        Verdict(mailbox_gaps=1),
    ],
)
def test_a_broken_promise_weighs_more_than_anything(verdict: Verdict) -> None:
    verdict.problems = ["lost: message 1"]
    result = concluded("", verdict, retransmitted=0)
    assert (result.verdict, result.exit_code) == ("broken", 1)
    assert result.reasons == ["lost: message 1"]


def test_a_run_that_was_broken_off_answers_for_what_it_has_not_delivered() -> None:
    """As `im audit` of the same files does: an engine that hangs has lost it."""
    result = concluded("it did not finish", Verdict(lost=3), lost=3)
    assert (result.verdict, result.exit_code) == ("broken", 1)
    assert "it did not finish" in result.reasons
    assert concluded("it did not finish", Verdict()).exit_code == 2


def test_a_client_that_gave_up_is_no_success() -> None:
    result = conclude(Result(**GOOD.as_dict()), Verdict(), OPTIONS, gave_up="a client gave up")
    assert (result.verdict, result.exit_code) == ("broken", 1)
    assert result.reasons == ["a client gave up"]


def test_a_refused_message_is_no_success() -> None:
    result = concluded(failed=1)
    assert (result.verdict, result.exit_code) == ("broken", 1)


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("verdict", ["kept", "broken", "nothing proved"])
def test_the_table_says_everything(verdict: str) -> None:
    result = concluded()
    result.verdict, result.sabotage, result.reasons = verdict, "fence", ["[not] markup"]
    result.p50_ms, result.messages_per_s = 1234.5, 678.9
    out = StringIO()
    show(result, OPTIONS, Console(file=out, width=100))
    shown = out.getvalue()
    for word in (
        *("sent", "accepted", "delivered", "lost", "duplicated", "out of order", "kills"),
        *("cut connections", "reconnects", "resumed", "retransmitted", "duplicates suppressed"),
        *("in flight at each kill", "60, 128", "stale writes refused", "latency p50", "1,234 ms"),
        *("messages a second", "679", "sabotaged: fence", "[not] markup", "im demo --break dedupe"),
        *("im serve --dev", "im chat --user 1 --to 2", "im audit DIR"),
    ):
        assert word in shown
    assert "\x1b" not in shown


def test_the_kept_directory_stands_in_the_next_command() -> None:
    out = StringIO()
    show(concluded(), DemoOptions(keep=Path("kept")), Console(file=out, width=100))
    assert "im audit kept " in out.getvalue()


def test_a_directory_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").write_text("x")
    assert demo_command(DemoOptions(keep=tmp_path, json=True)) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "is not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_result_is_json() -> None:
    names = json.loads(json.dumps(GOOD.as_dict())).keys()
    assert {
        *("sent", "accepted", "delivered", "lost", "duplicated", "out_of_order", "kills", "cuts"),
        *("reconnects", "resumed", "retransmitted", "duplicates_suppressed", "p50_ms", "p99_ms"),
        *("messages_per_s", "in_flight_at_kills", "behind_a_fence", "verdict", "exit_code"),
    } <= names


# ---------------------------------------------------------------- sabotage


@pytest.mark.parametrize("kind", sabotage.KINDS)
def test_a_sabotage_is_undone(kind: str) -> None:
    patches = sabotage.KINDS[kind]()
    before = [getattr(owner, name) for owner, name, _ in patches]
    with sabotage.applied(kind):
        broken = [getattr(owner, name) for owner, name, _ in patches]
        assert all(a is not b for a, b in zip(before, broken, strict=True))
    assert [getattr(owner, name) for owner, name, _ in patches] == before


def test_an_unknown_sabotage_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sabotage", "nothing", "serve"])
    with pytest.raises(SystemExit) as end:
        sabotage.main()
    assert end.value.code == 2
    assert "dedupe|resume|fence" in capsys.readouterr().err
