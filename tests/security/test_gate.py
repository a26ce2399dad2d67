"""How many may hold a WebSocket at a time, and that each of them gives its place back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import DETERMINISTIC, FULL, Kit, Peer
from im_proto.config import ServerConfig
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server import talk
from im_proto.server.doors import Arrivals, BadTokens, Doors
from security.gate_kit import Gate, retry_after, status

# ------------------------------------------------------------ how many


def test_a_full_server_says_when_to_come_back_and_to_each_another_time() -> None:
    kit = Gate(connections=2, admissions=1, admission_window=1.0)
    for user in (1, 2):
        kit.user(user)
        kit.wait(1)
    late = [kit.come("192.0.2.1") for _ in range(20)]
    assert {status(peer) for peer in late} == {503}
    assert {peer.ended for peer in late} == {"closed"}
    times = [retry_after(peer) for peer in late]
    assert None not in times
    assert min(filter(None, times)) >= 5 and len(set(times)) > 15
    assert kit.inside == 2 and kit.gateway.online() == {1: 1, 2: 1}
    kit.peers[1].lose()
    assert status(kit.come("192.0.2.1")) == 101


def test_one_address_cannot_take_all_places() -> None:
    kit = Gate(connections_per_address=2)
    first = [kit.come("192.0.2.1") for _ in range(2)]
    refused = kit.come("192.0.2.1")
    assert status(refused) == 503 and retry_after(refused) == 5
    assert status(kit.come("::ffff:192.0.2.1")) == 503  # the same, in other words
    assert status(kit.come("192.0.2.2")) == 101
    first[0].lose()
    assert status(kit.come("192.0.2.1")) == 101


def test_those_who_flood_from_one_address_put_nobody_off() -> None:
    """Times at which to come back are handed out to those who find everything full; many who are
    refused for their own sake must not use them up."""
    kit = Gate(connections=2, connections_per_address=1, admissions=1, admission_window=1.0)
    kit.come("192.0.2.1")
    for _ in range(100):
        assert retry_after(kit.come("192.0.2.1")) == 5
    kit.come("192.0.2.2")
    assert retry_after(kit.come("192.0.2.3")) == 5


def test_who_has_ipv6_counts_by_its_network() -> None:
    kit = Gate(connections_per_address=2)
    assert [status(kit.come(f"2001:db8:1:2::{n}")) for n in range(4)] == [101, 101, 503, 503]
    assert status(kit.come("2001:db8:1:3::1")) == 101


def test_local_sockets_and_proxies_are_many_in_one() -> None:
    kit = Gate(connections_per_address=1, connections=5, trusted_proxies=["10.0.0.1"])
    assert [status(kit.come(address)) for address in ["", "", "10.0.0.1", "10.0.0.1"]] == [101] * 4
    assert status(kit.come("10.0.0.2")) == 101
    assert status(kit.come("")) == 503  # in all they count


def test_strangers_have_fewer_places_and_leave_them_when_they_are_known() -> None:
    kit = Gate(unauthenticated=2)
    first = [kit.come(), kit.come()]
    assert status(kit.come()) == 503
    first[0].login(1, **FULL)
    assert (kit.inside, kit.strangers) == (2, 1)
    assert status(kit.come()) == 101
    assert status(kit.come()) == 503


def test_strangers_of_one_address_leave_room_for_those_of_others() -> None:
    kit = Gate(unauthenticated=3, unauthenticated_per_address=2)
    first = [kit.come("192.0.2.1"), kit.come("192.0.2.1")]
    assert status(kit.come("192.0.2.1")) == 503
    assert status(kit.come("192.0.2.2")) == 101
    first[0].login(1, **FULL)
    assert status(kit.come("192.0.2.1")) == 101  # who is known takes no place of a stranger


def test_who_is_turned_away_for_its_address_takes_no_place_of_a_stranger() -> None:
    kit = Gate(connections_per_address=1, unauthenticated=2)
    kit.come("192.0.2.1")
    assert [status(kit.come("192.0.2.1")) for _ in range(3)] == [503] * 3
    assert status(kit.come("192.0.2.2")) == 101


def test_a_stranger_keeps_its_place_until_the_store_has_logged_it_in() -> None:
    kit = Gate(unauthenticated=1)
    kit.verifying, kit.holding = False, True
    peer = kit.come()
    peer.login(1)
    assert kit.strangers == 1
    kit.do(inp.TokenVerified(connection=peer.connection, user=1))
    assert kit.strangers == 1
    kit.release()
    assert kit.strangers == 0


def test_log_ins_of_one_address_leave_room_for_those_of_others() -> None:
    kit = Gate(admissions=10, admission_window=1, admissions_per_address=2)
    peers = [kit.come(address) for address in ["192.0.2.1"] * 4 + ["192.0.2.2"] + [""] * 3]
    for user, peer in enumerate(peers, start=1):
        peer.login(user, **FULL)
    sent_away = [peer.of("KICK")[0]["retryAfter"] if peer.of("KICK") else 0 for peer in peers]
    assert [wait > 0 for wait in sent_away] == [False, False, True, True, *[False] * 4]
    assert sent_away[3] > sent_away[2] >= 1  # each its own time, and none before there is room
    kit.wait(sent_away[2])
    again = kit.come("192.0.2.1")
    again.login(3, **FULL)
    assert not again.of("KICK")


def test_addresses_that_log_in_no_more_are_forgotten() -> None:
    kit = Gate()
    for n in range(50):
        kit.come(f"192.0.2.{n}").login(n + 1, **FULL)
        kit.wait(1)
    assert len(kit.hub._doorkeeper._admissions) <= 2


def test_one_that_closes_keeps_its_place_until_its_socket_is_free() -> None:
    kit = Gate(connections=1, close_timeout=5)
    peer = kit.come()
    peer.raw(b"\x81\x81\0\0\0\0{")  # no JSON
    assert peer.code == 1007 and peer.ended is None
    assert status(kit.come()) == 503
    kit.wait(5)
    assert peer.ended == "aborted"
    assert status(kit.come()) == 101


def test_a_server_that_goes_down_lets_nobody_in() -> None:
    kit = Gate()
    kit.holding = True
    slow = kit.come(asks=False)
    kit.user(1).chat(1, 2, "not in the store yet")
    kit.do(inp.Shutdown())
    slow.upgrade()
    late = kit.come(asks=False)
    for peer in (slow, late):
        assert status(peer) == 503 and retry_after(peer) is not None
    assert kit.inside == 1


# ------------------------------------------------------------ whoever came leaves

ENDS = {
    "the peer is lost": lambda kit, peer: peer.lose(),
    "the peer closes": lambda kit, peer: peer.raw(b"\x88\x80\0\0\0\0"),
    "the peer breaks the protocol": lambda kit, peer: peer.raw(b"\xff\xff"),
    "the peer says nothing more": lambda kit, peer: kit.wait(200),
    "it is kicked": lambda kit, peer: (kit.do(inp.KickAsked(user=1)), kit.wait(10)),
    "the server goes down": lambda kit, peer: (
        kit.do(inp.Shutdown()),
        kit.release(),
        kit.wait(20),
    ),
    "a bug of ours": lambda kit, peer: break_engine(kit, peer),
}


def break_engine(kit: Kit, peer: Peer) -> None:
    def broken(*_: object, **__: object) -> list[act.Action]:
        raise RuntimeError("a bug")

    engine = kit.gateway.engines[peer.connection]
    engine.step = broken  # type: ignore[method-assign,assignment]
    kit.gateway._strict = False
    peer.raw(b"x")


@pytest.mark.parametrize("far", ["made", "upgraded", "verifying", "logging_in", "online"])
@pytest.mark.parametrize("end", ENDS)
def test_in_whatever_way_a_connection_ends_it_leaves_once(far: str, end: str) -> None:
    kit = Gate(auth_timeout=30)
    kit.verifying, kit.holding = far != "verifying", far == "logging_in"
    peer = kit.come("192.0.2.1", asks=far != "made")
    peer.ponging = False
    if far not in ("made", "upgraded"):
        peer.login(1, **FULL)
    ENDS[end](kit, peer)
    if peer.ended is None and end != "the peer is lost":
        kit.wait(60)
    kit.assert_empty()
    told = Counter(type(event) for event in kit.told)
    assert told[talk.Gone] == (1 if far != "made" or end == "a bug of ours" else 0)
    assert told[talk.Arrived] == (far != "made")


@pytest.mark.parametrize("status_", [404, 403, 408, 400])
def test_one_that_is_refused_was_never_there(status_: int) -> None:
    kit = Gate(handshake_timeout=10)
    if status_ == 404:
        peer = kit.come(target="/no")
    elif status_ == 403:
        peer = kit.come(origin="null")
    else:
        peer = kit.come(asks=False)
        if status_ == 400:
            peer.raw(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"[:-4] + b"\r\nUpgrade\r\n\r\n")
        else:
            kit.wait(10)
    assert status(peer) == status_
    kit.assert_empty()
    assert not kit.told


_OPS = st.one_of(
    st.tuples(st.just("come"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("login"), st.integers(0, 9), st.integers(1, 3)),
    st.tuples(st.sampled_from(["lose", "close", "junk", "bug"]), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 10, 40]), st.just(0)),
    st.tuples(st.just("hold"), st.booleans(), st.booleans()),
)
_ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1", ""]


@given(st.lists(_OPS, max_size=40))
@DETERMINISTIC
def test_whatever_happens_the_counts_are_right_and_come_back_to_nothing(
    ops: list[tuple[Any, ...]],
) -> None:
    kit = Gate(
        connections=6,
        connections_per_address=3,
        unauthenticated=4,
        unauthenticated_per_address=2,
        admissions=1000,
    )
    here: dict[int, str] = {}

    def known(connection: int) -> bool:
        return any(said["code"] == 0 for said in kit.peers[connection].of("AUTH_RESPONSE"))

    def strange(address: str) -> int:
        return sum(here[c] == address and not known(c) for c in here)

    for name, one, two in ops:
        peers = [peer for peer in kit.peers.values() if peer.ended is None and peer.http]
        peer = peers[one % len(peers)] if peers and name != "come" else None
        if name == "come":
            address = _ADDRESSES[one]
            room = not address or list(here.values()).count(address) < 3
            room = room and len(here) < 6 and kit.strangers < 4
            room = room and (not address or strange(address) < 2)
            made = kit.come(address, asks=two)
            if two:
                assert status(made) == (101 if room else 503)
            if two and room:
                here[made.connection] = address
        elif name == "wait":
            kit.wait(one)
        elif name == "hold":
            kit.verifying = one
            if two:
                kit.holding = True
            else:
                kit.release()
        elif peer is not None and name == "login":
            if not peer.messages and peer._framing.open:
                peer.login(two, deviceId=f"d{one}", capabilities=["seq"])
        elif peer is not None and name == "lose":
            peer.lose()
            peer.ended = "lost"
        elif peer is not None and name == "close":
            if peer._framing.open:
                peer.say_close()
        elif peer is not None and name == "junk":
            peer.raw(b"\xff\xff")
        elif peer is not None and peer.connection in kit.gateway.engines:
            break_engine(kit, peer)
        here = {c: address for c, address in here.items() if c in kit.gateway.engines}
        assert kit.inside == len(here)
        assert kit.strangers == sum(not known(c) for c in here)
    kit.release()
    for peer in kit.peers.values():
        if peer.connection in kit.gateway.engines:
            peer.lose()
    kit.wait(100)
    kit.assert_empty()
    told = Counter((type(event), event.connection) for event in kit.told
                   if isinstance(event, talk.Arrived | talk.Gone))  # fmt: skip
    for (kind, connection), times in told.items():
        assert times == 1, f"{kind.__name__} of {connection} {times} times"
    came = {c for kind, c in told if kind is talk.Arrived}
    assert came <= {c for kind, c in told if kind is talk.Gone}


class Model:
    """Doors, by a list of who is inside."""

    def __init__(self) -> None:
        self.inside: list[str] = []

    def may_enter(self, place: str) -> bool:
        counted = bool(place) and not place.startswith("10.")
        return len(self.inside) < 5 and not (counted and self.inside.count(place) >= 2)


#: (an address, what it counts as)
_PLACES = [
    ("192.0.2.1", "a"),
    ("::ffff:192.0.2.1", "a"),
    ("192.0.2.2", "b"),
    ("", ""),
    ("2001:db8::1", "c"),
    ("2001:db8::ffff", "c"),
    ("10.0.0.1", "10."),
    ("x", "x"),
]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=60))
@DETERMINISTIC
def test_doors_count_as_a_list_would(ops: list[tuple[bool, int]]) -> None:
    doors, model = Doors(5, 2, ["10.0.0.0/8"]), Model()
    for enters, which in ops:
        address, place = _PLACES[which]
        if enters:
            assert doors.enter(address) is model.may_enter(place)
            if model.may_enter(place):
                model.inside.append(place)
        elif place in model.inside:
            doors.leave(address)
            model.inside.remove(place)
        assert doors.inside == len(model.inside)
        assert doors.full is (len(model.inside) == 5)
        assert doors.places == len({p for p in model.inside if p not in ("", "10.")})


def test_sockets_of_one_address_come_at_their_rate_and_those_of_proxies_as_they_like() -> None:
    config = ServerConfig(
        arrivals_burst=3, arrivals_per_address=2.0, trusted_proxies=("10.0.0.0/8",)
    )
    arrivals = Arrivals(config)
    assert [arrivals.come("192.0.2.1", 0.0) for _ in range(4)] == [True] * 3 + [False]
    assert [arrivals.come("::ffff:192.0.2.1", 0.4), arrivals.come("192.0.2.2", 0.4)] == [
        False,
        True,
    ]
    assert [arrivals.come("192.0.2.1", 0.5), arrivals.come("192.0.2.1", 0.5)] == [True, False]
    assert all(arrivals.come(address, 0.5) for address in ["10.0.0.1", ""] * 5)


def test_an_address_pays_for_broken_rules_and_never_owes_more_than_a_burst() -> None:
    config = ServerConfig(
        arrivals_burst=20, arrivals_per_address=2.0, fault_arrivals=8, trusted_proxies=("10.0.0.1",)
    )
    arrivals = Arrivals(config)
    for address in ("10.0.0.1", "", "192.0.2.1"):
        arrivals.fault(address, 0.0)
    came = {a: sum(arrivals.come(a, 0.0) for _ in range(40)) for a in ("192.0.2.1", "192.0.2.2")}
    assert came == {"192.0.2.1": 12, "192.0.2.2": 20}
    assert all(arrivals.come(address, 0.0) for address in ["10.0.0.1", ""] * 40)
    for _ in range(100):
        arrivals.fault("192.0.2.1", 0.0)
    # 20 are owed, and one is to be had
    assert [arrivals.come("192.0.2.1", now) for now in (10.0, 10.4, 10.5)] == [False, False, True]


def test_who_breaks_no_rule_pays_nothing() -> None:
    arrivals = Arrivals(ServerConfig(arrivals_burst=5, fault_arrivals=0))
    arrivals.fault("192.0.2.1", 0.0)
    assert sum(arrivals.come("192.0.2.1", 0.0) for _ in range(9)) == 5


def test_an_operator_hears_of_an_address_once_a_minute_and_of_ten_at_the_most() -> None:
    arrivals = Arrivals(ServerConfig())
    assert [arrivals.news("192.0.2.1", now) for now in (5.0, 5.0, 64.0, 65.0)] == [
        *(True, False),
        *(False, True),
    ]
    told = [arrivals.news(f"192.0.2.{n}", 200.0) for n in range(20)]
    assert told == [True] * 10 + [False] * 10
    assert arrivals.news("192.0.2.19", 206.0)  # another has room; what was not told is not lost


def test_who_shows_bad_tokens_waits_and_who_shows_none_does_not() -> None:
    config = ServerConfig(
        bad_tokens_burst=2, bad_tokens_per_address=0.5, trusted_proxies=("10.0.0.0/8",)
    )
    bad = BadTokens(config)
    one, other = bad.counted("192.0.2.1", ()), bad.counted("10.0.0.1", ("192.0.2.2",))
    assert (one, other) == ("192.0.2.1", "192.0.2.2")
    waits = []
    for _ in range(3):
        waits.append(bad.wait(one, 0.0))
        bad.add(one, 0.0)  # the third was asked for before it was known of the second
    assert waits == [0.0, 0.0, 2.0]
    assert [bad.wait(one, now) for now in (0.0, 3.0, 4.0)] == [4.0, 1.0, 0.0]
    assert bad.wait(other, 0.0) == 0.0


def test_bad_tokens_of_those_who_are_many_are_nobodys() -> None:
    bad = BadTokens(ServerConfig(bad_tokens_burst=1, trusted_proxies=("10.0.0.0/8",)))
    for peer, chain in (("", ()), ("10.0.0.1", ()), ("10.0.0.1", ("10.0.0.2",))):
        counted = bad.counted(peer, chain)
        for _ in range(3):
            bad.add(counted, 0.0)
        assert bad.wait(counted, 0.0) == 0.0
