"""Sessions over HTTP, in virtual time: what is asked, and what each answer leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.sessions_kit import THREE, VO, Http
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.client.session_http import MAX_BODY
from im_proto.errors import IMErrorCode, LocalProtocolError
from im_proto.wire.session import SessionOp

SECRET = "t0-very-secret"


# ---------------------------------------------------------------- what is asked


def test_a_session_is_got_by_its_id_without_any_connection() -> None:
    d = Http(token=SECRET)
    ref = d.get(77)
    call = d.http
    assert (call.method, call.url) == ("GET", "http://chat.example/im/session/get?sessionId=77")
    assert dict(call.headers)["satoken"] == SECRET
    assert dict(call.headers)["Accept-Encoding"] == "identity"
    assert (call.body, call.timeout, call.limit) == (b"", 10.0, MAX_BODY)
    d.reply(data=VO)
    (session,) = d.result(ref)
    assert (session.id, session.book_id, session.buyer_id, session.seller_id) == (77, 5, 1, 2)
    assert (session.session_status, session.active) == (1, True)
    assert session.expire_time == "2030-01-02 03:04:05"
    assert d.core.next_deadline() is None
    assert not d.of(act.OpenTransport)


def test_a_session_is_got_by_book_buyer_and_seller() -> None:
    d = Http()
    d.get(book_id=0, buyer_id="böb & co", seller_id=2**63 - 1)
    url = "/im/session/get?bookId=0&buyerId=b%C3%B6b+%26+co&sellerId=9223372036854775807"
    assert d.asked() == [f"GET {url}"]


def test_create_asks_with_a_query_and_then_for_the_session_itself() -> None:
    d = Http()
    ref = d.create()
    assert d.asked() == ["POST /im/session/create?bookId=5&buyerId=1&sellerId=2"]
    d.reply(data="77")
    assert d.ended() == []
    assert d.asked()[1:] == ["GET /im/session/get?sessionId=77"]
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77


def test_create_takes_the_session_itself_as_an_answer_too() -> None:
    d = Http()
    ref = d.create()
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77
    assert len(d.asked()) == 1


def test_start_chat_sends_json_and_big_ids_as_strings() -> None:
    d = Http()
    ref = d.start_chat(book_id=2**53)
    assert d.asked() == ["POST /im/session/startChat"]
    assert json.loads(d.http.body) == {"bookId": str(2**53), "buyerId": 1, "sellerId": 2}
    assert dict(d.http.headers)["Content-Type"] == "application/json"
    d.reply(200, VO)
    assert d.result(ref)[0].id == 77


def test_the_current_sessions_come_with_their_unread_counts() -> None:
    d = Http(user_id="bravo")
    ref = d.ask(SessionOp.GET_CURRENT)
    assert d.asked() == ["POST /im/session/getCurrent"]
    assert json.loads(d.http.body) == {"userId": "bravo"}
    d.reply(data=[VO | {"buyerReaded": 3, "sellerReaded": "4"}, VO | {"id": "78"}])
    one, two = d.result(ref)
    assert (one.buyer_readed, one.seller_readed, two.id, two.buyer_readed) == (3, 4, 78, None)


def test_no_token_and_no_body_shows_in_an_actions_repr() -> None:
    d = Http(token=SECRET, proxy="http://u:hush@proxy.example:3128")
    d.start_chat()
    assert d.http.proxy is not None
    for hidden in (SECRET, "hush", "bookId"):
        assert hidden not in repr(d.http)


@pytest.mark.parametrize(
    ("config", "start"),
    [
        ({"ws_url": "wss://h/ws"}, "https://h/im/session/"),
        ({"ws_url": "wss://h:443/ws"}, "https://h/im/session/"),
        ({"ws_url": "ws://h:8080/ws"}, "http://h:8080/im/session/"),
        ({"ws_url": "ws://[::1]:8080/"}, "http://[::1]:8080/im/session/"),
        ({"http": {"prefix": ""}}, "http://chat.example/session/"),
        ({"http": {"prefix": "/api/im"}}, "http://chat.example/api/im/session/"),
        ({"http": {"base_url": "https://api.example:8443/"}}, "https://api.example:8443/im/"),
        ({"http": {"create_path": "/session/add"}}, "http://chat.example/im/session/add?"),
    ],
)
def test_where_the_calls_go_is_the_websockets_host_or_configuration(
    config: dict[str, Any], start: str
) -> None:
    d = Http(**config)
    d.create()
    assert d.http.url.startswith(start)


def test_a_unix_socket_is_used_unless_the_calls_go_elsewhere() -> None:
    here, there = (
        Http(unix_path="/run/im", http=http) for http in ({}, {"base_url": "http://api.example"})
    )
    for d in (here, there):
        d.get(1)
    assert (here.http.unix_path, there.http.unix_path) == ("/run/im", None)


@pytest.mark.parametrize(
    "http",
    [
        {"base_url": "ws://h"},
        {"base_url": "http://u:p@h"},
        {"base_url": "http://h?x=1"},
        {"base_url": "http://h/ x"},
        {"base_url": "http://"},
        {"prefix": "im"},
        {"prefix": "/im/"},
        {"prefix": "/im?x"},
        {"create_path": ""},
        {"create_path": "/a#b"},
        {"create_path": "/a\r\nx: y"},
        {"timeout": 0},
        {"unknown": 1},
    ],
)
def test_a_wrong_configuration_is_told_at_once(http: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="http"):
        Http(http=http)


@pytest.mark.parametrize(
    ("op", "params"),
    [
        (SessionOp.GET, {}),
        (SessionOp.GET, {"session_id": 1, "book_id": 1}),
        (SessionOp.GET, {"book_id": 1, "buyer_id": 2}),
        (SessionOp.GET, {"session_id": 0}),
        (SessionOp.GET, {"session_id": 2**63}),
        (SessionOp.GET, {"session_id": True}),
        (SessionOp.GET, {"session_id": "7"}),
        (SessionOp.CREATE, {"session_id": 1}),
        (SessionOp.CREATE, {"book_id": 1, "buyer_id": 2}),
        (SessionOp.CREATE, THREE | {"book_id": -1}),
        (SessionOp.START_CHAT, THREE | {"buyer_id": ""}),
        (SessionOp.START_CHAT, THREE | {"session_id": 1}),
        (SessionOp.GET_CURRENT, {"session_id": 1}),
    ],
)
def test_what_is_not_complete_is_the_callers_mistake(op: SessionOp, params: dict[str, Any]) -> None:
    d = Http()
    with pytest.raises(LocalProtocolError, match="SessionCall"):
        d.ask(op, **params)
    assert d.core.next_deadline() is None


def test_a_ref_in_use_is_the_callers_mistake() -> None:
    d = Http()
    d.get(1)
    with pytest.raises(LocalProtocolError, match="ref 1"):
        d.do(inp.SessionCall(ref=1, op=SessionOp.GET, session_id=2))


# ---------------------------------------------------------------- what an answer means


@pytest.mark.parametrize("code", [40400, 404])
def test_a_get_that_finds_nothing_is_no_error(code: int) -> None:
    d = Http()
    ref = d.get(77)
    d.reply(code, message="no such session")
    assert d.result(ref) == ()


@pytest.mark.parametrize("status", [404, 200])
def test_a_get_without_data_finds_nothing(status: int) -> None:
    d = Http()
    ref = d.get(77)
    d.reply(**({"code": 40400} if status == 404 else {}), status=status)
    assert d.result(ref) == ()


def test_what_the_server_knows_no_more_leaves_the_cache() -> None:
    d = Http()
    d.get(77)
    d.reply(data=VO)
    assert d.core.sessions.cache.get(77) is not None
    d.get(77)
    d.reply(40400)
    assert d.core.sessions.cache.get(77) is None


@pytest.mark.parametrize(
    ("op", "code", "status", "kind", "retryable"),
    [
        ("create", 40400, 200, IMErrorCode.SESSION_CREATE_FAILED, False),
        ("create", 400, 200, IMErrorCode.SESSION_CREATE_FAILED, False),
        ("create", 403, 403, IMErrorCode.SESSION_CREATE_FAILED, False),
        ("create", 50000, 200, IMErrorCode.SERVER_ERROR, True),
        ("create", 0, 500, IMErrorCode.SERVER_ERROR, True),
        ("create", 0, 404, IMErrorCode.SERVER_ERROR, False),
        ("create", 40101, 200, IMErrorCode.TOKEN_INVALID, False),
        ("create", 0, 401, IMErrorCode.TOKEN_INVALID, False),
        ("start_chat", 40300, 200, IMErrorCode.SESSION_CREATE_FAILED, False),
        ("start_chat", 40400, 200, IMErrorCode.SESSION_CREATE_FAILED, False),
        ("get", 403, 200, IMErrorCode.SERVER_ERROR, False),
        ("get", 0, 404, IMErrorCode.SERVER_ERROR, False),
        ("get", 40100, 200, IMErrorCode.TOKEN_INVALID, False),
        ("current", 40400, 200, IMErrorCode.SESSION_NOT_FOUND, False),
        ("current", 503, 503, IMErrorCode.SERVER_ERROR, True),
    ],
)
def test_each_refusal_has_its_error(
    op: str, code: int, status: int, kind: IMErrorCode, retryable: bool
) -> None:
    d = Http()
    asks = {
        "create": d.create,
        "start_chat": d.start_chat,
        "get": lambda: d.get(7),
        "current": lambda: d.ask(SessionOp.GET_CURRENT),
    }
    ref = asks[op]()
    d.reply(code, message="because", status=status)
    error = d.failure(ref)
    assert (error.code, error.retryable, error.terminal) == (kind, retryable, False)
    assert error.server_code == (code or status)
    assert d.core.next_deadline() is None


HOSTILE = [
    b"",
    b"<html>502</html>",
    b"\xff\xfe",
    b"[]",
    b"null",
    b'"x"',
    b'{"code": NaN}',
    b'{"code": 1e999}',
    b'{"code": 0, "data": "\\ud800"}',
    b'{"code": ' + b"9" * 5000 + b"}",
    b'{"code": true}',
    b'{"code": "abc"}',
    b'{"data": {}}',
    b"[" * 100_000,
    b'{"code":0,"data":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    b'{"code": 0, "data": {}}',
    b'{"code": 0, "data": []}',
    b'{"code": 0, "data": true}',
    b'{"code": 0, "data": 1.5}',
    b'{"code": 0, "data": {"id": 0, "bookId": 1, "buyerId": 1, "sellerId": 2}}',
    b'{"code": 0, "data": {"id": 9223372036854775808, "bookId": 1, "buyerId": 1, "sellerId": 2}}',
    b'{"code": 0, "data": {"id": 1, "bookId": 1, "buyerId": "\\u0000", "sellerId": 2}}',
    b'{"code": 0, "data": {"id": 1, "bookId": {}, "buyerId": 1, "sellerId": 2}}',
    json.dumps({"code": 0, "data": VO}).encode() + b" " * MAX_BODY,
    b'{"code": 0, "data": {"__class__": "x"}}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("op", [SessionOp.START_CHAT, SessionOp.CREATE])
def test_a_hostile_answer_is_an_error_that_does_not_hold_it(op: SessionOp, body: bytes) -> None:
    d = Http()
    ref = d.ask(op, **THREE)
    d.raw(body)
    error = d.failure(ref)
    assert (error.code, error.retryable) == (IMErrorCode.SERVER_ERROR, False)
    assert len(str(error)) < 200
    assert "html" not in str(error)
    assert d.core.next_deadline() is None


def test_what_json_does_not_know_is_no_answer() -> None:
    d = Http()
    ref = d.get(77)
    d.raw(b'{"code": 40400, "data": NaN}')
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR


def test_unknown_keys_and_unreadable_remarks_are_passed_over() -> None:
    d = Http()
    ref = d.get(77)
    remarks = {"sessionStatus": "closed", "expireTime": [1], "createTime": 12, "buyerReaded": -1}
    d.reply(data=VO | remarks | {"sellerReaded": True, "more": {"x": 1}, "bookId": "5"})
    (session,) = d.result(ref)
    assert (session.session_status, session.active, session.expire_time) == (None, False, None)
    assert (session.create_time, session.buyer_readed, session.seller_readed) == ("12", None, True)
    assert session.book_id == 5


def test_one_bad_session_does_not_take_the_list_along() -> None:
    d = Http()
    ref = d.ask(SessionOp.GET_CURRENT)
    d.reply(data=[VO, {"id": 1}, None, 7, "x", VO | {"id": 78}])
    assert [s.id for s in d.result(ref)] == [77, 78]


def test_a_list_that_is_none_is_an_error_and_no_list_at_all_is_empty() -> None:
    d = Http()
    ref = d.ask(SessionOp.GET_CURRENT)
    d.reply(data={"id": 1})
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR
    ref = d.ask(SessionOp.GET_CURRENT)
    d.reply(data=None)
    assert d.result(ref) == ()


def test_a_redirect_is_told_and_not_followed() -> None:
    d = Http()
    ref = d.get(77)
    d.raw(b"moved", 302)
    error = d.failure(ref)
    assert error.server_code == 302
    assert "base_url" in error.text
    assert len(d.asked()) == 1


def test_words_of_the_server_are_printable_and_short() -> None:
    d = Http()
    ref = d.create()
    d.reply(400, message="no\r\n! forged\x1b[2J" + "x" * 5000)
    assert str(d.failure(ref)).isprintable()
    assert len(str(d.failure(ref))) < 400


# ---------------------------------------------------------------- get or create


@pytest.mark.parametrize(("code", "status"), [(404, 200), (0, 404), (404, 404)])
def test_where_start_chat_is_not_known_it_is_get_then_create(code: int, status: int) -> None:
    d = Http()
    ref = d.start_chat()
    d.reply(code, status=status)
    d.reply(40400)
    d.reply(data=77)
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77
    three = "bookId=5&buyerId=1&sellerId=2"
    assert d.asked() == [
        "POST /im/session/startChat",
        f"GET /im/session/get?{three}",
        f"POST /im/session/create?{three}",
        "GET /im/session/get?sessionId=77",
    ]


def test_without_start_chat_an_open_session_is_kept_and_a_closed_one_replaced() -> None:
    d = Http()
    ref = d.start_chat()
    d.raw(b"", 404)
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77
    ref = d.start_chat()
    d.raw(b"", 404)
    d.reply(data=VO | {"sessionStatus": 3})
    d.reply(data=78)
    d.reply(data=VO | {"id": 78})
    assert d.result(ref)[0].id == 78


def test_a_session_that_was_made_but_is_not_told_of_names_its_id() -> None:
    d = Http()
    ref = d.create()
    d.reply(data=77)
    d.reply(40400)
    assert d.failure(ref).code == IMErrorCode.SESSION_NOT_FOUND
    assert "77" in d.failure(ref).text
    ref = d.create()
    d.reply(data=79)
    d.reply(403)
    assert "79" in d.failure(ref).text
