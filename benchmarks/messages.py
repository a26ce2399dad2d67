"""A message from A through the server to B, with an acknowledgement to A: throughput and time."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.harness import Contestant, Figure, Goal, Options, Row
from benchmarks.peers import PEERS, Peer
from im_cli.bench_clients import Clients, Sample
from im_cli.bench_load import Setup
from im_cli.bench_ours import Server
from im_cli.bench_settings import RAISED

RELAY: Final = "websockets relay"
PROCESS: Final = "im, process"
POWER: Final = "im, power"
_UNBATCHED: Final = ", unbatched"
#: What the busier of the two processes could do with a core of its own.
_STEADY: Final = "/s of a core"
_PAIRS: Final = 1000
_ALL: Final = (RELAY, "python-socketio", "JetStream", "MQTT")
_NOTES: Final = (
    "80 characters; counted when B has it and A its acknowledgement. A and B are in one process, "
    "the server in another",
    "im, process and im, power: im serve --durability …; unbatched: --set batch=1, so each frame "
    "holds one envelope, both ways",
    "/s of a core: 1,000,000 / CPU us of the busier process, which other programs hardly change",
    "im serve with --set " + " ".join(f"{name}={value}" for name, value in RAISED.items()),
)


class _Work:
    """One contestant's server and clients, from its first run until `close`."""

    def __init__(self, options: Options, pairs: int, window: int, unit: str) -> None:
        self._options = options
        self._pairs = pairs
        self._window = window
        self._unit = unit
        self._stack = ExitStack()
        self._clients: Clients | None = None

    def ours(self, durability: str, *, batching: bool) -> Callable[[], Figure]:
        """Our server and client."""

        def start() -> Clients:
            server = Server(durability, self._options.loop, batching=batching)
            self._stack.enter_context(server)
            setup = server.setup(self._pairs, self._window)
            return Clients("im_cli.bench_ours", self._options.loop, setup, server.pid)

        return lambda: self._run(start)

    def peer(self, peer: Peer) -> Callable[[], Figure]:
        """A peer's."""

        def start() -> Clients:
            server = self._stack.enter_context(peer.start(self._options.loop))
            setup = Setup(server.url, self._pairs, self._window)
            return Clients(peer.module, self._options.loop, setup, server.pid)

        return lambda: self._run(start)

    def _run(self, start: Callable[[], Clients]) -> Figure:
        seconds, warm = (0.3, 0.1) if self._options.quick else (1.0, 0.2)
        if self._clients is None:
            self._clients = self._stack.enter_context(start())
        self._clients.load(warm)
        return self._figure(self._clients.load(seconds))

    def _figure(self, sample: Sample) -> Figure:
        ack, delivery = sample.found.ack, sample.found.delivery
        return Figure(
            ack["p50"] * 1e3 if self._unit == "ms" else sample.per_second,
            {
                _STEADY: 1e6 / max(sample.client_us, sample.server_us),
                "client CPU us": sample.client_us,
                "server CPU us": sample.server_us,
                "ack p50 ms": ack["p50"] * 1e3,
                "ack p99 ms": ack["p99"] * 1e3,
                "delivery p50 ms": delivery["p50"] * 1e3,
                "messages/s": sample.per_second,
            },
        )

    def close(self) -> None:
        """End both."""
        self._stack.close()


def _contestants(
    options: Options, pairs: int, window: int, unit: str, peers: Sequence[str]
) -> list[Contestant]:
    no_loop = ""
    if options.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        no_loop = 'uvloop is not installed: pip install "im-proto[uvloop]"'
    contestants = []
    for name in peers:
        peer, work = PEERS[name], _Work(options, pairs, window, unit)
        missing = no_loop or peer.missing()
        contestants.append(Contestant(name, work.peer(peer), work.close, missing, peer.note))
    for name, durability in ((PROCESS, "process"), (POWER, "power")):
        for batching in (True, False):
            work = _Work(options, pairs, window, unit)
            full = name if batching else name + _UNBATCHED
            run = work.ours(durability, batching=batching)
            contestants.append(Contestant(full, run, work.close, no_loop))
    return contestants


def rows(options: Options) -> Sequence[Row]:
    """Alone, 64 and 1,024 in flight, and 1,000 pairs."""
    pairs = 100 if options.quick else _PAIRS

    def throughput(
        key: str,
        title: str,
        goal: str,
        goals: Sequence[Goal],
        window: int,
        pairs: int = 1,
        peers: Sequence[str] = _ALL,
    ) -> Row:
        found = _contestants(options, pairs, window, "/s", peers)
        return Row(key, title, goal, "messages/s", True, found, RELAY, goals, _NOTES, _STEADY)

    def in_flight(window: int, *, process: float, power: float) -> Row:
        """The goals that differ are multiples of the relay."""
        return throughput(
            f"messages-{window}",
            f"A → server → B with ack, {window:,} in flight",
            f"process: ≥ {process:g} × the relay, ≥ 10 × python-socketio, ≥ 3 × JetStream; "
            f"power: ≥ {power:g} × the relay",
            [
                Goal(PROCESS, ">=", process, RELAY),
                Goal(PROCESS, ">=", 10, "python-socketio"),
                Goal(PROCESS, ">=", 3, "JetStream"),
                Goal(POWER, ">=", power, RELAY),
            ],
            window,
        )

    return [
        Row(
            "round-trip",
            "One message in flight: p50 from A's call to A's acknowledgement",
            "p50 ≤ 1.5 × the relay's without durability; its cost apart",
            "ms",
            False,
            _contestants(options, 1, 1, "ms", _ALL),
            RELAY,
            [Goal(PROCESS, "<=", 1.5, RELAY)],
            (
                *_NOTES,
                "im has no mode without durability: each of its acknowledgements is after a "
                "commit, so the goal is looked at with --durability process",
            ),
        ),
        in_flight(64, process=1.5, power=0.8),
        in_flight(1024, process=2, power=2),
        throughput(
            "pairs",
            f"{pairs:,} pairs, one message in flight each",
            "≥ 1 × the relay, ≥ 5 × python-socketio",
            [Goal(PROCESS, ">=", 1, RELAY), Goal(PROCESS, ">=", 5, "python-socketio")],
            1,
            pairs,
            (RELAY, "python-socketio"),
        ),
    ]
