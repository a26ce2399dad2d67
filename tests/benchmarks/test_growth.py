"""What inputs cost is measured while there is as much as is said."""

from __future__ import annotations

from benchmarks.growth import Town, _client, _hub
from benchmarks.harness import flat
from benchmarks.rig import BOB


def test_a_client_with_messages_that_wait() -> None:
    costs = _client(70, [BOB])
    assert list(costs) == ["Send and its answer", "push", "handled", "next_deadline"]
    assert min(costs.values()) > 0


def test_a_client_with_many_conversations() -> None:
    assert min(_client(20, range(1_000, 1_020)).values()) > 0


def test_a_town_has_so_many_users() -> None:
    town = Town(30)
    assert sum(town.gateway.online().values()) == 30
    assert set(town.gateway.online()) == {1, 2, *town.others}


def test_a_server_with_many_users() -> None:
    costs = _hub(20)
    assert list(costs) == ["send", "committed", "ack", "next_deadline"]
    assert min(costs.values()) > 0


def test_flat_is_what_does_not_grow_much() -> None:
    assert flat({"one": [(10, 1.0), (100, 1.4)], "other": [(10, 9.0), (100, 8.0)]}, 1.5)
    assert not flat({"one": [(10, 1.0), (100, 1.1)], "other": [(10, 1.0), (100, 1.6)]}, 1.5)
