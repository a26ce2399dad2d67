"""Who is told that somebody came, or left (protocol.md section 2, `presence`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.server_kit import ALL, START, WALL, Kit, Peer
from im_proto.server import actions as act
from im_proto.server.inputs import CallDone, LoginStored, Shutdown
from im_proto.testing.memory import MemoryStore


class _Short(MemoryStore):
    """Says of a log-in nothing that it needn't: the peers are asked for."""

    def login(self, action: act.StoreLogin) -> LoginStored:
        return super().login(replace(action, meets=False))


def everything(kit: Kit, user: int, device: str = "phone") -> Peer:
    return kit.user(user, device, **(ALL | {"deviceId": device}))


def acquainted(*pairs: tuple[int, int], short: bool = False, **config: Any) -> Kit:
    """A server on which these share a session, with nobody there."""
    kit = Kit(**config)
    if short:
        kit.store = _Short()
    for n, (one, other) in enumerate(pairs, 1):
        peer = kit.plain(one)
        peer.chat(n, other, "hello")
        peer.lose()
    kit.wait(31)
    kit.said.clear()
    return kit


def told(peer: Peer) -> list[tuple[int, bool, int | None]]:
    return [(p["user"], p["online"], p.get("lastSeen")) for p in peer.of("PRESENCE")]


def ms(kit: Kit) -> int:
    return int((kit.now - START + WALL) * 1000)


def seen(kit: Kit) -> list[tuple[Any, int | None]]:
    return [(a.user, a.at) for a in kit.said if isinstance(a, act.StoreSeen)]


def test_peers_are_told_who_comes_and_only_they() -> None:
    kit = acquainted((1, 2))
    one, three = everything(kit, 1), everything(kit, 3)
    one.forget()
    plain = kit.plain(2)  # whatever client it is
    assert told(one) == [(2, True, None)] and told(three) == []
    assert plain.of("PRESENCE") == []


@pytest.mark.parametrize("short", [False, True])
def test_who_comes_is_told_which_of_its_peers_are_here(short: bool) -> None:
    kit = acquainted((1, 2), (1, 3), (1, 4), short=short)
    kit.plain(2)
    kit.plain(3)
    one = everything(kit, 1)
    assert [(user, online) for user, online, _ in told(one)] == [(2, True), (3, True)]
    assert one.kinds[0] == "AUTH_RESPONSE"
    web = everything(kit, 1, "web")  # the second device is told too, and the first nothing new
    assert told(web) == told(one)
    peers = [a.user for a in kit.said if isinstance(a, act.StorePeers)]
    peers += [a.user for a in kit.said if isinstance(a, act.StoreLogin) and a.meets and not short]
    assert peers == [1]  # once for both


def test_who_comes_is_told_when_the_others_were_last_seen() -> None:
    kit = acquainted((1, 2))
    two = kit.plain(2)
    two.lose()
    at = ms(kit)
    kit.wait(40)
    assert told(everything(kit, 1)) == [(2, False, at)]


def test_offline_is_told_only_some_time_after_the_last_device_left() -> None:
    kit = acquainted((1, 2), offline_after=30.0)
    one, tab, phone = everything(kit, 1), kit.plain(2), kit.user(2)
    one.forget()
    tab.lose()
    kit.wait(40)
    assert told(one) == []  # its phone is still there
    phone.lose()
    at = ms(kit)
    kit.wait(29.9)
    assert told(one) == [] and seen(kit) == []
    kit.wait(0.2)
    assert told(one) == [(2, False, at)] and seen(kit) == [(2, at)]
    assert told(everything(kit, 1, "web")) == [(2, False, at)]


def test_a_return_in_between_tells_nobody() -> None:
    kit = acquainted((1, 2))
    one, two = everything(kit, 1), kit.user(2)
    one.forget()
    for _ in range(3):
        two.lose()
        kit.wait(29)
        two = kit.user(2)
    kit.user(2)  # the same device at once: it replaces the other
    kit.user(2, "watch")
    kit.wait(60)
    assert told(one) == [] and seen(kit) == []


def test_who_has_only_just_left_counts_as_online_for_who_comes() -> None:
    kit = acquainted((1, 2))
    kit.plain(2).lose()
    kit.wait(10)
    assert told(everything(kit, 1)) == [(2, True, None)]


def test_last_seen_can_be_switched_off_by_its_owner() -> None:
    kit = acquainted((1, 2))
    kit.show_last_seen = False
    two = kit.plain(2)
    kit.show_last_seen = True
    one = everything(kit, 1)
    one.forget()
    two.lose()
    kit.wait(31)
    assert told(one) == [(2, False, None)] and seen(kit) == [(2, None)]
    web = everything(kit, 1, "web")
    assert told(web) == []  # nothing is known that may be said


def test_several_who_leave_are_told_one_after_the_other() -> None:
    kit = acquainted((1, 2), (1, 3))
    one, two, three = everything(kit, 1), kit.plain(2), kit.plain(3)
    one.forget()
    two.lose()
    kit.wait(10)
    three.lose()
    kit.wait(21)
    assert [(user, online) for user, online, _ in told(one)] == [(2, False)]
    kit.wait(10)
    assert [(user, online) for user, online, _ in told(one)] == [(2, False), (3, False)]
    assert not kit.gateway.hub._presence._leaving


def test_who_became_acquainted_is_told_at_once() -> None:
    kit = Kit()
    one, two, three = (everything(kit, user) for user in (1, 2, 3))
    one.chat(1, 2, "hello")
    assert told(one) == [(2, True, None)] and told(two) == [(1, True, None)] and told(three) == []
    one.chat(2, 2, "hello again")
    assert len(told(one)) == 1
    three.send("SESSION_REQUEST", id="a", op="startChat",
               params={"bookId": 7, "buyerId": 3, "sellerId": 1})  # fmt: skip
    assert told(three) == [(1, True, None)] and told(one)[1:] == [(3, True, None)]
    two.lose()
    kit.wait(31)
    assert [(user, online) for user, online, _ in told(one)[2:]] == [(2, False)]


def test_who_became_acquainted_while_the_store_looks_is_told_of() -> None:
    kit = acquainted(short=True)
    two = kit.plain(2)
    kit.holding = True
    one = kit.peer()
    one.login(1, **ALL)
    kit.answer()  # the login; its peers are being looked up
    (peers,) = [a for a in kit.held if isinstance(a, act.StorePeers)]
    kit.held.remove(peers)
    two.chat(1, 1, "hello")
    kit.release()
    kit.held.append(peers)
    kit.answer()
    assert (2, True, None) in told(one)


def test_who_became_acquainted_right_behind_the_log_in_is_told_of() -> None:
    kit = Kit()
    two = kit.plain(2)
    kit.holding = True
    one = kit.peer()
    one.login(1, **ALL)
    two.chat(1, 1, "hello")
    kit.release()
    assert (2, True, None) in told(one)


def test_one_without_the_capability_is_told_nothing() -> None:
    kit = acquainted((1, 2))
    one = kit.user(1, capabilities=["seq", "typing"])
    two = kit.plain(2)
    two.lose()
    kit.wait(31)
    assert told(one) == []


def test_who_has_left_is_watched_by_nobody() -> None:
    kit = acquainted((1, 2))
    one, two = everything(kit, 1), everything(kit, 2)
    one.lose()
    kit.wait(31)
    assert [(user, online) for user, online, _ in told(two)] == [(1, True), (1, False)]
    two.lose()
    kit.wait(31)
    peers = kit.gateway.hub._peers
    assert not peers._circles and not peers._watched_by and not peers._asked
    assert not kit.waits


def test_a_store_that_can_not_say_is_asked_again() -> None:
    kit = acquainted((1, 2), short=True)
    kit.plain(2)
    kit.holding = True
    one = kit.peer()
    one.login(1, **ALL)
    kit.answer()
    kit.fail()
    assert one.close is None and not kit.held
    kit.wait(1.1)
    kit.release()
    assert told(one) == [(2, True, None)]


def test_an_answer_for_who_has_left_goes_nowhere() -> None:
    kit = acquainted((1, 2), short=True)
    kit.holding = True
    one = kit.peer()
    one.login(1, **ALL)
    kit.answer()
    one.lose()
    kit.fail()
    kit.wait(0.5)
    kit.release()
    assert told(one) == [] and not kit.gateway.hub._peers._circles


def test_going_down_is_no_news_about_anybody() -> None:
    kit = acquainted((1, 2))
    one, two = everything(kit, 1), kit.plain(2)
    kit.plain(3).lose()
    one.forget()
    kit.do(Shutdown())
    two.lose()
    kit.wait(60)
    assert told(one) == [] and seen(kit) == [] and not kit.waits


def test_a_stale_answer_makes_nobody_acquainted() -> None:
    kit = acquainted()
    one, other = everything(kit, 1), everything(kit, 2)
    kit.do(CallDone(request=10**9, code=0, data=None, acquainted=((1, 2),)))
    assert told(one) == told(other) == []


def test_who_meets_somebody_while_its_log_in_is_being_stored_knows_of_it() -> None:
    kit = Kit()
    two = everything(kit, 2)
    kit.holding = True
    one = everything(kit, 1)  # the store has nobody to tell of
    login = kit.held.popleft()
    assert isinstance(login, act.StoreLogin) and login.meets
    stored = kit.store.login(login)
    kit.release()
    two.chat(1, 1, "hello")  # and this is told before
    kit.do(stored)
    assert told(one) == [(2, True, None)]
