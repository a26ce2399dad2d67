"""Each fault does what it says, finds something to hit, and is survived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.client import inputs as ci
from im_proto.config import ServerConfig
from im_proto.errors import IMErrorCode
from im_proto.server import inputs as si
from im_proto.server.actions import Answered, MessageStored, StoreCommit
from im_proto.server.hub import Hub
from im_proto.server.inputs import Committed
from im_proto.server.records import MailboxEntry
from im_proto.testing import FAULTS, Handles, SimulationFailure, SimWorld, simulate
from im_proto.testing.memory import MemoryStore
from im_proto.testing.sim import describe
from im_proto.testing.sim.chaos import Chaos
from im_proto.testing.sim.client import ClientNode
from im_proto.testing.sim.flood_faults import USER


def three(seed: int = 1) -> tuple[SimWorld, list[ClientNode], Chaos]:
    """Two devices of user 1 and one of user 2, logged in, and who can hit them."""
    lines: list[str] = []
    world = SimWorld(seed, trace=lines.append)
    clients = [
        world.client(1, device_id="a", fetches_token=True),
        world.client(1, device_id="b", fetches_token=True),
        world.client(2, device_id="c", fetches_token=True),
    ]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    return world, clients, Chaos(world, FAULTS, gap=1.0)


def told(clients: list[ClientNode], kind: type) -> list[ev.Event]:
    return [event for client in clients for event in client.events if isinstance(event, kind)]


def errors(clients: list[ClientNode]) -> list[str]:
    found = [
        e for c in clients for e in c.events if isinstance(e, ev.ErrorOccurred | ev.AuthFailed)
    ]
    return [str(e.error) for e in found]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_what_it_is_in_one_line(name: str) -> None:
    assert describe(name)
    assert "\n" not in describe(name)
    assert describe(name).endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_is_injected_and_survived(name: str) -> None:
    hits = 0
    for seed in (2, 3):  # without a site, and with one
        outcome = simulate(seed, minutes=1, faults=name)
        assert outcome.failure is None, outcome.failure
        hits += outcome.faults[name]
    assert hits


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("name", ["reset", "truncated"])
def test_a_link_that_breaks_is_replaced_soon(name: str) -> None:
    world, clients, chaos = three()
    assert FAULTS[name](chaos)
    assert world.run(2, lambda: any(c.status is not Status.AUTHENTICATED for c in clients))
    assert world.run(10, lambda: all(c.status is Status.AUTHENTICATED for c in clients))


@pytest.mark.parametrize("name", ["half_open", "one_way"])
def test_a_dead_link_is_found_by_heartbeats(name: str) -> None:
    for seed in range(4):
        world, clients, chaos = three(seed)
        streams = [client.stream for client in clients]
        assert FAULTS[name](chaos)
        world.run(200)
        assert all(client.status is Status.AUTHENTICATED for client in clients)
        assert [client.stream for client in clients] != streams


def test_a_partition_that_is_short_costs_no_link() -> None:
    world, clients, _ = three()
    streams = [client.stream for client in clients]
    world.server.machine.island = 1
    clients[0].send(2, "late")
    world.run(4)
    assert not clients[2].received
    world.server.machine.island = 0
    world.network.heal()
    world.run(2)
    assert [m.content for m in clients[2].received] == ["late"]
    assert [client.stream for client in clients] == streams


def test_a_partition_hits_some_machines_and_ends() -> None:
    world, _, chaos = three()
    while not FAULTS["partition"](chaos):
        pass
    assert any(machine.island for machine in world.machines)
    chaos.heal()
    assert not any(machine.island for machine in world.machines)


def test_slow_streams() -> None:
    world, _, chaos = three()
    assert FAULTS["lag"](chaos)
    assert world.network.latency > 0.1
    assert FAULTS["one_byte"](chaos)
    assert any(end.piece == 1 for end in world.network.ends)
    assert FAULTS["slow_reader"](chaos)
    assert any(end.trickle or end.other.trickle for end in world.network.ends)
    chaos.heal()
    assert world.network.latency < 0.1
    assert not any(end.piece == 1 or end.trickle or end.other.trickle for end in world.network.ends)


def test_garbage_ends_the_link_and_names_the_violation() -> None:
    hit = 0
    for seed in range(6):
        world, clients, chaos = three(seed)
        assert FAULTS["garbage"](chaos)
        world.run(40)
        hit += bool(told(clients, ev.ProtocolViolation)) or any(
            "closed" in text or "1002" in text for text in errors(clients)
        )
        world.settle()
    assert hit >= 4


@pytest.mark.parametrize("name", ["forged_to_server", "forged_to_client"])
def test_forged_frames_reach_an_engine_and_it_lives_on(name: str) -> None:
    world, _clients, chaos = three()
    hits = 0
    for _ in range(60):
        hits += FAULTS[name](chaos)
        world.run(3)
        chaos.help()
    assert hits > 10
    chaos.heal()
    world.settle()


# ---------------------------------------------------------------- processes


def test_a_killed_client_comes_back_with_its_device_and_no_memory() -> None:
    world, clients, chaos = three()
    lives = [client.lives for client in clients]
    assert FAULTS["client_killed"](chaos)
    (dead,) = [client for client in clients if not client.alive]
    assert dead.send(2, "nobody hears this") is None
    world.run(15)
    assert dead.alive
    assert dead.lives == lives[clients.index(dead)] + 1
    assert dead.status is Status.AUTHENTICATED


def test_a_power_cut_is_told_to_nobody() -> None:
    world, _clients, chaos = three()
    assert FAULTS["client_power_cut"](chaos)
    world.run(1)
    gateway = world.server.gateway
    assert gateway is not None
    assert len(gateway.engines) >= 3


@pytest.mark.parametrize("name", ["server_killed", "server_power_cut"])
def test_a_server_that_dies_keeps_what_was_accepted(name: str) -> None:
    world, clients, chaos = three()
    for n in range(30):
        clients[0].send(2, str(n))
    world.run(0.02)
    assert FAULTS[name](chaos)
    assert not FAULTS[name](chaos)
    assert world.server.gateway is None
    world.run(25)
    assert world.server.gateway is not None
    world.settle()
    assert [m.content for m in clients[2].received] == [str(n) for n in range(30)]


def test_what_was_being_committed_at_a_crash_is_in_or_not() -> None:
    kept = []
    for seed in range(12):
        world, clients, _ = three(seed)
        world.server.commit_time = 0.5
        clients[0].send(2, "on its way")
        world.run(0.2)
        world.server.kill()
        clients[0].crash()
        world.run(5)
        kept.append(len(world.server.store.messages))
    assert set(kept) == {0, 1}


def test_a_drain_says_1012_and_the_server_comes_back() -> None:
    world, clients, chaos = three()
    assert FAULTS["drain"](chaos)
    assert not FAULTS["drain"](chaos)
    assert world.run(20, lambda: world.server.lives == 2)
    lost = [e.error for e in told(clients, ev.Disconnected) if isinstance(e, ev.Disconnected)]
    assert {error.server_code for error in lost if error} == {1012}
    world.settle()


def test_a_drain_that_never_ends_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, chaos = three()
    monkeypatch.setattr(world.server, "_on_drained", lambda _: None)
    monkeypatch.setattr(type(world.server), "shut_down", lambda *_: None)
    assert FAULTS["drain"](chaos)
    with pytest.raises(AssertionError, match="did not drain"):
        world.run(120)


@pytest.mark.parametrize("stops", [True, False])
def test_a_sleeping_machine_hears_nothing_and_its_clocks_differ(stops: bool) -> None:
    world, clients, _ = three()
    client = clients[2]
    client.machine.stops = stops
    clock = client.now
    wall = client.machine.wall(world.now)
    steps = len(client.events)
    clients[0].send(2, "while asleep")
    world.sleep(client.machine, 100.0)
    world.run(99.0)
    assert len(client.events) == steps
    world.run(1.0)
    assert client.machine.wall(world.now) - wall == pytest.approx(100.0)
    assert client.now - clock == pytest.approx(0.0 if stops else 100.0, abs=0.01)
    world.settle()
    assert [m.content for m in client.received] == ["while asleep"]


def test_the_fault_sleep_finds_a_machine() -> None:
    world, _, chaos = three()
    assert FAULTS["sleep"](chaos)
    assert sum(machine.asleep is not None for machine in world.machines) == 1


def test_a_stalled_process_reads_later_what_came_meanwhile() -> None:
    world, clients, _ = three()
    world.stall(clients[2], 5.0)
    clients[0].send(2, "one")
    clients[0].send(2, "two")
    world.run(4.9)
    assert not clients[2].received
    world.run(0.2)
    assert [m.content for m in clients[2].received] == ["one", "two"]
    chaos = Chaos(world, FAULTS, gap=1.0)
    assert FAULTS["stall"](chaos)
    assert any(node.stalled for node in (world.server, *clients))


def test_a_wall_clock_that_is_set_and_a_timer_that_is_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, _clients, chaos = three()
    before = [machine.wall_offset for machine in world.machines]
    assert FAULTS["wall_clock"](chaos)
    assert [machine.wall_offset for machine in world.machines] != before
    steps = world.steps
    assert FAULTS["early_timer"](chaos)
    assert world.steps > steps


def test_the_server_is_told_of_its_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    world, clients, _ = three()
    world.server.machine.wall_offset += 3600.0
    clients[0].send(2, "an hour later")
    world.run(1)
    (message,) = clients[2].received
    assert message.timestamp is not None
    assert message.timestamp / 1000 == pytest.approx(world.server.machine.wall(world.now), abs=2)


# ---------------------------------------------------------------- the store


def test_a_store_that_fails_acknowledges_nothing() -> None:
    world, clients, chaos = three()
    world.server.failing = 1.0
    clients[0].send(2, "later")
    world.run(0.5)
    assert not clients[0].accepted
    assert clients[0].status is not Status.AUTHENTICATED
    assert FAULTS["store_fails"](chaos)
    chaos.heal()
    assert world.server.failing == 0.0
    world.settle()
    assert len(clients[2].received) == 1


def test_a_slow_store() -> None:
    world, clients, chaos = three()
    assert FAULTS["store_slow"](chaos)
    clients[0].send(2, "slowly")
    world.run(0.05)
    assert not clients[0].accepted
    chaos.heal()
    world.settle()


def test_retention_drops_the_oldest_and_who_missed_it_is_told() -> None:
    world, clients, _ = three()
    clients[2].disconnect()
    for n in range(10):
        clients[0].send(2, str(n))
    world.run(2)
    world.server.store.trim(2, 6)
    clients[2].connect()
    world.settle()
    assert [m.content for m in clients[2].received] == [str(n) for n in range(5, 10)]
    assert told([clients[2]], ev.MessagesMayBeMissing)


def test_retention_as_a_fault_needs_a_mailbox() -> None:
    world, clients, chaos = three()
    assert not FAULTS["retention"](chaos)
    for n in range(10):
        clients[0].send(2, f"a{n}")
        clients[2].send(1, f"b{n}")
    world.run(2)
    assert FAULTS["retention"](chaos)
    assert world.server.store.oldest(1) + world.server.store.oldest(2) > 2
    world.settle()


def test_a_new_epoch_is_a_reset_and_nothing_comes_twice() -> None:
    world, clients, chaos = three()
    for n in range(5):
        clients[0].send(2, f"a{n}")
        clients[2].send(1, f"b{n}")
    world.run(2)
    assert FAULTS["new_epoch"](chaos)
    world.run(20)
    world.settle()
    assert told(clients, ev.MessagesMayBeMissing)


def test_a_login_elsewhere_fences_this_one() -> None:
    world, clients, chaos = three()
    assert FAULTS["login_elsewhere"](chaos)
    for client in clients:
        client.send(2, f"from {client.name}")
    world.run(5)
    assert [c.status for c in clients].count(Status.DISCONNECTED) == 1
    assert any("4004" in text or "elsewhere" in text for text in errors(clients))


def acknowledged_elsewhere() -> tuple[SimWorld, list[ClientNode]]:
    """The third's device logs in at another gateway, and it acknowledges a message all the same."""
    world, clients, chaos = three()
    chaos._victim = clients[2]
    world.run(2)
    assert FAULTS["login_elsewhere"](chaos)
    clients[0].send(2, "acknowledged")
    world.run(5)
    return world, clients


def test_a_login_elsewhere_ends_who_only_acknowledges() -> None:
    world, clients = acknowledged_elsewhere()
    assert [m.content for m in clients[2].received] == ["acknowledged"]
    assert clients[2].status is Status.DISCONNECTED
    assert any("4004" in text for text in errors(clients[2:]))
    clients[2].connect()
    world.settle()


def test_who_is_fenced_and_stays_is_found_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "_on_fenced_cursor", lambda hub, move: None)
    world, _ = acknowledged_elsewhere()
    gateway = world.server.gateway
    assert gateway is not None
    with pytest.raises(SimulationFailure, match="2 has acknowledged 1 on device 'c', and the st"):
        world.invariants.at_rest(world.server, gateway)


# ---------------------------------------------------------------- tokens


def test_tokens_that_are_refused_expired_or_not_to_be_had() -> None:
    world, clients, _ = three()
    client = clients[2]
    world.tokens.refused[2] = 403
    client.disconnect()
    client.connect()
    world.run(2)
    assert client.status is Status.DISCONNECTED
    world.tokens.refused.clear()
    found: dict[str, list[str]] = {}
    for trouble in ("fails", "expired", "slow", "never"):
        client.disconnect()
        client.crash()
        client.start()
        client.events.clear()
        client.token_trouble = trouble
        client.connect()
        world.run(3)
        assert client.status is not Status.AUTHENTICATED
        found[trouble] = errors([client])
    assert "the token function failed" in found["fails"][0]
    assert "refused" in found["expired"][0]
    assert not found["slow"]
    world.run(60)
    assert "no answer within 30 s" in errors([client])[0]
    client.token_trouble = None
    assert world.run(60, lambda: client.status is Status.AUTHENTICATED)


def test_an_authenticator_that_never_answers_is_not_waited_for() -> None:
    world, clients, chaos = three()
    world.server.auth_time = None
    clients[0].disconnect()
    clients[0].connect()
    world.run(9)
    assert clients[0].status is Status.CONNECTED
    world.run(9)
    assert any("AUTH_TIMEOUT" in text or "log-in" in text for text in errors(clients[:1]))
    for name in ("token_refused", "token_trouble", "new_token", "slow_authenticator"):
        assert FAULTS[name](chaos)
    chaos.heal()
    world.settle()


# ---------------------------------------------------------------- applications


def test_what_applications_do() -> None:
    world, clients, chaos = three()
    assert FAULTS["disconnect"](chaos)
    world.run(0.2)
    assert told(clients, ev.Disconnected)
    world.run(10)
    beats = len(told(clients, ev.HeartbeatSent))
    assert FAULTS["network_changed"](chaos)
    assert len(told(clients, ev.HeartbeatSent)) == beats + 1
    assert FAULTS["app_stops"](chaos)
    assert [c.app.handles for c in clients].count(Handles.NEVER) == 1
    assert FAULTS["same_moment"](chaos) or FAULTS["same_moment"](chaos)
    chaos.heal()
    world.settle()


def test_a_message_is_cancelled_in_time_or_not_at_all() -> None:
    world, clients, chaos = three()
    assert not FAULTS["cancel"](chaos)
    clients[0].disconnect()
    for n in range(3):
        clients[0].send(2, str(n))
    for _ in range(50):
        FAULTS["cancel"](chaos)
    codes = [event.error.code for event in clients[0].failed]
    assert codes == [IMErrorCode.MESSAGE_CANCELLED] * 3
    clients[0].connect()
    world.settle()
    assert not clients[2].received


def test_the_same_device_twice_puts_one_out() -> None:
    world, clients, chaos = three()
    assert FAULTS["same_device"](chaos)
    world.run(1)
    assert [c.status for c in clients].count(Status.DISCONNECTED) == 1
    assert len(world.clients) == 4
    world.run(40)
    assert len(world.clients) == 3
    chaos.heal()
    world.settle()


def test_inputs_of_a_node_that_is_gone_change_nothing() -> None:
    world, clients, _ = three()
    clients[0].crash()
    clients[0].crash()
    clients[0].feed(ci.Connect())
    world.server.kill()
    world.server.kill()
    world.server.feed(si.TimePassed())
    world.run(5)
    assert clients[0].status is Status.DISCONNECTED


# ---------------------------------------------------------------- sleep and stalls


@pytest.mark.parametrize("stops", [True, False])
def test_a_link_that_died_in_its_sleep_is_found_within_two_seconds(stops: bool) -> None:
    for seed in range(4):
        world, clients, _ = three(seed)
        client = clients[2]
        client.machine.stops = stops
        world.run(world.rng.uniform(1.0, 40.0))
        stream = client.stream
        assert stream is not None
        world.sleep(client.machine, world.rng.choice((20.0, 60.0, 600.0)))
        world.network.cut(stream, tell=False)
        assert world.run(601, lambda client=client: client.machine.asleep is None)
        assert world.run(2.0, lambda client=client: client.status is not Status.AUTHENTICATED)


@pytest.mark.parametrize("stops", [True, False])
def test_a_link_that_is_well_survives_sleep_and_stall(stops: bool) -> None:
    for seed in range(4):
        world, clients, _ = three(seed)
        client = clients[2]
        client.machine.stops = stops
        stream = client.stream
        world.run(world.rng.uniform(1.0, 40.0))
        world.stall(client, world.rng.choice((1.5, 8.0, 30.0)))
        world.run(40.0)
        world.sleep(client.machine, world.rng.choice((3.0, 20.0, 60.0)))
        world.run(120.0)
        assert client.stream is stream
        assert client.status is Status.AUTHENTICATED


# ---------------------------------------------------------------- strangers, the unstorable


def test_strangers_are_thrown_out_or_leave() -> None:
    world, clients, chaos = three()
    met = 0
    for _ in range(80):
        met += FAULTS["stranger"](chaos)
        world.run(2.0)
    assert met > 70
    chaos.heal()
    world.settle()
    world.run(200)
    gateway = world.server.gateway
    assert gateway is not None
    assert len(gateway.engines) == len(clients)


def test_a_flood_is_held_up_and_costs_the_others_nothing() -> None:
    world, clients, chaos = three()
    small = {"envelopes_per_second": 5.0, "envelope_burst": 20, "admissions": 50}
    world.server.reconfigure(world.server.config.model_copy(update=small))
    for _ in range(20):
        assert FAULTS["flood"](chaos)
        world.say_something(world.rng.choice(clients))
        world.run(3.0)
    chaos.heal()
    world.settle()
    stored = [message for message in world.server.store.messages if message.sender == USER]
    written = [sent for sent in world.ledger._messages.values() if sent.client is None]
    assert 20 < len(stored) < len(written) / 2
    told = {m.content for client in clients for m in client.received if m.from_user == USER}
    assert told == {message.content for message in stored if message.to_user != USER} != set()
    gateway = world.server.gateway
    assert gateway is not None and gateway.online() == {1: 2, 2: 1}


def test_what_a_stranger_writes_is_stored_in_order_too(monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryStore.commit

    def commit(self: MemoryStore, action: StoreCommit) -> Committed:
        done = original(self, replace(action, submissions=action.submissions[::-1]))
        return replace(done, results=done.results[::-1])

    monkeypatch.setattr(MemoryStore, "commit", commit)
    world, _, chaos = three()
    FAULTS["flood"](chaos)
    with pytest.raises(SimulationFailure, match=r"'stranger#.*' was overtaken on its way"):
        world.run(10.0)


def test_a_message_that_can_not_be_stored_fails_alone() -> None:
    world, clients, chaos = three()
    assert FAULTS["unstorable"](chaos)
    for n in range(3):
        clients[0].send(2, str(n))
    world.settle()
    assert [event.error.server_code for event in clients[0].failed] == [400]
    assert len(clients[2].received) == 2


def test_a_slow_reader_blocks_the_writer() -> None:
    world, clients, _ = three()
    end = clients[2].end
    assert end is not None
    end.trickle = (10, 1.0)
    end.other.window, end.other.high = 64, 100
    for n in range(50):
        clients[0].send(2, str(n))
    world.run(5)
    gateway = world.server.gateway
    assert gateway is not None
    (session,) = gateway.hub._roster.of_user(2)
    assert session.blocked
    end.trickle = None
    world.network.read(end)
    world.settle()
    assert len(clients[2].received) == 50


# ---------------------------------------------------------------- what nobody would do


def test_an_imposter_is_left_for_the_server_whatever_it_is() -> None:
    kinds: set[str] = set()
    reasons: set[str] = set()
    for seed in range(100):
        world, clients, chaos = three(seed)
        assert FAULTS["imposter"](chaos)
        assert world.server.imposter is not None
        assert not FAULTS["imposter"](chaos)  # one at a time
        kinds.add(world.server.imposter._kind)
        for client in clients:
            client.disconnect()
            client.connect()
            client.send(2, f"{client.name} in vain")
        world.run(20)
        chaos.heal()
        world.settle()
        assert world.server.imposter is None
        reasons.update(errors(clients))
        assert {m.content for m in clients[2].received} <= {f"c{n} in vain" for n in (1, 2, 3)}
    assert kinds == {
        *("silent", "hangs up", "no WebSocket", "refuses", "closes", "mute"),
        *("refuses logins", "plain"),
    }
    assert any("HTTP 4" in reason for reason in reasons)
    assert any("the WebSocket upgrade failed" in reason for reason in reasons)
    assert any("no answer to the log-in" in reason for reason in reasons)


def test_late_bytes_come_when_their_client_is_back() -> None:
    late = 0
    for seed in range(6):
        world, clients, chaos = three(seed)
        streams = [client.stream for client in clients]
        assert FAULTS["late_bytes"](chaos)
        assert world.run(8, lambda: any(c.stream not in streams for c in clients))  # noqa: B023
        (old,) = [end for end in streams if end not in [c.stream for c in clients]]
        assert old is not None
        assert not old.open
        late += old.last_at > world.now
        chaos.heal()
        world.settle()
    assert late >= 3


def test_a_mailbox_is_emptied_while_it_is_read() -> None:
    emptied = 0
    for seed in range(6):
        world, _clients, chaos = three(seed)
        assert FAULTS["retention_race"](chaos)
        world.run(4)
        emptied += any(world.server.store.oldest(user) > 1 for user in (1, 2))
        chaos.heal()
        world.settle()
    assert emptied


def test_misuse_is_refused_or_changes_nothing() -> None:
    for seed in range(4):
        world, clients, chaos = three(seed)
        for _ in range(20):
            assert FAULTS["misuse"](chaos)
            clients[1].send(2, f"{world.now}")
            world.run(0.01)
        assert all(client.status is Status.AUTHENTICATED for client in clients)
        chaos.heal()
        world.settle()


def test_misuse_that_is_taken_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from im_proto.client import lifecycle

    _world, clients, chaos = three()
    for client in clients:
        client.disconnect()
    monkeypatch.setattr(lifecycle, "is_token", lambda token: True)
    with pytest.raises(SimulationFailure, match=r"UpdateToken.* was not refused"):
        FAULTS["misuse"](chaos)


def test_a_device_that_was_never_here_begins_at_the_end_if_so_configured() -> None:
    world = SimWorld(1, ServerConfig(first_login="latest"))
    writer = world.client(1, device_id="a")
    writer.connect()
    assert world.run(5, lambda: writer.status is Status.AUTHENTICATED)
    writer.send(2, "before")
    world.run(2)
    reader = world.client(2, device_id="b")
    reader.connect()
    assert world.run(5, lambda: reader.status is Status.AUTHENTICATED)
    writer.send(2, "after")
    world.settle()
    assert [message.content for message in reader.received] == ["after"]


def test_engines_must_count_what_happens() -> None:
    world, clients, _chaos = three()
    clients[0].send(2, "counted")
    world.settle()
    engine = clients[0].engine
    assert engine is not None
    engine.counters.accepted += 1
    with pytest.raises(SimulationFailure, match=r"c1 has counted \(1, 2\), not 1"):
        world.settle()


def test_what_a_plain_client_has_given_up_may_come_late() -> None:
    world = SimWorld(1)
    plain = world.client(1, extensions=False, resend_when_unsure=False)
    for n in (0, 1):
        world.ledger.submitted(plain, n, 2, f"m{n}")
    ledger = world.ledger
    first, second = ledger._messages[1, 2, "m0"], ledger._messages[1, 2, "m1"]
    assert not first.may_be_late
    first.end = IMErrorCode.IN_DOUBT
    assert first.may_be_late
    assert not second.may_be_late
    second.end = "accepted"
    assert not second.may_be_late


# ---------------------------------------------------------------- the site


def with_a_site() -> tuple[SimWorld, list[ClientNode], Chaos]:
    world, clients, chaos = three()
    world.server.reconfigure(world.server.config, has_site=True)
    world.settle()
    return world, clients, chaos


def test_a_site_forbids_and_its_word_is_kept() -> None:
    world, (one, _, other), chaos = with_a_site()
    world.server.site.forbidden[1, 2] = None
    ref = one.send(2, "not allowed")
    world.run(2)
    (failed,) = [event for event in one.failed if event.ref == ref]
    assert failed.error.server_code == 403
    assert "not allowed" not in [message.content for message in other.received]
    world.server.site.forbidden.clear()
    assert FAULTS["site_forbids"](chaos)
    assert len(world.server.site.forbidden) == 1
    chaos.heal()
    assert not world.server.site.forbidden
    world.settle()


def test_a_site_that_can_not_say_holds_messages_up_and_loses_none() -> None:
    world, (one, _, other), chaos = with_a_site()
    assert FAULTS["site_is_down"](chaos)
    world.server.site.silent = 1.0
    one.send(2, "later")
    world.run(1)
    assert "later" not in [message.content for message in other.received]
    chaos.heal()
    assert world.server.site.silent == 0.0
    world.settle()
    assert "later" in [message.content for message in other.received]


def test_a_site_writes_and_is_told_of_every_message_once() -> None:
    world, (one, _, other), _chaos = with_a_site()
    world.site_says_something(1, 2)
    one.send(2, "hello")
    world.settle()
    assert {message.content for message in other.received} == {"site#1", "hello"}
    assert len(world.server.site._told) == 2
    assert not world.server.site.asked
    with pytest.raises(SimulationFailure, match="the site was answered twice"):
        world.server.site.answered(Answered(request=1, code=0, data=None, text=""))
    (first, *_) = world.server.store.entries(2)
    assert isinstance(first, MailboxEntry)
    with pytest.raises(SimulationFailure, match="the site was told twice of"):
        world.server.site.stored(MessageStored(entry=first, offline=False))


def test_faults_of_a_site_need_one() -> None:
    world, _, chaos = three()
    for name in ("site_forbids", "site_is_down", "site_writes"):
        assert not FAULTS[name](chaos)
    world, _, chaos = with_a_site()
    assert FAULTS["site_writes"](chaos)
    world.settle()
    assert not world.server.site.asked


def test_who_is_kicked_comes_back_or_stays_away() -> None:
    stayed = set()
    for seed in range(12):
        world, clients, chaos = three(seed)
        assert FAULTS["kicked"](chaos)
        world.run(30)
        stayed.add(any(client.status is Status.DISCONNECTED for client in clients))
        assert told(clients, ev.Disconnected)
        chaos.heal()
        world.settle()
    assert stayed == {True, False}
