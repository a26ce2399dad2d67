"""A hostile server and the answers to calls about sessions, over HTTP and over the WebSocket."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.session_cache import MAX_CACHED
from im_proto.client.session_http import MAX_BODY
from im_proto.wire import session
from im_proto.wire.session import SessionOp
from security.hostile_kit import Victim, held

NEEDLE = "N33DLE"
SESSION = {"id": 1, "bookId": 2, "buyerId": 1, "sellerId": 3, "sessionStatus": 1}
#: Bodies that say nothing, with any status.
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": f"<html>{NEEDLE}</html>".encode(),
    "no UTF-8": b'{"code":0,"message":"\xff"}',
    "100 000 arrays deep": b'{"code":0,"data":' + b"[" * 100_000,
    "NaN": b'{"code":0,"data":NaN}',
    "a number of 5 000 digits": b'{"code":0,"data":' + b"9" * 5_000 + b"}",
    "a lone surrogate": b'{"code":0,"data":"\\ud800"}',
    "no code": json.dumps({"data": [], "x": NEEDLE}).encode(),
    "a code of 2^63": b'{"code":9223372036854775808}',
    "a code of true": b'{"code":true}',
    "a list": b"[]",
    "a body that goes on": b'{"code":0,"data":"' + b"x" * MAX_BODY + b'"}',
    "data of another kind": b'{"code":0,"data":7}',
    "two values": b'{"code":0}{"code":0}',
}


def call(v: Victim, op: SessionOp, **what: int) -> act.CallHttp:
    """The application asks, and the call goes out over HTTP."""
    v.do(inp.SessionCall(ref=1, op=op, **what))
    (wanted,) = v.of(act.CallHttp)
    v.forget()
    return wanted


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [200, 201, 302, 400, 404, 500])
def test_an_answer_that_can_not_be_read_fails_the_call_and_nothing_else(
    name: str, status: int
) -> None:
    v = Victim()
    wanted = call(v, SessionOp.GET_CURRENT)
    v.do(inp.HttpAnswered(request=wanted.request, status=status, body=BODIES[name]))
    (failed,) = v.of(ev.SessionFailed)
    assert not failed.error.terminal
    assert NEEDLE not in str(failed.error)
    assert len(str(failed.error)) < 300
    assert v.engine.next_deadline() is None


@pytest.mark.parametrize("retry_after", [0.0, 86_400.0, None])
def test_no_answer_keeps_a_call_beyond_its_time(retry_after: float | None) -> None:
    v = Victim(http={"timeout": 10.0})
    wanted = call(v, SessionOp.GET, session_id=1)
    began, asked = v.now, 0
    while not v.of(ev.SessionFailed):
        asked += 1
        v.do(
            inp.HttpAnswered(request=wanted.request, status=503, body=b"", retry_after=retry_after)
        )
        calls = v.of(act.CallHttp)
        if not v.of(ev.SessionFailed) and not calls:
            v.pass_time(20.0, until=act.CallHttp)
        if v.of(act.CallHttp):
            (wanted,) = v.of(act.CallHttp)
            v.actions = [it for it in v.actions if not isinstance(it, act.CallHttp)]
    assert v.now - began <= 10.0
    assert asked <= 6  # with growing delays


@pytest.mark.parametrize("linked", [False, True], ids=["http", "websocket"])
def test_of_an_answer_of_a_megabyte_only_so_much_is_looked_at(
    linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    validate = BaseModel.model_validate.__func__  # type: ignore[attr-defined]

    def counts(cls: type[BaseModel], data: object) -> BaseModel:
        looked_at.append(cls)
        checked: BaseModel = validate(cls, data)
        return checked

    monkeypatch.setattr(session.SessionVO, "model_validate", classmethod(counts))
    monkeypatch.setattr(session.HistoryRecord, "model_validate", classmethod(counts))
    for op, what in ((SessionOp.GET_CURRENT, {}), (SessionOp.HISTORY, {"session_id": 1})):
        looked_at.clear()
        v = Victim()
        if linked:
            v.login(capabilities=["seq", "sessions"])
            v.do(inp.SessionCall(ref=1, op=op, **what))
            text = '{"type":"SESSION_RESPONSE","message":{"id":"1","code":0,"data":['
            v.text(text + "{}," * 340_000 + "{}]}}")
        else:
            wanted = call(v, op, **what)
            body = b'{"code":0,"data":[' + b"{}," * 340_000 + b"{}]}"
            v.do(inp.HttpAnswered(request=wanted.request, status=200, body=body))
        assert len(looked_at) == session.MOST_ITEMS
        answers = v.of(ev.SessionFetched) or v.of(ev.HistoryFetched)
        assert len(answers) == 1


def test_sessions_that_a_server_makes_up_are_remembered_up_to_a_bound() -> None:
    v = Victim()
    wanted = call(v, SessionOp.GET_CURRENT)
    told = [SESSION | {"id": number} for number in range(1, 10_001)]
    body = json.dumps({"code": 0, "data": told}).encode()
    v.do(inp.HttpAnswered(request=wanted.request, status=200, body=body))
    assert len(v.engine.cached_sessions()) == MAX_CACHED


def test_memory_does_not_grow_with_calls_and_their_answers() -> None:
    v = Victim()

    def ask() -> None:
        for _ in range(50):
            wanted = call(v, SessionOp.GET, session_id=1)
            body = json.dumps({"code": 0, "data": SESSION | {"x": "y" * 10_000}}).encode()
            v.do(inp.HttpAnswered(request=wanted.request, status=200, body=body))
            v.do(inp.HttpAnswered(request=wanted.request, status=200, body=body))  # and again
            assert len(v.of(ev.SessionFetched)) == 1
            v.forget()

    ask()
    behind, _ = held(ask)
    assert behind < 250_000  # of 1 MB; other threads of the tests may hold something as well
