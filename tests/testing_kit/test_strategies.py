"""The strategies that users get: one for everything, and they make what they say."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import find as find_smallest
from hypothesis import strategies as st

from im_proto.client import ClientCore, ClientEngine
from im_proto.client import inputs as ci
from im_proto.config import ClientConfig, ServerConfig
from im_proto.errors import IMError, LocalProtocolError
from im_proto.framing import Framing, HandshakeRequested
from im_proto.limits import FrameLimits
from im_proto.server import Gateway, talk
from im_proto.server import inputs as si
from im_proto.server.engine import ServerEngine
from im_proto.testing import strategies as im_st
from im_proto.wire import CLIENT_MESSAGES, SERVER_MESSAGES

SMALL = settings(max_examples=30, suppress_health_check=list(HealthCheck))
FIRST = settings(
    max_examples=3000, phases=[Phase.generate], derandomize=True, database=None, deadline=None
)
LIMITS = FrameLimits(message_bytes=2**24, control_burst=10**6)


def find(strategy: st.SearchStrategy[Any], wanted: Callable[[Any], bool]) -> Any:
    """The first example that is as wanted, not the smallest."""
    return find_smallest(strategy, wanted, settings=FIRST)


# --- one for everything


@pytest.mark.parametrize("model", [*CLIENT_MESSAGES, *SERVER_MESSAGES], ids=lambda m: m.__name__)
def test_every_message_has_a_strategy_that_makes_it(model: type) -> None:
    assert isinstance(find(im_st.MESSAGES[model], lambda _: True), model)


@pytest.mark.parametrize("kind", dict.fromkeys([*get_args(ci.Input), *get_args(ci.CoreInput)]))
def test_every_input_of_a_client_has_a_strategy_that_makes_it(kind: type) -> None:
    assert isinstance(find(im_st.CLIENT_INPUTS[kind], lambda _: True), kind)


@pytest.mark.parametrize("kind", dict.fromkeys([*get_args(si.Input), *get_args(si.CoreInput)]))
def test_every_input_of_a_server_has_a_strategy_that_makes_it(kind: type) -> None:
    assert isinstance(find(im_st.SERVER_INPUTS[kind], lambda _: True), kind)


@pytest.mark.parametrize("what", get_args(talk.FromHub))
def test_whatever_a_hub_says_is_made(what: type) -> None:
    made = find(im_st.SERVER_INPUTS[talk.SendTo], lambda told: isinstance(told.said[0], what))
    assert isinstance(made.said[0], what)


#: `dialect` is chosen by who writes the test, `http` says where calls go: neither varies by itself.
CONSTANT = {"dialect", "http"}


@pytest.mark.parametrize("name", sorted(set(ClientConfig.model_fields) - CONSTANT))
def test_every_setting_of_a_client_varies(name: str) -> None:
    default = ClientConfig(ws_url="ws://h/", token="t", user_id=1)
    find(im_st.client_configs(), lambda made: getattr(made, name) != getattr(default, name))


@pytest.mark.parametrize("name", sorted(ServerConfig.model_fields))
def test_every_setting_of_a_server_varies(name: str) -> None:
    find(im_st.server_configs(), lambda made: getattr(made, name) != getattr(ServerConfig(), name))


@SMALL
@given(im_st.client_configs(max_queue=3, token="mine"), im_st.server_configs(path="/x"))
def test_what_is_fixed_in_a_configuration_stays(mine: ClientConfig, theirs: ServerConfig) -> None:
    assert (mine.max_queue, mine.token, theirs.path) == (3, "mine", "/x")


# --- streams


@SMALL
@given(st.data(), st.binary(max_size=400))
def test_chunks_are_all_of_the_data_and_none_is_empty(data: st.DataObject, whole: bytes) -> None:
    cut = data.draw(im_st.chunks(whole))
    assert b"".join(cut) == whole and all(cut)


def reader(role: str) -> Framing:
    """Who reads what that role writes."""
    if role == "client":
        return Framing.server(limits=LIMITS)
    client = Framing.client(host="server", target="/ws", rng=im_st.SampleKey(1), limits=LIMITS)
    client.request()
    return client


def read(framing: Framing, chunks: list[bytes]) -> list[object]:
    events: list[object] = []
    for chunk in chunks:
        for event in framing.receive(chunk, 0.0):
            events.append(event)
            if isinstance(event, HandshakeRequested):
                framing.accept()
                break
    return events


@pytest.mark.parametrize("role", ["client", "server"])
@SMALL
@given(data=st.data())
def test_the_other_side_reads_exactly_what_a_stream_says(role: str, data: st.DataObject) -> None:
    stream = data.draw(im_st.byte_streams(role=role))
    framing = reader(role)
    chunks = list(stream.chunks)
    if role == "client":  # nobody sends a frame before the upgrade was answered
        head = stream.data.index(b"\r\n\r\n") + 4
        chunks = [stream.data[:head], stream.data[head:]]
    assert read(framing, chunks) == list(stream.events)


@pytest.mark.parametrize("role", ["client", "server"])
def test_streams_are_fragmented_interleaved_and_closed(role: str) -> None:
    def rich(stream: im_st.ByteStream) -> bool:
        kinds = [type(event).__name__ for event in stream.events]
        return {"TextFrame", "PingFrame", "PongFrame", "CloseFrame"} <= set(kinds)

    assert find(im_st.byte_streams(role=role), rich)
    masked = find(im_st.byte_streams(role=role), rich).data
    frame = masked[masked.index(b"\r\n\r\n") + 4 :]
    assert bool(frame[1] & 0x80) == (role == "client")


@pytest.mark.parametrize("role", ["client", "server"])
@SMALL
@given(data=st.data())
def test_a_broken_stream_upsets_nobody(role: str, data: st.DataObject) -> None:
    read(reader(role), data.draw(im_st.garbage_streams(role=role)))


@pytest.mark.parametrize("role", ["client", "server"])
def test_broken_streams_are_broken(role: str) -> None:
    def broken(chunks: list[bytes]) -> bool:
        kinds = [type(event).__name__ for event in read(reader(role), chunks)]
        return "Violation" in kinds

    assert find(im_st.garbage_streams(role=role), broken)


# --- time


def test_clocks_jump_stand_still_and_go_back() -> None:
    pairs = lambda readings: list(itertools.pairwise(readings))  # noqa: E731
    find(im_st.clocks(), lambda r: any(a == b for a, b in pairs(r)))
    find(im_st.clocks(), lambda r: any(a > b for a, b in pairs(r)))
    find(im_st.clocks(), lambda r: any(b - a > 1000 for a, b in pairs(r)))
    assert len(find(im_st.clocks(min_size=3, max_size=3), lambda _: True)) == 3


# --- inputs


@SMALL
@given(
    im_st.client_configs(dialect="invocation"),
    im_st.clocks(min_size=30, max_size=30),
    st.lists(im_st.client_inputs(), max_size=30),
)
def test_no_input_upsets_a_client(
    config: ClientConfig, clock: list[float], inputs: list[ci.Input]
) -> None:
    engine = ClientEngine(config, now=1_000.0, wall=0.0, rng=im_st.SampleKey(1))
    mistakes = (ci.Send, ci.Cancel, ci.UpdateToken, ci.SessionCall)
    mistakes += (ci.MarkRead, ci.SetTyping, ci.TransportOpened, ci.TransportFailed)
    for now, event in zip(clock, inputs, strict=False):
        try:
            engine.step(event, now)
        except (LocalProtocolError, IMError):
            assert isinstance(event, mistakes), event


@SMALL
@given(im_st.clocks(min_size=30, max_size=30), st.lists(im_st.client_core_inputs(), max_size=30))
def test_no_input_upsets_a_client_core(clock: list[float], inputs: list[ci.CoreInput]) -> None:
    config = ClientConfig(ws_url="ws://h/", token="t", user_id=1)
    core = ClientCore(config, now=1_000.0, wall=0.0, rng=im_st.SampleKey(1))
    for now, event in zip(clock, [ci.Connect(), *inputs], strict=False):
        try:
            core.step(event, now)
        except (LocalProtocolError, IMError):
            assert not isinstance(event, ci.TextReceived | ci.TransportLost), event


@SMALL
@given(
    im_st.server_configs(),
    im_st.clocks(min_size=30, max_size=30),
    st.lists(im_st.server_inputs(), max_size=30),
)
def test_no_input_upsets_a_gateway(
    config: ServerConfig, clock: list[float], inputs: list[si.Input]
) -> None:
    gateway = Gateway(config, now=1_000.0, wall=0.0, strict=True)
    for now, event in zip(clock, inputs, strict=False):
        gateway.step(event, now)


@SMALL
@given(im_st.clocks(min_size=30, max_size=30), st.lists(im_st.server_engine_inputs(), max_size=30))
def test_no_input_upsets_a_server_engine(clock: list[float], inputs: list[object]) -> None:
    engine = ServerEngine(0, ServerConfig(), now=1_000.0, wall_offset=0.0)
    opening = si.BytesReceived(connection=0, data=im_st.upgrade_request())
    for now, event in zip(clock, [opening, *inputs], strict=False):
        engine.step(event, now=now)
