"""Running cases, and what came of them as text and as JSON."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from .bench import DATA, Bench
from .case import Case, Level
from .failure import Failed, Skipped
from .peer import PATIENCE, Ended
from .registry import cases
from .subject import Factory


class Status(StrEnum):
    """What came of a case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case.

    Attributes:
        seconds: how long it took.
        why: what went wrong, or why it was skipped; empty when it passed.
        look: where the author of the adapter should look.
        story: what the peer saw and the engine told, the last of it.
    """

    name: str
    level: Level
    status: Status
    seconds: float
    must: str
    why: str = ""
    look: str = ""
    story: tuple[str, ...] = ()

    def text(self) -> str:
        """All of it, for the author of the adapter."""
        lines = [f"{self.name}: {self.status}", f"  must:  {self.must}"]
        if self.why:
            lines.append(f"  but:   {self.why}" if self.look else f"  since: {self.why}")
        if self.look:
            lines.append(f"  look:  {self.look}")
        lines += [f"    {line}" for line in self.story]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all cases that were run."""

    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Did no case fail, and was any run?"""
        return bool(self.results) and not self.failures

    @property
    def failures(self) -> tuple[Result, ...]:
        """The cases that failed."""
        return tuple(result for result in self.results if result.status is Status.FAILED)

    def count(self, status: Status) -> int:
        """How many cases ended so."""
        return sum(result.status is status for result in self.results)

    def text(self) -> str:
        """A table, then each failure at length."""
        width = max((len(result.name) for result in self.results), default=0)
        lines = [_row(result, width) for result in self.results]
        lines += ["", *(f"{result.text()}\n" for result in self.failures)]
        counts = ", ".join(f"{self.count(status)} {status}" for status in Status)
        seconds = sum(result.seconds for result in self.results)
        return "\n".join([*lines, f"{counts} in {seconds:.1f} s"])

    def json(self) -> str:
        """For programs: {"passed": …, "results": [{"name", "level", "status", …}]}."""
        results = [asdict(result) for result in self.results]
        return json.dumps({"passed": self.passed, "results": results}, indent=2)


def _row(result: Result, width: int) -> str:
    mark = {Status.PASSED: "ok", Status.FAILED: "FAILED", Status.SKIPPED: "-"}[result.status]
    note = result.why if result.status is Status.SKIPPED else result.must
    return f"{result.name:{width}}  {mark:6}  {result.seconds:5.2f} s  {note}"


def run_case(factory: Factory, case: Case, patience: float = PATIENCE) -> Result:
    """Run one case; see `run`."""
    begin = time.monotonic()
    bench = Bench(factory, ssl.create_default_context(cafile=str(DATA / "ca.pem")), patience)
    status, why = Status.PASSED, ""
    story: tuple[str, ...] = ()
    try:
        _need(factory, case)
        case.script(bench)
        bench.finish()
    except Skipped as skipped:
        status, why = Status.SKIPPED, str(skipped)
    except Failed as failed:
        status, why, story = Status.FAILED, str(failed), tuple(bench.story())
    except Ended as ended:
        why = f"the client ended the connection too early ({ended})"
        status, story = Status.FAILED, tuple(bench.story())
    except OSError as error:
        why = f"the connection broke when the peer used it: {type(error).__name__}: {error}"
        status, story = Status.FAILED, tuple(bench.story())
    finally:
        bench.abandon()
    return Result(
        name=case.name,
        level=case.level,
        status=status,
        seconds=time.monotonic() - begin,
        must=case.must,
        why=why,
        look=case.look if status is Status.FAILED else "",
        story=story,
    )


def _need(factory: Factory, case: Case) -> None:
    if case.needs is not None and case.needs not in getattr(factory, "features", frozenset()):
        raise Skipped(f"the adapter does not have {case.needs.value}")


def run(
    factory: Factory,
    level: Level | str = Level.CORE,
    *,
    only: Iterable[Case] | None = None,
    told: Callable[[Result], None] | None = None,
    patience: float = PATIENCE,
) -> Report:
    """Run an adapter through the kit.

    Args:
        factory: makes the adapter's `Subject`; most often that class itself. Its attribute
            `features` says which cases of `extras` are run.
        level: "core" or "extras".
        only: these cases, in place of a level's.
        told: called with each result as it comes.
        patience: seconds to wait for anything that should come at once; more on a slow machine.
    """
    results = []
    for case in cases(level) if only is None else only:
        result = run_case(factory, case, patience)
        results.append(result)
        if told is not None:
            told(result)
    return Report(tuple(results))
