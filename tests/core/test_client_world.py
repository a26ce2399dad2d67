"""Clients and a server of ours in one virtual world: what is accepted arrives, once, in order."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache

import pytest

from core.client_kit import states
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.machines.product import illegal
from im_proto.testing.world import Client, World

QUICK = {
    "heartbeat": {"interval": 3, "timeout": 1},
    "timeouts": {"connect": 3, "auth": 3, "ack": 3},
    "reconnect": {"initial_delay": 0.2, "max_delay": 2},
}


broken_rule = cache(illegal)


def legal(world: World) -> None:
    for client in world.clients:
        assert broken_rule(*states(client.engine.core)) is None


def make(seed: int) -> tuple[World, list[Client]]:
    world = World(seed)
    world.check = legal
    clients = [world.client(user, auto=user != 2, **QUICK) for user in (1, 2, "bravo")]
    for client in clients:
        client.do(inp.Connect())
    # a first log-in in peace: two in vain would make the server look strict, and the client plain
    world.run(5, lambda: all(client.status == Status.AUTHENTICATED for client in clients))
    return world, clients


class Chaos:
    """Sends, and breaks what it can, at random moments."""

    def __init__(self, world: World, clients: list[Client], seed: int) -> None:
        self.world = world
        self.clients = clients
        self.rng = random.Random(f"chaos {seed}")
        #: by (sender, recipient): what was sent, in order
        self.sent: dict[tuple[object, object], list[str]] = defaultdict(list)
        self.broken = 0
        self.handled = 0

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self._send()
            self._handle()
            self._break()
            self.world.run(self.rng.choice((0.001, 0.02, 0.1, 0.5, 2.0)))

    def _send(self) -> None:
        for client in self.clients:
            for _ in range(self.rng.randrange(4)):
                to = self.rng.choice(self.clients).config.user_id
                pair = (client.config.user_id, to)
                content = f"{pair[0]} to {to}, {len(self.sent[pair])}"
                client.send(to, content)
                self.sent[pair].append(content)

    def _handle(self) -> None:
        """One application is slow: it handles some of what it has, now and then."""
        slow = self.clients[1]
        for _ in range(self.rng.randrange(8)):
            if self.handled < len(slow.received):
                slow.handle(slow.received[self.handled])
                self.handled += 1

    def _break(self) -> None:
        world, rng = self.world, self.rng
        links = list(world.links.values())
        what = rng.randrange(12)
        self.broken += what < 8
        if what == 0 and world.gateway is not None:
            world.kill_server()
        elif what in (1, 2) and links:
            world.cut(rng.choice(links), tell_client=rng.random() < 0.8)
        elif what == 3 and links:
            rng.choice(links).mute = True
        elif what == 4:
            world.store_fails = True
        elif what == 5:
            world.commit_time = rng.choice((0.0, 0.005, 0.5, 4.0))
        elif what == 6:
            client = rng.choice(self.clients)
            client.do(inp.Disconnect())
            world.later(lambda: client.do(inp.Connect()), delay=rng.uniform(0, 3))
        elif what == 7:
            rng.choice(self.clients).do(inp.NetworkChanged())
        else:
            world.store_fails = False
            if world.gateway is None:
                world.start_server()

    def heal(self) -> None:
        world = self.world
        world.store_fails = False
        world.commit_time = 0.005
        if world.gateway is None:
            world.start_server()
        for client in self.clients:
            client.do(inp.Connect())

    def settled(self) -> bool:
        return (
            all(c.status == Status.AUTHENTICATED for c in self.clients)
            and sum(len(c.accepted) for c in self.clients) == self.total
            and sum(len(c.received) for c in self.clients) >= self.total
        )

    @property
    def total(self) -> int:
        return sum(map(len, self.sent.values()))

    def arrived(self) -> dict[tuple[object, object], list[str]]:
        got: dict[tuple[object, object], list[str]] = defaultdict(list)
        for client in self.clients:
            for message in client.received:
                got[(message.from_user, client.config.user_id)].append(message.content)
        return got

    def history(self) -> str:
        return repr([client.events for client in self.clients])


def live(seed: int, rounds: int = 40) -> Chaos:
    world, clients = make(seed)
    chaos = Chaos(world, clients, seed)
    chaos.run(rounds)
    chaos.heal()
    world.run(120, chaos.settled)
    return chaos


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_repeated_or_out_of_order_whatever_breaks(seed: int) -> None:
    chaos = live(seed)
    accepted = {
        (client.config.user_id, event.to_user, event.content)
        for client in chaos.clients
        for event in client.accepted
    }
    assert chaos.broken > 10
    assert not [client.failed for client in chaos.clients if client.failed]
    assert len(accepted) == chaos.total == sum(len(client.accepted) for client in chaos.clients)
    chaos.world.run(5)
    assert dict(chaos.arrived()) == {pair: sent for pair, sent in chaos.sent.items() if sent}
    assert len(chaos.world.store.messages) == chaos.total
    for client in chaos.clients:
        assert client.engine.guarantee == "exactly-once"
        assert not [e for e in client.events if isinstance(e, ev.MessagesMayBeMissing)]
        assert not [e for e in client.events if isinstance(e, ev.ProtocolViolation)]


def test_the_chaos_is_chaotic_enough() -> None:
    """Guards the test above: without retransmissions and repeats it would prove nothing."""
    reconnects = resumed = retransmitted = suppressed = 0
    for seed in range(5):
        for client in live(seed).clients:
            counters = client.engine.counters
            reconnects += counters.reconnects
            resumed += counters.resumed
            retransmitted += counters.retransmitted
            suppressed += counters.duplicates_suppressed
    assert min(reconnects, resumed, retransmitted) > 30
    assert suppressed > 10


def test_the_same_seed_gives_the_same_history() -> None:
    assert live(3, 15).history() == live(3, 15).history()
    assert live(3, 15).history() != live(4, 15).history()


def test_an_application_that_is_slow_gets_everything_once() -> None:
    world, (one, two, _) = make(1)
    world.run(2)
    contents = [str(n) for n in range(100)]
    for content in contents:
        one.send(2, content)
    for n in range(60):
        world.run(0.3)
        for message in two.received[3 * n : 3 * n + 3]:
            two.handle(message)
        if n % 7 == 3 and two.link is not None:
            world.cut(two.link)
    world.run(10)
    assert [message.content for message in two.received] == contents


def test_an_hour_of_silence_costs_heartbeats_and_no_link() -> None:
    world = World()
    client = world.client(1)
    client.do(inp.Connect())
    world.run(3600)
    assert client.status == Status.AUTHENTICATED
    sent = [e for e in client.events if isinstance(e, ev.HeartbeatSent)]
    assert 119 <= len(sent) <= 120
    assert len([e for e in client.events if isinstance(e, ev.HeartbeatReceived)]) == len(sent)
    assert client.engine.counters.reconnects == 0


def test_a_mute_link_is_found_and_replaced() -> None:
    world, (one, _, _) = make(2)
    world.run(2)
    assert one.link is not None
    one.link.mute = True
    began = world.now
    world.run(60, lambda: one.status == Status.RECONNECTING)
    assert world.now - began <= 3 + 3 * 1 + 0.1
    world.run(10, lambda: one.status == Status.AUTHENTICATED)
    assert one.status == Status.AUTHENTICATED


def test_two_clients_of_one_user_get_the_same_messages() -> None:
    world = World(4)
    writer = world.client(1, **QUICK)
    readers = [world.client(2, **QUICK) for _ in range(2)]
    for client in (writer, *readers):
        client.do(inp.Connect())
    world.run(2)
    for n in range(20):
        writer.send(2, str(n))
        if n % 5 == 0:
            link = readers[n % 2].link
            assert link is not None
            world.cut(link)
        world.run(0.5)
    world.run(10)
    for reader in readers:
        assert [message.content for message in reader.received] == [str(n) for n in range(20)]
