"""Frames that cost us far more than their sender: none, or few bytes each, and many."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameDecoder

from im_proto.frames import Frames
from im_proto.server import actions as act
from security.gate_kit import Gate

#: as much as one read of a socket may give
READ = 262_144
EMPTY = b"\x81\x80\0\0\0\0"
OBJECT = b"\x81\x82\0\0\0\0{}"
#: one message that is cut as far as it may be
CUT = b"\x01\x82\0\0\0\0{}" + b"\x00\x80\0\0\0\0" * 62 + b"\x80\x80\0\0\0\0"


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each frame that was looked at: each costs some 20 us."""
    seen: list[int] = []
    look = FrameDecoder.process_buffer

    def count(self: FrameDecoder) -> object:
        frame = look(self)
        if frame is not None:
            seen.append(1)
        return frame

    take = Frames.texts

    def count_texts(self: Frames, data: bytes, at: int) -> tuple[list[str], int]:
        texts, at = take(self, data, at)
        seen.extend([1] * len(texts))
        return texts, at

    monkeypatch.setattr(FrameDecoder, "process_buffer", count)
    monkeypatch.setattr(Frames, "texts", count_texts)
    return seen


@pytest.mark.parametrize("piece", [EMPTY, OBJECT, CUT], ids=["empty", "object", "cut"])
def test_before_the_log_in_few_frames_of_a_flood_are_looked_at(
    frames: list[int], piece: bytes
) -> None:
    kit = Gate()
    peer = kit.come()
    for _ in range(8):
        peer.raw(piece * (READ // len(piece)))
    assert peer.code in (1007, 1008, 4009)
    assert len(frames) < 1000


def test_who_goes_on_talking_behind_our_close_is_dropped(frames: list[int]) -> None:
    kit = Gate()
    peer = kit.plain(1)
    peer.raw(b"\x81\x81\0\0\0\0x")  # which nobody can read
    assert peer.code == 1007
    frames.clear()
    peer.raw(OBJECT * kit.config.envelope_burst)
    assert not any(isinstance(action, act.AbortTransport) for action in kit.said)
    peer.raw(OBJECT)
    assert any(isinstance(action, act.AbortTransport) for action in kit.said)
    assert len(frames) == kit.config.envelope_burst + 1
    assert not kit.gateway.engines


def test_what_was_on_its_way_when_we_closed_does_not_cost_the_word_that_we_said() -> None:
    kit = Gate(envelope_burst=300, control_burst=300)
    peer = kit.user(1)
    peer.raw(OBJECT * 900)
    assert peer.code == 4009 and peer.kinds[-1] == "KICK"
    assert not any(isinstance(action, act.AbortTransport) for action in kit.said)


def test_of_a_flood_in_one_read_no_more_is_looked_at_than_may_be_said(frames: list[int]) -> None:
    kit = Gate(envelope_burst=100)
    peer = kit.user(1)
    frames.clear()
    peer.raw(OBJECT * (READ // len(OBJECT)))
    assert peer.code == 4009
    assert len(frames) < 2000  # twice the burst, as much behind the close, the rest of a piece


def test_pieces_of_messages_are_counted_and_whole_messages_may_be_cut() -> None:
    kit = Gate()
    peer = kit.user(1)
    peer.raw(CUT * 2)
    assert peer.close is None
    peer.raw(CUT)
    assert peer.code == 1008
    slow = kit.user(2)
    for _ in range(20):
        slow.raw(CUT)
        kit.wait(1)
    assert slow.close is None
