"""Fuzzing in the normal run: the kept corpus and the seeds again, and random episodes.

`FUZZ_EXAMPLES=100000 python -m pytest tests/fuzz` goes on for longer, each time elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import seeds
from tests.fuzz.catalog import CORPUS, TARGETS, load
from tests.fuzz.corpus import fault, files, shrink, smallest
from tests.fuzz.feed import Feed, Tape, cut

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_settings = settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
)
each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_whatever_was_found_once_breaks_nothing(name: str) -> None:
    kept = files(CORPUS / name)
    assert kept
    for path in kept:
        assert fault(load(name), path.read_bytes()) == "", path


@each_target
def test_real_conversations_break_nothing(name: str) -> None:
    for seed in seeds.seeds(name):
        assert fault(load(name), seed) == "", seed.hex()


@each_target
def test_no_random_episode_breaks_anything(name: str) -> None:
    target, known = load(name), seeds.seeds(name)
    random_bytes = st.binary(max_size=300)
    # a known one up to some place, and then anything
    bent = st.builds(
        lambda seed, at, more: seed[: at % (len(seed) + 1)] + more,
        st.sampled_from(known),
        st.integers(0, 4096),
        random_bytes,
    )

    @_settings
    @given(random_bytes | bent)
    def episodes(data: bytes) -> None:
        target(data)

    episodes()


def test_the_kept_corpus_stays_small() -> None:
    kept = [path for name in TARGETS for path in files(CORPUS / name)]
    assert len(kept) < 300
    assert sum(path.stat().st_size for path in kept) < 500_000
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


# ---------------------------------------------------------------- the tools themselves


def test_a_feed_reads_what_a_tape_wrote_and_never_ends() -> None:
    data = Tape().byte(7, 1).pick("abc", "c").chunk("ü").rest(b"end").data
    feed = Feed(data)
    assert (feed.byte(), feed.flag(), feed.pick("abc")) == (7, True, "c")
    assert (feed.text(), feed.rest(), feed.done) == ("ü", b"end", True)
    assert (feed.byte(), feed.flag(), feed.pick("abc"), feed.chunk()) == (0, False, "a", b"")


@pytest.mark.parametrize("how", [0, 1, 2, 3, 200])
def test_bytes_that_are_cut_are_all_there(how: int) -> None:
    data = bytes(range(256)) * 3
    assert b"".join(cut(data, how)) == data


def _breaks_at(data: bytes) -> None:
    assert b"!" not in data.replace(b"?!", b""), "a bang"


def test_an_input_that_breaks_something_is_made_small() -> None:
    data = b"a" * 100 + b"?!" * 10 + b"b!c" + b"d" * 77
    assert "AssertionError in test_fuzz.py" in fault(_breaks_at, data)
    assert shrink(_breaks_at, data) == b"!"
    assert fault(_breaks_at, b"?!") == ""


def test_of_a_corpus_few_inputs_are_kept_that_reach_as_much() -> None:
    target = load("tunnel")
    found = [seed + b"x" * n for seed in seeds.seeds("tunnel") for n in (0, 0, 50)]
    chosen = smallest(target, found)
    assert 2 <= len(chosen) <= 5
    assert smallest(target, chosen) == chosen


def test_a_crash_can_be_replayed_by_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.fuzz.__main__ import main

    crash = tmp_path / "tunnel" / "crash-1"
    crash.parent.mkdir()
    crash.write_bytes(seeds.seeds("tunnel")[0])
    assert main(["replay", str(crash)]) == 0
    assert capsys.readouterr().out == f"{crash}: nothing is broken\n"
