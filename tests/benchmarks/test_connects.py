"""Visitors log in at each server, and none gets in with a bad token."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from benchmarks.connects import _our_server, _peer, _Visited
from benchmarks.harness import Options
from benchmarks.visits import VisitError, frame, ours, relay, socketio, visit
from im_server.tokens import make_token

SERVERS = {
    "im": (_our_server("asyncio"), ours),
    "relay": (_peer("relay", "asyncio"), relay),
    "socketio": (_peer("socketio", "asyncio"), socketio),
}
NAMES = ["im", "relay", pytest.param("socketio", marks=pytest.mark.peers)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_visits_are_counted(name: str) -> None:
    pytest.importorskip({"im": "jwt", "relay": "websockets", "socketio": "socketio"}[name])
    visited = _Visited(*SERVERS[name], visits=40)
    try:
        figure = visited.run()
    finally:
        visited.close()
    assert figure.value == pytest.approx(1e6 / figure.details["server CPU us a connect"])
    assert figure.details["connects a second of the clock"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_token_does_not_get_in(name: str) -> None:
    pytest.importorskip({"im": "jwt", "relay": "websockets", "socketio": "socketio"}[name])
    start, make = SERVERS[name]
    with ExitStack() as stack:
        url, _, secret = start(stack)
        bad = make(url, 1, make_token(1, "another secret of 32 bytes at least"))
        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(visit(url, [bad], 1, 1))
        assert [type(error) for error in caught.value.exceptions] == [VisitError]
        good = make(url, 1, make_token(1, secret))
        asyncio.run(visit(url, [good], 1, 1))


@pytest.mark.parametrize("size", [0, 2, 125, 126, 3_000])
def test_a_frame_is_one_that_a_server_takes(size: int) -> None:
    from wsproto.frame_protocol import FrameProtocol

    server = FrameProtocol(client=False, extensions=[])
    server.receive_bytes(frame(b"x" * size))
    [found] = server.received_frames()
    assert (found.payload, found.frame_finished, found.message_finished) == ("x" * size, True, True)


def test_the_row_names_the_limits_that_were_raised() -> None:
    from benchmarks.connects import rows

    [row] = rows(Options(quick=True))
    assert any("admissions=" in note and "arrivals_per_address=" in note for note in row.notes)
    assert [one.name for one in row.contestants] == ["im", "websockets relay", "python-socketio"]
