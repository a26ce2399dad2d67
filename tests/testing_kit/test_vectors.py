"""The conformance vectors: the engine does what they say, and another engine is noticed."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from im_proto.client import ClientCore, liveness
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client import journal as jn
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode
from im_proto.testing.vectors import read, record, replay, write
from im_proto.testing.vectors.choice import as_line
from im_proto.testing.vectors.following import followed
from im_proto.testing.vectors.lives import Recorder, Replayed
from im_proto.testing.vectors.plain import (
    Untellable,
    read_config,
    read_input,
    read_journal,
    tell,
    told_config,
    told_input,
    told_journal,
)
from im_proto.testing.vectors.scenes import lives_of_a_scene
from im_proto.wire.closes import CLOSES, HTTP_STATUSES
from im_proto.wire.session import SessionOp

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "vectors"
VECTORS = list(read(FOLDER))
EXAMPLE = next(vector for vector in VECTORS if len(vector["steps"]) > 20)


def test_the_engine_does_what_every_vector_says() -> None:
    differences = [difference for vector in VECTORS if (difference := replay(vector))]
    assert not differences, "\n".join(map(str, differences[:3]))
    assert len(VECTORS) > 100


def _steps() -> Iterator[dict[str, Any]]:
    for vector in VECTORS:
        yield from vector["steps"]


def test_the_vectors_show_every_input_action_event_and_change() -> None:
    done = [action for step in _steps() for action in step.get("actions", ())]
    events = {action["event"]["type"] for action in done if action["type"] == "Notify"}
    changes = {one["type"] for action in done for one in action.get("changes", ())}
    assert {step["input"]["type"] for step in _steps()} == _names(inp.CoreInput)
    assert {action["type"] for action in done} == _names(act.CoreAction)
    assert events == _names(ev.Event)
    assert changes == _names(jn.Change)


def _names(union: object) -> set[str]:
    return {kind.__name__ for kind in get_args(union)}


def test_the_vectors_show_every_close_status_dialect_and_way_of_failing() -> None:
    inputs = [step["input"] for step in _steps()]
    closes = {one["code"] for one in inputs if one["type"] == "PeerClosed"}
    statuses = {one["status"] for one in inputs if one["type"] == "LinkRefused"}
    assert closes >= set(CLOSES)
    assert statuses >= set(HTTP_STATUSES)
    assert {vector["config"].get("dialect") for vector in VECTORS} == {None, "typed"}
    assert {vector["config"].get("extensions") for vector in VECTORS} == {None, False}
    asked = {step["input"]["op"] for step in _steps() if step["input"]["type"] == "SessionCall"}
    assert asked == set(SessionOp)
    raised = {step.get("raises") for step in _steps()}
    assert raised >= {"LocalProtocolError", "QUEUE_FULL", "MESSAGE_FORMAT_ERROR"}
    restored = [vector for vector in VECTORS if (vector["journal"] or {}).get("outgoing")]
    assert len(restored) > 5


def test_they_are_small_enough_to_be_kept() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("client-*.jsonl")]
    assert sum(sizes) < 3_000_000
    assert max(len(vector["steps"]) for vector in VECTORS) <= 60


class Impatient(ClientCore):
    """Waits too little."""

    def next_deadline(self) -> float | None:
        at = super().next_deadline()
        return None if at is None else at - 0.001


class Mute(ClientCore):
    """Keeps a word back."""

    def step(self, event: inp.CoreInput | inp.TurnEnded, now: float) -> list[act.CoreAction]:
        return [one for one in super().step(event, now) if not isinstance(one, act.SendText)]


class Lenient(ClientCore):
    """Refuses nothing."""

    def step(self, event: inp.CoreInput, now: float) -> list[act.CoreAction]:
        try:
            return super().step(event, now)
        except IMError:
            return []


@pytest.mark.parametrize("core", [Impatient, Mute, Lenient])
def test_a_changed_engine_is_noticed(core: type[ClientCore]) -> None:
    differences = [found for vector in VECTORS[::5] if (found := replay(vector, core))]
    assert len(differences) > 5
    assert "step" in differences[0].place
    assert "expected" in str(differences[0])


def test_a_changed_constant_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "DEFAULT_TIMEOUT", 6.0)
    assert any(
        difference is not None and ".deadline" in difference.place
        for difference in map(replay, VECTORS)
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda step: step["actions"].append({"type": "StartLink"}), ".actions["),
        (lambda step: step["actions"].pop(), ".actions["),
        (lambda step: step.update(deadline=1.0), ".deadline"),
        (lambda step: step.update(raises="QUEUE_FULL"), ".raises"),
    ],
)
def test_a_difference_names_vector_step_input_and_place(change: Any, where: str) -> None:
    vector = copy.deepcopy(EXAMPLE)
    at = next(n for n, step in enumerate(vector["steps"]) if step.get("actions"))
    change(vector["steps"][at])
    difference = replay(vector)
    assert difference is not None
    assert difference.place.startswith(f"{vector['name']}, step {at}{where}")
    assert difference.event == vector["steps"][at]["input"]


def test_a_draw_too_many_or_too_few_is_noticed() -> None:
    vector = next(vector for vector in VECTORS if len(vector["draws"]) > 1)
    more = vector | {"draws": [*vector["draws"], 0.5]}
    difference = replay(more)
    assert difference is not None
    assert "draws" in difference.place
    fewer = vector | {"draws": vector["draws"][:-1]}
    difference = replay(fewer)
    assert difference is not None
    assert "more than were drawn" in str(difference)


@pytest.mark.slow
def test_the_same_seeds_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (record(1, budget=60_000) for _ in range(2))
    assert [as_line(vector) for vector in one] == [as_line(vector) for vector in other]
    assert one
    assert sum(len(as_line(vector)) for vector in one) < 250_000
    (tmp_path / "client-99.jsonl").write_text("old\n")
    paths = write(one, tmp_path)
    assert sorted(tmp_path.iterdir()) == paths
    assert list(read(tmp_path)) == json.loads(json.dumps(one))


def test_a_life_is_recorded_and_can_be_lived_again() -> None:
    (life, *_) = lives_of_a_scene(7, steps=30)
    vector = json.loads(as_line(life.vector("one", 20)))
    assert (len(vector["steps"]), len(life.steps)) == (20, 30)
    assert replay(vector) is None


CONFIG = ClientConfig(ws_url="ws://server/ws", token="a", user_id=1)


def test_a_number_that_javascript_would_not_keep_ends_the_record() -> None:
    recorder = Recorder(9)
    core = recorder.core(CONFIG, now=0.0, wall=1e9, rng=Replayed(["0" * 16]))
    core.step(inp.Connect(), 0.0)
    core.step(inp.TransportOpened(transport=1), 0.0)
    core.step(inp.LinkOpened(transport=1), 0.0)
    text = json.dumps({"type": "NEWS", "message": json.dumps({"seq": 2**53})})
    core.step(inp.TextReceived(transport=1, text=text), 0.0)
    core.step(inp.NetworkChanged(), 0.0)
    (life,) = recorder.lives
    assert [step["input"]["type"] for step in life.steps] == [
        "Connect",
        "TransportOpened",
        "LinkOpened",
    ]


def test_ids_above_2_to_the_53_are_strings_and_other_numbers_are_refused() -> None:
    told = told_input(inp.MarkRead(from_user=2**60, msg_id=2**53))
    assert told == {"type": "MarkRead", "fromUser": str(2**60), "msgId": str(2**53)}
    assert read_input(told) == inp.MarkRead(from_user=2**60, msg_id=2**53)
    with pytest.raises(Untellable):
        told_input(inp.TokenReady(request=2**53, token="a"))
    with pytest.raises(Untellable):
        told_input(inp.HttpAnswered(request=1, status=200, body=b"\xff"))


def test_what_an_application_leaves_out_is_left_out() -> None:
    send = inp.Send(ref=1, to_user="bravo", content="hello", ttl=2.0)
    told = told_input(send)
    assert told == {"type": "Send", "ref": 1, "toUser": "bravo", "content": "hello", "ttl": 2}
    assert read_input(told) == send
    lost = inp.TransportLost(transport=1)
    assert told_input(lost)["reason"] == ""


def test_an_error_is_told_with_all_that_it_says() -> None:
    error = IMError(IMErrorCode.SERVER_ERROR, "no", server_code=500)
    told = tell(act.Notify(event=ev.SessionFailed(ref=1, error=error)))
    assert told["event"]["error"] == {
        "code": "SERVER_ERROR",
        "text": "no",
        "serverCode": 500,
        "serverText": None,
        "retryable": True,
        "terminal": False,
    }


def test_a_configuration_is_told_by_what_is_not_usual() -> None:
    config = ClientConfig(
        ws_url="ws://server/ws",
        token=lambda: "a",
        user_id="bravo",
        reconnect={"jitter": "none"},  # type: ignore[arg-type]
        headers={"X": "y"},  # type: ignore[arg-type]
    )
    told = told_config(config)
    assert told == {
        "wsUrl": "ws://server/ws",
        "token": None,
        "userId": "bravo",
        "reconnect": {"jitter": "none"},
    }
    assert read_config(told).reconnect == config.reconnect
    assert callable(read_config(told).token)


def test_a_journal_is_told_and_read() -> None:
    state = jn.JournalState(known_pairs=7)
    record_ = jn.OutgoingRecord(ref=1, msg_id=2**60, to_user=2, content="a", message_type="text")
    state.apply(
        [
            jn.Identity(device_id="d", highest_msg_id=2**60),
            record_,
            jn.Cursor(epoch="e", seq=3, from_user="bravo", msg_id=2**60),
            jn.Offered(seq=9),
            jn.Handled(seq=5),
            jn.PairKnown(from_user=2, msg_id=2**60, digest=b"x"),
        ]
    )
    told = told_journal(state)
    assert told is not None
    assert told["pairs"] == [[2, str(2**60), ""]]
    again = read_journal(json.loads(json.dumps(told)))
    assert again is not None
    state.pairs[2, 2**60] = b""
    assert again == state
    assert read_journal(told_journal(None)) is None


def test_following_tells_one_way_from_another_and_puts_back_who_traced() -> None:
    core = ClientCore(CONFIG, now=0.0, wall=1e9, rng=Replayed(["0" * 16]))
    before = sys.gettrace()
    one: set[Any] = set()
    other: set[Any] = set()
    with followed(one):
        core.step(inp.Connect(), 0.0)
    with followed(other):
        core.step(inp.Connect(), 0.0)
    assert sys.gettrace() is before
    assert one
    assert other
    assert one != other
