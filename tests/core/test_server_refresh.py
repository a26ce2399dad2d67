"""The end of a token, and the next one on the live connection (protocol.md, `refresh`)."""

from __future__ import annotations

import math

import pytest

from core.server_kit import ALL, START, Kit, Peer
from im_proto.server import actions as act
from im_proto.server.inputs import Shutdown, TokenRefused, TokenVerified

AUTH, EXPIRING = "AUTH_RESPONSE", "AUTH_EXPIRING"


def expires(expires_in: float | None, **config: float) -> tuple[Kit, Peer]:
    kit = Kit(**config)
    kit.expires_in = expires_in
    peer = kit.user(1, **ALL)
    kit.verifying = False
    return kit, peer


def refresh(peer: Peer, token: str = "1", **more: object) -> None:
    peer.send("AUTH_REQUEST", accessToken=token, **more)


def verified(kit: Kit, peer: Peer, user: int = 1, expires_in: float | None = 100.0) -> None:
    kit.do(TokenVerified(connection=peer.connection, user=user, expires_in=expires_in))


def test_the_client_is_told_before_the_end_and_closed_at_it() -> None:
    kit, peer = expires(600.0, expiry_notice=60.0)
    assert peer.data["expiresIn"] == 600.0
    kit.wait(539.9)
    assert peer.of(EXPIRING) == []
    kit.wait(0.2)
    assert peer.of(EXPIRING) == [{"expiresIn": 60.0}]
    kit.wait(59.8)
    assert peer.close is None
    kit.wait(0.2)
    assert peer.close == (4003, "the token has expired")
    assert peer.of("KICK") == []  # the close itself says what to do
    assert kit.gateway.online() == {}


def test_a_plain_client_is_not_told_and_closed_all_the_same() -> None:
    kit = Kit()
    kit.expires_in = 50.0
    peer = kit.plain(1)
    kit.wait(49)
    assert peer.kinds == [AUTH] and peer.close is None
    kit.wait(2)
    assert peer.code == 4003


@pytest.mark.parametrize("expires_in", [None, math.nan])
def test_a_token_that_never_expires_ends_nothing(expires_in: float | None) -> None:
    kit, peer = expires(expires_in, heartbeat_interval=10.0)
    assert "expiresIn" not in peer.data
    for _ in range(100):
        kit.wait(20)
        peer.send("HEARTBEAT_REQUEST")
    assert peer.of(EXPIRING) == [] and peer.close is None


def test_of_a_token_with_a_short_life_the_client_is_told_when_half_is_left() -> None:
    kit, peer = expires(10.0)
    kit.wait(4.9)
    assert peer.of(EXPIRING) == []
    kit.wait(0.2)
    assert peer.of(EXPIRING) == [{"expiresIn": 5.0}]


def test_a_new_token_counts_from_when_it_was_verified() -> None:
    kit, peer = expires(100.0)
    kit.wait(50)
    refresh(peer)
    assert isinstance(kit.said[-1], act.Authenticate) and kit.said[-1].token == "1"
    assert len(peer.of(AUTH)) == 1
    verified(kit, peer, expires_in=200.0)
    assert peer.of(AUTH)[1] == {
        "code": 0,
        "message": "",
        "data": {"userId": 1, "username": "1", "expiresIn": 200.0},
    }
    kit.wait(60)
    peer.send("HEARTBEAT_REQUEST")
    kit.wait(60)
    assert peer.close is None and kit.gateway.online() == {1: 1}
    peer.send("HEARTBEAT_REQUEST")
    kit.wait(81)
    assert peer.code == 4003


def test_a_new_token_may_be_one_that_never_expires() -> None:
    kit, peer = expires(30.0)
    refresh(peer)
    verified(kit, peer, expires_in=None)
    assert "expiresIn" not in peer.data
    kit.wait(60)
    assert peer.close is None


@pytest.mark.parametrize("code", [40101, 50000, 2**40])
def test_while_a_new_token_is_refused_the_old_one_serves_until_it_expires(code: int) -> None:
    kit, peer = expires(50.0)
    refresh(peer, "bad")
    kit.do(TokenRefused(connection=peer.connection, code=code, reason="no"))
    wire = code if code < 2**31 else 50000
    assert peer.of(AUTH)[1] == {"code": wire, "message": "no"}
    peer.chat(1, 2, "still here")
    assert len(peer.answers) == 1 and peer.close is None
    kit.wait(51)
    assert peer.code == 4003


@pytest.mark.parametrize("more, user", [({}, 2), ({"userId": 2}, 1), ({}, -1)])
def test_the_token_of_another_user_ends_the_connection(more: dict[str, int], user: int) -> None:
    kit, peer = expires(100.0)
    refresh(peer, **more)
    verified(kit, peer, user=user)
    assert peer.of(AUTH)[1]["code"] == 40101 and peer.code == 4001
    assert kit.gateway.online() == {}


def test_the_users_own_id_may_stand_in_the_request() -> None:
    kit, peer = expires(100.0)
    refresh(peer, userId="1")
    verified(kit, peer)
    assert peer.of(AUTH)[1]["code"] == 0


def test_one_token_at_a_time() -> None:
    kit, peer = expires(100.0)
    refresh(peer)
    refresh(peer)
    assert [r["code"] for r in peer.of(AUTH)] == [0, 400]
    verified(kit, peer)
    refresh(peer)
    verified(kit, peer)
    assert [r["code"] for r in peer.of(AUTH)] == [0, 400, 0, 0]


def test_an_authenticator_that_does_not_answer_leaves_the_old_token_and_may_be_asked_again() -> (
    None
):
    kit, peer = expires(100.0, auth_timeout=10.0)
    refresh(peer)
    kit.wait(10.1)
    assert [r["code"] for r in peer.of(AUTH)] == [0, 50000] and peer.close is None
    verified(kit, peer, expires_in=1.0)  # too late: nobody waits for it
    kit.wait(5)
    assert peer.close is None and len(peer.of(AUTH)) == 2
    refresh(peer)
    verified(kit, peer)
    assert peer.of(AUTH)[2]["code"] == 0


def test_without_the_capability_a_second_log_in_is_refused_and_changes_nothing() -> None:
    kit = Kit()
    for peer in (kit.plain(1), kit.user(1)):
        peer.send("AUTH_REQUEST", accessToken="2")
        assert [r["code"] for r in peer.of(AUTH)] == [0, 400] and peer.close is None
    assert kit.gateway.online() == {1: 2}


def test_a_log_in_that_took_long_is_told_what_is_left() -> None:
    kit = Kit()
    kit.expires_in = 100.0
    kit.holding = True
    peer = kit.user(1, **ALL)
    kit.now += 5
    kit.release()
    assert peer.data["expiresIn"] == 95.0
    kit.wait(94.9)
    assert peer.close is None
    kit.wait(0.2)
    assert peer.code == 4003


def test_a_token_that_was_over_before_the_log_in_ends_at_once() -> None:
    kit = Kit()
    kit.expires_in = -5.0
    peer = kit.user(1, **ALL)
    assert peer.of(AUTH)[0]["code"] == 0
    kit.wait(0)
    assert peer.code == 4003


def test_after_we_slept_a_token_that_came_meanwhile_is_looked_at_first() -> None:
    kit, peer = expires(100.0, heartbeat_interval=1000.0)
    kit.oversleep(150)
    assert peer.close is None
    refresh(peer)
    verified(kit, peer)
    kit.wait(50)
    assert peer.close is None
    kit.wait(60)
    assert peer.code == 4003


def test_a_server_that_goes_down_ends_nobody_for_its_token() -> None:
    kit, peer = expires(5.0)
    kit.holding = True
    peer.chat(1, 2, "m1")
    kit.do(Shutdown())
    kit.wait(8)
    assert peer.close is None
    kit.release()
    assert len(peer.answers) == 1 and peer.code == 1012


def test_a_token_that_is_verified_while_the_server_goes_down_changes_nothing() -> None:
    kit, peer = expires(100.0)
    kit.holding = True
    peer.chat(1, 2, "m1")
    refresh(peer)
    kit.do(Shutdown())
    verified(kit, peer, expires_in=1.0)
    assert peer.of(AUTH)[1]["code"] == 0
    kit.wait(3)
    assert peer.close is None and kit.now == START + 3
    kit.release()
    assert peer.code == 1012
