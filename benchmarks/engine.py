"""What the engine adds to what has to be done anyway: frames by wsproto, JSON by pydantic-core.

CPU time of this process for a message, of the best of many pieces of work (paths.py): a piece takes
longer only because of what else the machine does. The floors do the same bytes, without a state, a
limit, an order or a promise.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic_core import to_json
from typing_extensions import TypedDict
from wsproto.frame_protocol import FrameProtocol

from im_proto.machines import HEARTBEAT, HeartbeatMachine
from im_proto.machines.compiled import Table

from .harness import Contestant, Figure, Goal, Options, Row
from .paths import FULL, LIFE, Work, pieces, texts
from .rig import BOB, CONTENT

#: Pieces of work in a run; the best one counts.
_PIECES: Final = 60
_QUICK: Final = 5
#: A first msgId of a client; it has as many digits as all.
_FIRST: Final = 1_700_000_000_000_000
_INTERPRETER: Final = "python-statemachine"
#: Paths that have no floor.
_REST: Final = {
    "server, sends to the commit": "server takes 64 sends",
    "server, the commit's plan": "commit is planned",
    "server, commit to the bytes": "server answers and pushes",
    "client, answers to the events": "client gets 64 answers",
    "client, handled to the ack": "client handles 64 in a turn",
}


class _Pushed(TypedDict):
    content: str
    msgId: int
    fromUser: int
    sessionId: int
    messageType: str
    timestamp: int
    seq: int


class _Push(TypedDict):
    type: Literal["CHAT_REDIRECT_TO_USER_REQUEST"]
    message: _Pushed


_ONE: Final = TypeAdapter(_Push).validator
_SEVERAL: Final = TypeAdapter(list[_Push]).validator


# ---------------------------------------------------------------- the floors


def read_one(data: bytes, frames: FrameProtocol) -> list[_Push]:
    """What a frame with one push says: wsproto and pydantic-core."""
    frames.receive_bytes(data)
    received: Any = frames.received_frames()
    return [_ONE.validate_json(frame.payload) for frame in received]


def read_text(text: str) -> list[_Push]:
    """What the text of a frame with several pushes says: pydantic-core alone."""
    found: list[_Push] = _SEVERAL.validate_json(text)
    return found


def _sent(number: int) -> dict[str, object]:
    return {
        "type": "CHAT_SEND_TO_ONE_REQUEST",
        "message": {
            "msgId": number,
            "toUser": BOB,
            "content": CONTENT,
            "messageType": "text",
        },
    }


def write_one(number: int, frames: FrameProtocol) -> bytes:
    """A frame of a client with one message: pydantic-core and wsproto."""
    return bytes(frames.send_data(to_json(_sent(number)).decode(), fin=True))


def write_text(first: int, count: int) -> bytes:
    """The text of a frame with several messages: pydantic-core alone."""
    return to_json([_sent(number) for number in range(first, first + count)])


# ---------------------------------------------------------------- who measures


class _Best:
    """The best of some pieces of a path; a floor does their bytes in its own way.

    Args:
        path: in PATHS.
        times: pieces of a run.
        floor: makes, of a piece that the engine has done, what does the same; None: the engine.
    """

    def __init__(
        self, path: str, times: int, floor: Callable[[Work], Callable[[], object]] | None = None
    ) -> None:
        self._path = path
        self._times = times
        self._floor = floor
        self._pieces: Iterator[Work] | None = None

    def run(self) -> float:
        """Microseconds for a message."""
        if self._pieces is None:
            # masks come from where adapters take them
            self._pieces = pieces(self._path, random.SystemRandom())
        best = float("inf")
        for _ in range(self._times):
            work = next(self._pieces)
            if self._floor is None:
                best = min(best, _seconds(work.run) / work.count)
            else:
                work.run()
                best = min(best, _seconds(self._floor(work)) / work.count)
        return best * 1e6

    def close(self) -> None:
        """Forget the engines."""
        self._pieces = None


def _seconds(work: Callable[[], object]) -> float:
    gc.disable()
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        gc.enable()


def _reads_frames(work: Work) -> Callable[[], object]:
    frames = FrameProtocol(client=True, extensions=[])
    return lambda: [read_one(data, frames) for data in work.data]


def _reads_texts(work: Work) -> Callable[[], object]:
    found = [text for data in work.data for text in texts(data)]
    return lambda: [read_text(text) for text in found]


def _writes_frames(work: Work) -> Callable[[], object]:
    frames = FrameProtocol(client=True, extensions=[])
    return lambda: [write_one(_FIRST + n, frames) for n in range(work.count)]


def _writes_texts(work: Work) -> Callable[[], object]:
    return lambda: write_text(_FIRST, work.count)


# ---------------------------------------------------------------- a state transition


class _Counting(dict[tuple[str, str], str]):
    """Counts how often something is looked up."""

    looks = 0

    def __getitem__(self, key: tuple[str, str]) -> str:
        self.looks += 1
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.looks += 1
        return super().__contains__(key)

    def get(self, key: tuple[str, str], default: object = None) -> object:  # type: ignore[override]
        """As of a dictionary."""
        self.looks += 1
        return super().get(key, default)


def look_ups(table: Table, life: Sequence[str]) -> float:
    """Of a transition, in the table's dictionary: the most that one of these takes."""
    edges = _Counting({(state, event): to for state, event, to in table.edges()})
    counted = type(table)(table.name, table.initial, table.states, table.events, table.final, edges)
    state, most = counted.initial, 0
    for event in life:
        edges.looks = 0
        state = counted.next(state, event)
        most = max(most, edges.looks)
    return most


def _by_interpreter(lives: int) -> Callable[[], float]:
    def run() -> float:
        machine = HeartbeatMachine()

        def work() -> None:
            for event in LIFE:
                machine.send(event)

        return min(_seconds(work) for _ in range(lives)) / len(LIFE) * 1e6

    return run


def _by_table(lives: int) -> Callable[[], Figure]:
    def work() -> None:
        state = HEARTBEAT.initial
        for _ in range(1_000):
            for event in LIFE:
                state = HEARTBEAT.next(state, event)

    def run() -> Figure:
        best = min(_seconds(work) for _ in range(lives)) / 1_000 / len(LIFE)
        return Figure(best * 1e6, {"dictionary look-ups": look_ups(HEARTBEAT, LIFE)})

    return run


# ---------------------------------------------------------------- the rows


def rows(options: Options) -> Sequence[Row]:
    """Those with a floor, of which the first contestant has the goal; the rest of a message's way;
    and a state transition."""
    times = _QUICK if options.quick else _PIECES
    best_of = f"the best of {times} pieces of work a round, CPU time of one process"

    def row(
        key: str,
        title: str,
        goal: str,
        bound: float,
        ours: dict[str, str],
        floor: str,
        doing: Callable[[Work], Callable[[], object]],
        notes: Sequence[str],
    ) -> Row:
        first, path = next(iter(ours.items()))
        done = [*((name, _Best(of, times)) for name, of in ours.items())]
        done.append((floor, _Best(path, times, doing)))
        return Row(
            key=key,
            title=title,
            goal=goal,
            unit="us a message",
            higher_is_better=False,
            contestants=[Contestant(name, run=one.run, close=one.close) for name, one in done],
            reference=floor,
            goals=[Goal(first, "<=", bound, against=floor)],
            notes=[*notes, best_of],
        )

    with_frames, alone = "wsproto + pydantic-core", "pydantic-core"
    return [
        row(
            "engine-receive-one",
            "Engine: receive one message, one per frame",
            "≤ 1.4 × (wsproto + pydantic-core on the same bytes)",
            1.4,
            {
                "engine, to the event": "client receives one",
                "engine, to the ack": "client receives and acks one",
            },
            with_frames,
            _reads_frames,
            [
                "to the event: bytes in, MessageReceived out; to the ack: also taken, handled and "
                "acknowledged, acks coalesced; the floor writes no ack",
            ],
        ),
        *(
            row(
                f"engine-receive-{size}",
                f"Engine: receive a message, {size} in a frame",
                "≤ 2 × pydantic-core alone",
                2.0,
                {"engine, to the event": f"client receives {size} in a frame"},
                alone,
                _reads_texts,
                ["the floor has the text of the frame, without the frame"],
            )
            for size in (16, FULL)
        ),
        row(
            "engine-send-one",
            "Engine: send one message, until bytes, one per turn",
            "≤ 1.4 × (pydantic-core + wsproto)",
            1.4,
            {"engine": "client sends one"},
            with_frames,
            _writes_frames,
            ["masks come from the machine's strong entropy, in both"],
        ),
        row(
            "engine-send-64",
            f"Engine: send {FULL} messages in a turn, until bytes",
            "≤ 2 × pydantic-core alone",
            2.0,
            {"engine": "client sends 64 in a turn"},
            alone,
            _writes_texts,
            ["the floor has no frame and no mask"],
        ),
        Row(
            key="engine-rest-64",
            title=f"Engine: the rest of a message's way, {FULL} at a time",
            goal="",
            unit="us a message",
            higher_is_better=False,
            contestants=[
                Contestant(name, run=best.run, close=best.close)
                for name, best in ((name, _Best(path, times)) for name, path in _REST.items())
            ],
            notes=[
                "what the rows above leave out of a message's way from A to B; no goal",
                best_of,
            ],
        ),
        Row(
            key="transition",
            title="A state transition",
            goal="≤ 3 dictionary look-ups",
            unit="us a transition",
            higher_is_better=False,
            contestants=[
                Contestant("table", run=_by_table(times)),
                Contestant(_INTERPRETER, run=_by_interpreter(times)),
            ],
            reference="table",
            notes=["the life of a heartbeat; the table is compiled from the library's class"],
        ),
    ]
