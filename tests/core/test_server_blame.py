"""Whose connection ended because its peer broke the rules is told, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.server_kit import FULL, Kit, Peer
from im_proto.server import actions as act
from im_proto.server import inputs as inp

FEW = {"envelopes_per_second": 1.0, "envelope_burst": 5}


def blamed(kit: Kit) -> list[tuple[int, str]]:
    """Of which connections, from where, it was told."""
    return [(a.connection, a.peer) for a in kit.said if isinstance(a, act.RulesBroken)]


def _junk_before(peer: Peer) -> None:
    peer.raw(b"no request at all\r\n\r\n")


def _wrong_path(peer: Peer) -> None:
    peer.raw(peer._framing.request().replace(b"/ws", b"/nope"))


def _unmasked(peer: Peer) -> None:
    peer.upgrade()
    peer.raw(b"\x81\x01a")


def _no_json(peer: Peer) -> None:
    peer.upgrade()
    peer.text("{")


def _no_login(peer: Peer) -> None:
    peer.upgrade()
    peer.send("AUTH_REQUEST", accessToken=7)


def _flood(peer: Peer) -> None:
    peer.upgrade()
    peer.login(1, **FULL)
    peer.batch(*[peer.envelope("HEARTBEAT_REQUEST")] * 30)


def _goes_on(peer: Peer) -> None:
    peer.upgrade()
    more = b"".join(peer.bytes_of("{}") for _ in range(60))
    peer.login(1, token="refuse:40101")
    peer.raw(more)


@pytest.mark.parametrize(
    "breaks", [_junk_before, _wrong_path, _unmasked, _no_json, _no_login, _flood, _goes_on]
)
def test_who_breaks_the_rules_is_told_once_when_the_connection_is_gone(
    breaks: Callable[[Peer], None],
) -> None:
    kit = Kit(**FEW)
    kit.user(2)
    peer = kit.peer(upgrade=False, address="192.0.2.7")
    breaks(peer)
    kit.wait(10.0)
    assert peer.ended is not None
    assert blamed(kit) == [(peer.connection, "192.0.2.7")]


def _leaves(peer: Peer) -> None:
    peer.login(1)
    peer.kit.do(inp.ConnectionLost(connection=peer.connection))


def _says_nothing(_: Peer) -> None:
    pass


def _has_a_bad_token(peer: Peer) -> None:
    peer.login(1, token="refuse:40101")


def _sleeps_over_a_frame(peer: Peer) -> None:
    peer.login(1)
    peer.raw(peer.bytes_of("x" * 50)[:20])


@pytest.mark.parametrize("ends", [_leaves, _says_nothing, _has_a_bad_token, _sleeps_over_a_frame])
def test_a_bad_network_or_an_old_token_breaks_no_rule(ends: Callable[[Peer], None]) -> None:
    kit = Kit()
    peer = kit.peer()
    ends(peer)
    kit.wait(120.0)
    assert peer.connection not in kit.gateway.engines
    assert blamed(kit) == []
