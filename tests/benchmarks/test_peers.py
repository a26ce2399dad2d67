"""Peers: what is missing is named; those that are there do the work."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from benchmarks.harness import Options
from benchmarks.messages import POWER, PROCESS, RELAY, rows
from benchmarks.peers import PEERS
from im_cli.bench_clients import Clients
from im_cli.bench_load import Setup


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for peer in PEERS.values():
        assert peer.missing() == f'{peer.needs[0]} is not installed: pip install "im-proto[bench]"'


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said = {name: peer.missing() for name, peer in PEERS.items() if peer.missing()}
    assert said == {
        "JetStream": "nats-server is not installed: apt-get install nats-server, or "
        "https://nats.io/download",
        "MQTT": "mosquitto is not installed: apt-get install mosquitto, or "
        "https://mosquitto.org/download",
    }


def test_without_uvloop_nobody_is_measured_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = {one.missing for row in rows(Options(loop="uvloop")) for one in row.contestants}
    assert missing == {'uvloop is not installed: pip install "im-proto[uvloop]"'}


def test_each_row_has_ours_with_batching_and_without() -> None:
    for row in rows(Options()):
        names = {one.name for one in row.contestants}
        ours = {PROCESS, f"{PROCESS}, unbatched", POWER, f"{POWER}, unbatched"}
        assert {RELAY, "python-socketio"} | ours <= names
        assert {goal.contestant for goal in row.goals} <= names
        assert {goal.against for goal in row.goals} <= names


@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_delivers_and_acknowledges_each_message(name: str) -> None:
    peer = PEERS[name]
    if missing := peer.missing():
        pytest.skip(missing)
    pairs = 1 if peer.program else 2
    with (
        peer.start("asyncio") as server,
        Clients(peer.module, "asyncio", Setup(server.url, pairs, 3), server.pid) as clients,
    ):
        for messages in (1, 50):
            found = clients.load(None, messages).found
            assert (found.messages, found.strays) == (messages, 0)
            assert set(found.ack) == set(found.delivery) == {"p50", "p90", "p99", "max"}
