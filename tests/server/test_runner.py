"""The runner: a transport that breaks takes nobody else with it."""

from __future__ import annotations

import logging

import pytest

from adapters.adapter_kit import run, until
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_server.runner import Connection
from peers.plain_client import PlainClient
from server.server_kit import Running, running_server, token

ANN, BOB = 1, 2


def break_one(server: Running, error: Exception, *, at_abort: bool = False) -> Connection:
    """From now on the oldest connection raises, whatever it is to do."""
    broken = next(iter(server.server.runner._connections.values()))
    carry_out = broken.carry_out

    def raising(action: act.Action) -> None:
        if isinstance(action, act.AbortTransport) and not at_abort:
            carry_out(action)
        else:
            raise error

    broken.carry_out = raising  # type: ignore[method-assign]
    return broken


@pytest.mark.parametrize("at_abort", [False, True])
@run
async def test_a_transport_that_raises_ends_alone_and_the_rest_of_the_step_goes_on(
    at_abort: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        running_server() as server,
        PlainClient(server.url, token(ANN), ANN) as first,
        PlainClient(server.url, token(ANN), ANN) as second,
        PlainClient(server.url, token(BOB), BOB) as bob,
    ):
        for one in (first, second, bob):
            await one.login()
        broken = break_one(server, ValueError("a\x1b[31m\nb" + "c" * 999), at_abort=at_abort)
        caplog.clear()
        # to both connections in one step
        assert (await bob.send(ANN, "hello", 1_700_000_000_000))["code"] == 0
        assert (await second.receive())["content"] == "hello"
        assert server.server.online() == {ANN: 1, BOB: 1}
        if at_abort:
            broken._transport.abort()  # type: ignore[attr-defined]
        assert await first.wait_closed() == 1006
        await until(lambda: server.server.runner.doors.inside == 2)
        errors = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(errors) == 1 and errors[0].name == "im_server.runner"
        told = errors[0].getMessage()
        assert "ValueError: a" in told and told.isprintable() and len(told) < 300
        assert errors[0].exc_info is None
        # it is forgotten: what it says later is nobody's
        server.server.runner.feed(inp.ConnectionLost(connection=1, reason="again"))
        assert (await bob.send(ANN, "more", 1_700_000_000_001))["code"] == 0
        assert (await second.receive())["content"] == "more"


@run
async def test_what_is_said_to_a_peer_that_has_just_gone_is_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server() as server, PlainClient(server.url, token(ANN), ANN) as ann:
        await ann.login()
        ((name, connection),) = server.server.runner._connections.items()
        connection._transport.abort()  # type: ignore[attr-defined]
        for _ in range(50):
            connection.carry_out(act.SendBytes(connection=name, data=b"x"))
        assert await ann.wait_closed() == 1006
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@run
async def test_a_bug_of_ours_is_told_without_what_the_peer_wrote(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_server() as server, PlainClient(server.url, token(ANN), ANN) as ann:
        await ann.login()
        gateway = server.server.runner._gateway
        assert gateway is not None
        engine = next(iter(gateway.engines.values()))

        def step(*_: object, now: float) -> list[act.Action]:
            raise KeyError("what the peer wrote\x1b[31m")

        monkeypatch.setattr(engine, "step", step)
        await ann.send_raw("{}")
        assert await ann.wait_closed() == 1006
    (told,) = [r for r in caplog.records if r.name == "im_server.runner"]
    assert "a bug: connection 1 ends: KeyError at " in told.getMessage()
    assert "peer wrote" not in told.getMessage() and told.exc_info is None
