"""Each case of the kit can fail: adapters that are broken in one way, and the cases that tell.

They run in processes of their own, as a broken adapter leaves sockets, threads and loops behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from conformance import broken as b
from conformance.broken import broken
from conformance.test_kit import python
from im_proto.testing.conformance import Level, Status, case_named, cases, run_case

#: What is broken, and the cases that have to find it.
FOUND: dict[str, list[tuple[Any, str]]] = {
    "reading": [
        (broken(b.DropsShortReads), "reads-split reads-one-byte-at-a-time"),
        (broken(b.CutsLongReads), "reads-coalesced reads-a-big-message"),
        (broken(b.DeliversBytesLater), "reads-before-the-end"),
        (broken(b.IgnoresTheEnd), "half-close"),
        (broken(b.IgnoresResets), "reset reset-before-the-upgrade"),
        (
            broken(b.IgnoresAbort),
            "garbage-for-an-answer an-attempt-that-is-given-up a-mute-peer-holds-nobody-up "
            "disconnect-in-the-middle-of-a-write",
        ),
        (broken(b.IgnoresEveryEnd), "oversized-frame"),
        (broken(b.IgnoresPause), "pause-reading"),
        (broken(b.CantEndWhatIsPaused), "disconnect-while-paused"),
        (broken(b.PutsTheTimerOff), "heartbeats-keep-their-pace"),
    ],
    "opening": [
        (broken(b.CallsEveryFailureOther), "refused a-name-that-is-none"),
        (
            broken(b.IgnoresTimers),
            "silence-of-tcp silence-of-http silence-of-the-login silence-after-the-login "
            "trickle-of-http two-deadlines-at-once",
        ),
        (broken(b.NeverArmsEarlier), "silence-in-a-frame a-deadline-that-moves-nearer"),
        (broken(client=b.ConnectsWithoutTimeout), "connect-keeps-its-timeout"),
        (
            broken(client=b.LeavesAFailedConnect),
            "connect-keeps-its-timeout cancel-while-tcp-opens cancel-while-the-upgrade-waits "
            "cancel-while-the-login-waits silence-of-tcp refused proxy-that-refuses "
            "proxy-that-answers-too-much",
        ),
        (broken(b.OpensOnce), "comes-back"),
        (broken(b.LeaksSockets), "again-and-again both-sides-at-once"),
        (b.WaitsForConnectInClose, "close-in-every-state"),
    ],
    "timing": [
        (
            broken(b.SleepsOn),
            "a-deadline-that-moves-away a-row-of-deadlines",
        ),
        (broken(b.TellsAnotherClock), "a-deadline-that-moves-nearer"),
        (broken(b.Spins), "an-idle-client-sleeps"),
        (broken(b.TellsAWrongWallClock), "the-wall-clock-is-told"),
        (b.OnlyQueuesCalls, "a-call-wakes-the-loop"),
    ],
    "writing": [
        (broken(b.NeverSaysBlocked), "a-peer-that-does-not-read"),
        (broken(b.NeverSaysReady), "a-peer-that-does-not-read"),
        (broken(b.FlushesBeforeItAborts), "disconnect-in-the-middle-of-a-write"),
        (broken(b.KeepsTheBuffer), "a-reset-in-the-middle-of-a-write"),
        (b.StepsInAnyThread, "calls-from-many-threads"),
        (broken(b.CarriesOutBackwards), "sends-while-answers-come-in"),
    ],
    "ending": [
        (broken(client=b.AbortsAtDisconnect), "a-polite-goodbye last-words"),
        (broken(b.IgnoresClose), "a-polite-goodbye"),
        (broken(b.AbortsInPlaceOfClosing), "the-peer-says-goodbye"),
        (broken(b.WaitsAlone), "disconnect-twice"),
        (broken(client=b.DisconnectsOnlyLinks), "disconnect-between-two-attempts"),
        (
            broken(b.MixesTransportsUp),
            "bytes-of-an-old-transport the-late-end-of-an-old-transport",
        ),
    ],
    "tokens": [
        (broken(b.CallsTheTokenFunctionInTheLoop), "a-slow-token-function"),
        (broken(b.TellsSecrets), "a-token-function-that-raises"),
        (broken(b.TakesAnythingForAToken), "a-token-function-that-returns-no-text"),
        (
            broken(b.NeverForgetsAToken),
            "a-token-that-comes-too-late cancel-while-the-token-is-fetched",
        ),
        (broken(b.AsksForATokenOnce), "a-refused-token-is-replaced"),
    ],
    "tls": [
        (broken(b.TrustsAnyName), "tls-for-another-name proxy-and-tls-for-another-name"),
        (broken(b.TrustsAnybody), "tls-that-nobody-vouches-for"),
        (broken(b.AsksTheSocketBeforeEachRead), "tls-two-records-in-one-segment"),
        (broken(b.NeverUsesTls), "tls-session"),
        (
            broken(b.CantWaitInAHandshake),
            "tls-silence-in-the-handshake tls-cancel-in-the-handshake proxy-and-tls-cancelled",
        ),
        (broken(b.ForgetsToTellOfFailures), "tls-cut-in-the-handshake no-unix-socket"),
        (broken(b.DropsShortReads), "proxy-that-trickles"),
        (broken(b.TakesLittleForTheEnd), "tls-one-byte-at-a-time"),
        (broken(b.IgnoresTheEnd), "tls-that-is-cut"),
        (broken(b.FlushesBeforeItAborts), "tls-mute-peer"),
        (broken(b.NeverSaysBlocked), "tls-back-pressure"),
    ],
    "paths": [
        (broken(b.KnowsOnlyIPv4), "ipv6"),
        (broken(b.KnowsOnlyTheFirstAddress), "two-families"),
        (broken(b.OpensSomethingElse), "unix-socket proxy"),
        (broken(b.IgnoresStartTls), "proxy-and-tls"),
    ],
    "callbacks": [
        (
            b.CallsBackInTheLoop,
            "callback-that-raises callback-that-is-slow send-inside-of-a-callback "
            "disconnect-inside-of-a-callback close-while-a-callback-runs",
        ),
    ],
    "journal": [
        (
            b.SaysThatItHasWritten,
            "a-record-before-the-bytes killed-and-begun-again what-comes-again-is-flagged "
            "acknowledged-is-on-disk",
        ),
        (b.WritesLater, "a-record-before-the-bytes acknowledged-is-on-disk"),
        (b.NeverTakesAnythingOut, "killed-and-begun-again"),
        (b.ForgetsWhatWasShown, "what-comes-again-is-flagged"),
        (b.LeavesTheFileToAnybody, "a-second-user-of-the-file"),
    ],
}


def results(chapter: str) -> list[dict[str, str]]:
    """Run a chapter of the table, in this process."""
    found = []
    for factory, names in FOUND[chapter]:
        for name in names.split():
            result = run_case(factory, case_named(name), patience=2.0)
            found.append(
                {
                    "test": f"{factory.__name__}: {name}",
                    "status": result.status,
                    "why": result.why,
                    "look": result.look,
                }
            )
    return found


@pytest.fixture(scope="module")
def chapters() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """All of the table, a few at a time: most of what they do is to wait."""
    command = ("-W", "ignore", "-m", "conformance.test_broken")
    with ThreadPoolExecutor(3) as pool:
        yield {chapter: pool.submit(python, *command, chapter) for chapter in FOUND}
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", FOUND)
def test_what_is_broken_is_found(
    chapter: str, chapters: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    ran = chapters[chapter].result()
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert len(found) == sum(len(names.split()) for _, names in FOUND[chapter])
    for result in found:
        assert result["status"] == Status.FAILED, result
        assert result["why"], result
        assert result["look"], result


def test_every_case_can_fail() -> None:
    named = {n for table in FOUND.values() for _, names in table for n in names.split()}
    assert {case.name for case in cases(Level.EXTRAS)} == named


if __name__ == "__main__":
    print(json.dumps(results(sys.argv[1])), flush=True)  # noqa: T201
    b.end()
