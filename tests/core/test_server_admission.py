"""How many log in at once, when the others come back, and how many connections a user has."""

from __future__ import annotations

import heapq
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_kit import Driver
from core.server_kit import DETERMINISTIC, Kit, Peer
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.config import ServerConfig
from im_proto.server import actions as act
from im_proto.server.admission import LONGEST, PROMISED, Admission
from im_proto.server.inputs import KickAsked, Shutdown, StoreFailed
from im_proto.testing import SimWorld
from im_proto.testing.sim import server as sim_server

STEPS = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.0333, 0.05, 0.099999, 0.1, 0.2, 5.0, -0.05, -3.0])

# ---------------------------------------------------------------- the promise


@DETERMINISTIC
@given(
    st.lists(STEPS | st.floats(0, 0.3), max_size=60),
    st.integers(1, 5),
    st.sampled_from([0.1, 1 / 3, 2.0]),
    st.sampled_from([0.0, 1e9]),
)
def test_in_no_window_more_are_admitted_and_nobody_is_sent_away_while_there_is_room(
    steps: list[float], most: int, window: float, start: float
) -> None:
    admission, now, latest = Admission(most, window), start, start
    admitted: list[float] = []
    for step in steps:
        now += step
        latest = max(latest, now)
        before = [at for at in admitted if latest - at < window]
        if admission.admit(now):
            admitted.append(latest)
            assert len(before) < most, "too many in one window"
        else:
            assert len(before) == most, "sent away while there was room"


def test_all_who_come_at_one_instant_share_one_window() -> None:
    admission = Admission(50, 0.1)
    assert sum(admission.admit(7.0) for _ in range(1000)) == 50
    assert not admission.admit(7.05) and not admission.admit(6.0)
    assert sum(admission.admit(7.2) for _ in range(1000)) == 50


@DETERMINISTIC
@given(
    st.lists(STEPS | st.floats(0, 0.3), min_size=1, max_size=60),
    st.integers(1, 50),
    st.sampled_from([0.1, 2.0]),
    st.sampled_from([0.0, 1.0, 5.0]),
)
def test_each_slot_is_another_none_too_early_and_no_window_has_more_than_is_promised(
    steps: list[float], most: int, window: float, after: float
) -> None:
    admission, now, latest = Admission(most, window), 0.0, float("-inf")
    slots: list[float] = []
    for step in steps:
        now += step
        latest = max(latest, now)
        wait = admission.slot(now, after)
        assert wait >= max(after, window) - 1e-9
        slots.append(latest + wait)
    apart = window / (most * PROMISED)
    assert slots == sorted(slots)
    assert all(b - a >= apart - 1e-9 for a, b in itertools.pairwise(slots))


def test_a_hundred_thousand_who_wait_have_each_its_own_slot() -> None:
    admission = Admission(50, 0.1)
    latest = 0.0
    for _ in range(100_000):
        slot = admission.slot(0.0)
        assert slot > latest
        latest = slot
    assert latest == pytest.approx(100_000 / (500 * PROMISED), rel=0.001) and latest < LONGEST


def test_of_more_than_there_are_times_for_several_have_the_same_and_none_waits_longer() -> None:
    admission = Admission(5, 1.0)
    slots = [admission.slot(0.0) for _ in range(4_000)]
    assert max(slots) <= LONGEST
    turns = 4_000 // (LONGEST * 5 * PROMISED) + 1
    for begin in range(0, int(LONGEST), 10):  # none of them draws a crowd
        assert sum(begin <= slot < begin + 10 for slot in slots) <= 50 * turns


def test_it_is_like_new_when_nobody_came_of_late_or_is_still_to_come() -> None:
    admission = Admission(2, 1.0)
    assert admission.unused(0.0)
    admission.admit(0.0)
    assert not admission.unused(0.9) and admission.unused(1.0)
    back = 1.0 + admission.slot(1.0)
    assert not admission.unused(back) and admission.unused(back + 1.0)


# ---------------------------------------------------------------- storms


@pytest.mark.parametrize("spread", [0.0, 1.0, 10.0])
def test_ten_thousand_who_obey_are_all_in_after_little_more_than_the_time_it_takes(
    spread: float,
) -> None:
    """They come at once, or within a second, or ten; and each is late by another latency."""
    rng = random.Random(1)
    admission = Admission(50, 0.1)
    heap = [(rng.uniform(0.0, spread), n, 1) for n in range(10_000)]
    heapq.heapify(heap)
    done: list[float] = []
    most_tries = 0
    while heap:
        now, n, tries = heapq.heappop(heap)
        if admission.admit(now):
            done.append(now)
            most_tries = max(most_tries, tries)
        else:
            late = rng.uniform(0.01, 0.3)
            heapq.heappush(heap, (now + admission.slot(now) + late, n, tries + 1))
    assert len(done) == 10_000
    assert done[-1] <= 10_000 / 500 * 1.3
    assert most_tries <= 10
    assert all(b - a >= 0.1 for a, b in zip(done, done[50:], strict=False))


class Storm:
    """A world of so many clients; when the server begins to look at a token is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clients: int, **config: float) -> None:
        self.world = SimWorld(1, ServerConfig.model_validate(config))
        self.world.network.cutting = 0.0
        self.world.server.commit_time = 0.001
        self.clients = [self.world.client(n, extensions=n % 5 > 0) for n in range(1, clients + 1)]
        self.admitted: list[float] = []
        authenticate = sim_server.ServerNode._authenticate

        def note(node: sim_server.ServerNode, action: act.Authenticate) -> None:
            self.admitted.append(node.now)
            authenticate(node, action)

        monkeypatch.setitem(sim_server._CARRY_OUT, act.Authenticate, note)

    def all_in(self) -> bool:
        return all(client.status is Status.AUTHENTICATED for client in self.clients)

    def wait(self, seconds: float) -> None:
        """All who are told when are in within that time; plain ones draw their own delays."""
        told = [client for client in self.clients if client.config.extensions]
        begun = self.world.now
        done = self.world.run(
            60, lambda: all(client.status is Status.AUTHENTICATED for client in told)
        )
        assert done and self.world.now - begun <= seconds
        assert self.world.run(60, self.all_in), "somebody is starved"
        self.check()

    def check(self) -> None:
        """Never more than the number, in any window."""
        config = self.world.server.config
        most, window = config.admissions, config.admission_window
        assert all(
            b - a >= window for a, b in zip(self.admitted, self.admitted[most:], strict=False)
        )


def test_real_clients_that_come_at_once_all_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = Storm(monkeypatch, 200)
    for client in storm.clients:
        client.connect()
    storm.wait(0.2 + 200 / 500 * 1.3)
    for client in storm.clients:  # being sent away is no failed attempt
        assert client.engine is not None and client.engine.state().attempts == 0
    assert len(storm.admitted) == 200


@pytest.mark.parametrize("clients", [150, pytest.param(500, marks=pytest.mark.slow)])
def test_after_a_shutdown_each_comes_back_at_the_time_it_was_given(
    monkeypatch: pytest.MonkeyPatch, clients: int
) -> None:
    storm = Storm(monkeypatch, clients)
    world = storm.world
    for client in storm.clients:
        client.connect()
    assert world.run(60, storm.all_in)
    world.run(30)
    storm.admitted.clear()
    for client in storm.clients:
        client.events.clear()
    world.server.shut_down()
    assert world.run(0.5, lambda: world.server.drained)
    world.server.kill()
    world.server.start()
    storm.wait(1.1 + clients / 500 * 1.5)
    told = [client for client in storm.clients if client.config.extensions]
    attempts = [
        [event.delay for event in client.events if isinstance(event, ev.Reconnecting)]
        for client in told
    ]
    delays = sorted(one[0] for one in attempts)
    assert delays[0] == pytest.approx(1.0, abs=0.02)
    apart = 0.1 / (50 * PROMISED)
    assert all(b - a >= apart * 0.999 for a, b in itertools.pairwise(delays))
    assert sum(len(one) > 1 for one in attempts) <= 20, "most had to come back once only"


def test_after_a_crash_they_are_sent_away_each_to_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storm = Storm(monkeypatch, 150)
    world = storm.world
    for client in storm.clients:
        client.connect()
    assert world.run(60, storm.all_in)
    world.run(30)  # a good link: their own delays begin afresh
    storm.admitted.clear()
    world.server.kill()
    world.server.start()
    world.run(0.03)
    assert not any(client.status is Status.AUTHENTICATED for client in storm.clients)
    storm.wait(1.0 + 150 / 500 * 1.3)
    assert len(storm.admitted) == 150


# ---------------------------------------------------------------- how it is said


def test_a_log_in_too_many_is_told_when_to_come_back_before_its_token_is_looked_at() -> None:
    kit = Kit(admissions=1, admission_window=0.1)
    one, two, three, tab = kit.user(1), kit.user(2), kit.user(3), kit.plain(4)
    assert one.of("AUTH_RESPONSE")[0]["code"] == 0
    for peer, wait in ((two, 0.1), (three, 0.1 + 0.1 / PROMISED)):
        (kick,) = peer.of("KICK")
        assert kick["retryAfter"] == pytest.approx(wait) and kick["reconnect"]
        assert peer.code == 1013 and peer.kinds == ["KICK"]
    assert tab.code == 1013 and tab.messages == []  # section 2 is not for plain ones
    assert sum(isinstance(action, act.Authenticate) for action in kit.said) == 1
    kit.wait(0.1)
    assert kit.user(2).of("AUTH_RESPONSE")[0]["code"] == 0


def test_a_next_token_on_a_live_connection_needs_no_admission() -> None:
    kit = Kit(admissions=1, admission_window=1000.0)
    one = kit.user(1, capabilities=["seq", "refresh"])
    one.send("AUTH_REQUEST", accessToken="1")
    assert [answer["code"] for answer in one.of("AUTH_RESPONSE")] == [0, 0]


def test_who_is_ended_while_it_logs_in_is_told_so_if_it_asked_for_anything() -> None:
    kit = Kit()
    kit.verifying = False
    ours, tab = kit.user(1), kit.plain(1)
    kit.do(Shutdown(retry_after=3.0))
    assert ours.of("KICK")[0]["retryAfter"] == 3.0
    assert ours.code == tab.code == 1012 and tab.messages == []


def test_a_kick_before_the_answer_to_its_log_in_is_obeyed_by_our_client() -> None:
    driver = Driver(reconnect={"max_retries": 1})
    driver.link().frame("KICK", reason="busy", reconnect=True, retryAfter=7.25).close(1013)
    (told,) = driver.of(ev.Reconnecting)
    assert told.delay == 7.25
    assert driver.core.state().attempts == 0


def test_kicks_before_the_answer_are_no_sign_of_a_strict_server() -> None:
    driver = Driver()
    for _ in range(2):
        driver.link().frame("KICK", reason="later", reconnect=True, retryAfter=1).close(1001)
        driver.pass_time(1)
    assert not driver.core.login.plain and not driver.core.login._trying_plain


def test_all_who_a_failing_store_ends_come_back_each_at_another_time() -> None:
    kit = Kit()
    peers = [kit.user(n) for n in range(1, 6)]
    kit.holding = True
    for n, peer in enumerate(peers):
        peer.chat(n + 1, 9, "m")
    while kit.held:
        kit.do(StoreFailed(request=kit.held.popleft().request, reason="the disk is full"))
    waits = [peer.of("KICK")[0]["retryAfter"] for peer in peers]
    assert [peer.code for peer in peers] == [1013] * 5
    assert len(set(waits)) == 5 and min(waits) == pytest.approx(1.0) and max(waits) < 1.1


# ---------------------------------------------------------------- connections of one user


def codes(peers: list[Peer]) -> list[int | None]:
    return [peer.code for peer in peers]


def test_a_user_has_so_many_connections_and_the_next_is_sent_away() -> None:
    kit = Kit(connections_per_user=2)
    phone, tab = kit.user(1), kit.plain(1)
    third, other = kit.user(1, "web"), kit.user(2)
    assert codes([phone, tab, third, other]) == [None, None, 4009, None]
    assert third.of("KICK")[0]["retryAfter"] == 30
    assert kit.plain(1).code == 4009  # tabs are not told apart: each counts
    tab.lose()
    assert kit.user(1, "web").code is None


def test_the_same_device_is_replaced_and_not_counted() -> None:
    kit = Kit(connections_per_user=2)
    phone, tab = kit.user(1), kit.plain(1)
    again = kit.user(1)
    assert codes([phone, tab, again]) == [4004, None, None]


def test_log_ins_that_are_under_way_count_too() -> None:
    kit = Kit(connections_per_user=2)
    kit.holding = True
    peers = [kit.plain(1) for _ in range(3)]
    assert codes(peers) == [None, None, 4009]
    kit.do(KickAsked(user=1))
    assert kit.plain(1).code is None  # nobody waits any more for those that were ended
    kit.release()
    assert kit.gateway.online() == {1: 1}
