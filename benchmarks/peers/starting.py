"""How each peer's server is started, how its clients are, and what is missing for it here."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from im_cli.bench_process import START, BenchProcess


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs.

    Args:
        url: for its clients.
        pid: of the process whose CPU counts.
    """

    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer.

    Args:
        name: of the contestant.
        module: its clients.
        needs: packages.
        program: that it needs too, and how to get it; "" for none.
        start: starts its server on an event loop by this name; leaving the context ends it.
        note: what one has to know about it.
    """

    name: str
    module: str
    needs: Sequence[str]
    start: Callable[[str], AbstractContextManager[Running]]
    program: str = ""
    hint: str = ""
    note: str = ""

    def missing(self) -> str:
        """What is, and how to get it; "" for nothing."""
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                return f'{package} is not installed: pip install "im-proto[bench]"'
        if self.program and shutil.which(self.program) is None:
            return f"{self.program} is not installed: {self.hint}"
        return ""


@contextlib.contextmanager
def _of_python(module: str, loop: str) -> Iterator[Running]:
    arguments = ("im_cli.tied", "im_cli.bench_loop", loop, module)
    with BenchProcess(module, *arguments) as process:
        yield Running(process.answer(START)["url"], process.pid)


@contextlib.contextmanager
def _program(port: int, *arguments: object) -> Iterator[int]:
    """Its pid, once it listens."""
    with BenchProcess(str(arguments[0]), "benchmarks.peers.program", *arguments) as process:
        pid: int = process.answer(START)["pid"]
        _wait_for(port)
        yield pid


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


@contextlib.contextmanager
def _nats(loop: str) -> Iterator[Running]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="im-bench-") as directory:
        arguments = ("--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", directory)
        with _program(port, "nats-server", *arguments) as pid:
            yield Running(f"nats://127.0.0.1:{port}", pid)


@contextlib.contextmanager
def _mosquitto(loop: str) -> Iterator[Running]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="im-bench-") as directory:
        config = Path(directory, "mosquitto.conf")
        config.write_text(
            f"listener {port} 127.0.0.1\n"
            "allow_anonymous true\n"
            "persistence true\n"
            f"persistence_location {directory}/\n"
            "max_inflight_messages 0\n"
            "max_queued_messages 0\n"
            "log_type error\n"
        )
        with _program(port, "mosquitto", "-c", config) as pid:
            yield Running(f"127.0.0.1:{port}", pid)


def _python(module: str) -> Callable[[str], AbstractContextManager[Running]]:
    return lambda loop: _of_python(module, loop)


PEERS: Final[dict[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer(
            "websockets relay",
            "benchmarks.peers.relay",
            ("websockets",),
            _python("benchmarks.peers.relay"),
            note="by hand, nothing kept, no log-in",
        ),
        Peer(
            "python-socketio",
            "benchmarks.peers.socketio_peer",
            ("socketio", "aiohttp", "uvicorn"),
            _python("benchmarks.peers.socketio_peer"),
            note="on uvicorn, nothing kept",
        ),
        Peer(
            "JetStream",
            "benchmarks.peers.jetstream",
            ("nats",),
            _nats,
            program="nats-server",
            hint="apt-get install nats-server, or https://nats.io/download",
            note="stream on disk, synced each two minutes as is its default",
        ),
        Peer(
            "MQTT",
            "benchmarks.peers.mqtt",
            ("aiomqtt",),
            _mosquitto,
            program="mosquitto",
            hint="apt-get install mosquitto, or https://mosquitto.org/download",
            note="QoS 1, mosquitto writes its file each half hour as is its default",
        ),
    )
}
