"""`make fuzz`: coverage-guided fuzzing of everything that reads what a peer sends.

python -m tests.fuzz [--target frames server_step] [--minutes 10] [--jobs 2]
python -m tests.fuzz replay FILE...      run inputs again, and see what they break
python -m tests.fuzz merge [TARGET...]   choose anew what is kept in tests/fuzz/corpus
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.catalog import CORPUS, CRASHES, TARGETS, WORK, load
from tests.fuzz.corpus import fault, files, merge, name_of, shrink
from tests.fuzz.seeds import seeds, words

#: bytes of an input; seconds and megabytes that one may cost
_LONGEST: Final = 4096
_SLOWEST: Final = 10
_MEMORY: Final = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """How a target fared."""

    target: str
    executions: int
    per_second: int
    corpus: int
    seconds: float
    crashes: list[Path]
    status: int
    end: str

    def line(self) -> str:
        """A row of a table."""
        verdict = "nothing found" if not self.status else f"FAILED (exit code {self.status})"
        return (
            f"| {self.target:<16} | {self.seconds / 60:7.1f} | {self.executions:10,} "
            f"| {self.per_second:8,} | {self.corpus:6,} | {verdict} |"
        )


HEAD: Final = (
    "| target           | minutes | executions | a second | corpus | result |\n"
    "|---|---|---|---|---|---|"
)


def run(target: str, minutes: float) -> Run:
    """Fuzz one target in a process of its own."""
    work, crashes = WORK / target, CRASHES / target
    for folder in (work, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(files(crashes))
    for seed in seeds(target):
        (work / name_of(seed)).write_bytes(seed)
    for path in files(CORPUS / target):
        (work / path.name).write_bytes(path.read_bytes())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        dictionary = Path(scratch) / "words"
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words(target)))
        command = [
            sys.executable, "-m", "tests.fuzz.guided", target, str(work),
            f"-dict={dictionary}", f"-artifact_prefix={crashes}/", f"-max_len={_LONGEST}",
            f"-timeout={_SLOWEST}", f"-rss_limit_mb={_MEMORY}",
            f"-max_total_time={max(1, round(minutes * 60))}", "-print_final_stats=1",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    log = done.stdout + done.stderr
    executions = _last(r"number_of_executed_units:\s*(\d+)", log)
    seconds = time.monotonic() - began
    return Run(
        target=target,
        executions=executions,
        per_second=round(executions / seconds),
        corpus=len(files(work)),
        seconds=seconds,
        crashes=sorted(set(files(crashes)) - before),
        status=done.returncode,
        end="" if done.returncode == 0 else "\n".join(log.splitlines()[-40:]),
    )


def _escaped(word: bytes) -> str:
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}" for byte in word
    )


def _last(pattern: str, log: str) -> int:
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


def _fuzz(targets: Sequence[str], minutes: float, jobs: int) -> int:
    print(HEAD, flush=True)
    failed = False
    with ThreadPoolExecutor(jobs) as pool:
        for done in pool.map(lambda target: run(target, minutes), targets):
            print(done.line(), flush=True)
            failed |= bool(done.status)
            if done.status and not done.crashes:
                print(done.end)
            for crash in done.crashes:
                _tell(done.target, crash)
    return int(failed)


def _tell(target: str, crash: Path) -> None:
    """What an input breaks; the shortest that does stands beside it."""
    fuzz, data = load(target), crash.read_bytes()
    found = fault(fuzz, data)
    if found:
        data = shrink(fuzz, data)
        crash.unlink()
        crash = crash.with_name(f"{name_of(data)}.min")
        crash.write_bytes(data)
    print(f"  {found or 'too slow, too large, or not again'}")
    print(f"  again: python -m tests.fuzz replay {crash}", flush=True)


def _replay(paths: Sequence[Path]) -> int:
    failed = False
    for path in paths:
        found = fault(load(path.parent.name), path.read_bytes())
        failed |= bool(found)
        print(f"{path}: {found or 'nothing is broken'}")
    return int(failed)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if anything is broken."""
    if arguments[:1] == ["replay"]:
        return _replay([Path(argument) for argument in arguments[1:]])
    if arguments[:1] == ["merge"]:
        for target in arguments[1:] or TARGETS:
            print(f"{target}: {merge(target)} files", flush=True)
        return 0
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--minutes", type=float, default=1.0, help="of each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    chosen = parser.parse_args(arguments)
    return _fuzz(chosen.target, chosen.minutes, chosen.jobs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
