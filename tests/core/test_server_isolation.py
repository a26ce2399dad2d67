"""A bug that is met at one connection ends that connection, and no other."""

from __future__ import annotations

import math

import pytest

from core.server_kit import FULL, START, WALL, Kit
from im_proto.config import ServerConfig
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp


def test_a_bug_in_one_connection_ends_that_one_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit = Kit()
    other, peer = kit.user(1), kit.user(2)
    kit.gateway._strict = False
    engine = kit.gateway.engines[peer.connection]

    def broken(*_: object, **__: object) -> list[act.Action]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(engine, "step", broken)
    peer.chat(1, 1, "x")
    (told,) = [a for a in kit.said if isinstance(a, act.EngineFailed)]
    assert told.connection == peer.connection and str(told.error) == "a bug"
    assert any(isinstance(a, act.AbortTransport) for a in kit.said)
    assert kit.gateway.online() == {1: 1} and len(kit.gateway.engines) == 1
    other.chat(1, 2, "still here")
    assert [a["msgId"] for a in other.answers] == [1]


def test_a_simulator_is_told_by_the_exception_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(ServerConfig(), now=START, wall=WALL, strict=True)
    gateway.step(inp.ConnectionMade(connection=1), START)
    monkeypatch.setattr(gateway.engines[1], "step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gateway.step(inp.BytesReceived(connection=1, data=b"x"), START)


@pytest.mark.parametrize(
    "says",
    [
        {"username": "\udcff"},
        {"username": "n" * 100_000},
        {"expires_in": math.nan},
        {"expires_in": math.inf},
        {"expires_in": -1.0},
    ],
    ids=str,
)
def test_whatever_an_authenticator_says_the_log_in_is_answered(says: dict[str, object]) -> None:
    kit = Kit()
    kit.verifying = False
    peer = kit.peer()
    peer.login(1, **FULL)
    kit.do(inp.TokenVerified(connection=peer.connection, user=1, **says))  # type: ignore[arg-type]
    assert peer.of("AUTH_RESPONSE")[0]["code"] == 0


@pytest.mark.parametrize("reason", [None, "\udcff", "r" * 100_000], ids=str)
def test_whatever_reason_an_authenticator_gives_it_is_told(reason: str) -> None:
    kit = Kit()
    kit.verifying = False
    peer = kit.peer()
    peer.login(1)
    kit.do(inp.TokenRefused(connection=peer.connection, code=40101, reason=reason))
    assert peer.of("AUTH_RESPONSE")[0]["code"] == 40101 and peer.code == 4001


def test_frames_of_any_size_that_a_configuration_allows_can_be_told() -> None:
    with pytest.raises(ValueError, match="message_bytes"):
        ServerConfig(message_bytes=2**40)
    kit = Kit(message_bytes=2**31)
    assert kit.user(1).data["limits"]["frameBytes"] == 2**31
