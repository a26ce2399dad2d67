"""Sessions over HTTP, in virtual time: what is asked, and what each answer leads to."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.session_cache import MAX_CACHED
from im_proto.client.session_http import MAX_BODY
from im_proto.client.sessions import MAX_CALLS
from im_proto.client.timers import Timer
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire.session import SessionOp, SessionVO

VO = {
    "id": 77,
    "bookId": 5,
    "buyerId": 1,
    "sellerId": 2,
    "sessionStatus": 1,
    "expireTime": "2030-01-02 03:04:05",
}
NONE = {"code": 40400, "data": None, "message": "no"}
SECRET = "t0-very-secret"
THREE = {"book_id": 5, "buyer_id": 1, "seller_id": 2}


def fetch_token() -> str:
    raise AssertionError("the core calls nobody")


class Http(Driver):
    """A driver that plays the HTTP server as well."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._calls = itertools.count(1)
        #: requests that were answered
        self.answered: set[int] = set()

    def get(self, session_id: int | None = None, **three: Any) -> int:
        return self.ask(SessionOp.GET, session_id=session_id, **three)

    def create(self, **more: Any) -> int:
        return self.ask(SessionOp.CREATE, **(THREE | more))

    def start_chat(self, **more: Any) -> int:
        return self.ask(SessionOp.START_CHAT, **(THREE | more))

    def ask(self, op: SessionOp, **params: Any) -> int:
        ref = next(self._calls)
        self.do(inp.SessionCall(ref=ref, op=op, **params))
        return ref

    @property
    def http(self) -> act.CallHttp:
        """The last call."""
        return self.of(act.CallHttp)[-1]

    def asked(self) -> list[str]:
        """Method and path of all calls."""
        return [
            f"{a.method} {a.url.removeprefix('http://chat.example')}" for a in self.of(act.CallHttp)
        ]

    def reply(self, code: int = 0, data: Any = None, message: str = "", status: int = 200) -> Http:
        body = json.dumps({"code": code, "data": data, "message": message}).encode()
        return self.raw(body, status)

    def raw(self, body: bytes, status: int = 200, **more: Any) -> Http:
        self.do(inp.HttpAnswered(request=self.http.request, status=status, body=body, **more))
        return self

    def fail(self, reason: str = "refused") -> Http:
        self.do(inp.HttpFailed(request=self.http.request, reason=reason))
        return self

    def result(self, ref: int) -> tuple[SessionVO, ...]:
        (event,) = [e for e in self.of(ev.SessionFetched) if e.ref == ref]
        return event.sessions

    def failure(self, ref: int) -> IMError:
        (event,) = [e for e in self.of(ev.SessionFailed) if e.ref == ref]
        return event.error

    def ended(self) -> list[int]:
        """The refs that have an end, in order."""
        ends = ev.SessionFetched | ev.HistoryFetched | ev.SessionFailed
        return [e.ref for e in self.events() if isinstance(e, ends)]


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


# ---------------------------------------------------------------- trying again


def test_get_and_start_chat_are_tried_again_with_growing_delays() -> None:
    for op, params in ((SessionOp.GET, {"session_id": 7}), (SessionOp.START_CHAT, THREE)):
        d = Http()
        ref = d.ask(op, **params)
        d.fail()
        assert len(d.asked()) == 1
        d.pass_time(0.99)
        assert len(d.asked()) == 1
        d.pass_time(0.02)
        assert len(d.asked()) == 2
        d.reply(50000)
        d.pass_time(1.9)
        assert len(d.asked()) == 2
        d.pass_time(0.2)
        assert len(d.asked()) == 3
        assert d.http.timeout == pytest.approx(10 - 1 - 2 - 0.01)
        d.reply(data=VO)
        assert d.result(ref)[0].id == 77


def test_each_call_has_its_own_time_to_be_tried_again() -> None:
    d = Http()
    d.get(1)
    d.fail()
    d.pass_time(0.5)
    d.get(2)
    d.fail()
    d.pass_time(0.6)
    assert d.asked()[2:] == ["GET /im/session/get?sessionId=1"]
    d.pass_time(0.5)
    assert d.asked()[3:] == ["GET /im/session/get?sessionId=2"]


def test_create_and_the_list_are_never_tried_again() -> None:
    for op, params in ((SessionOp.CREATE, THREE), (SessionOp.GET_CURRENT, {})):
        d = Http()
        ref = d.ask(op, **params)
        d.fail("reset by\npeer")
        error = d.failure(ref)
        assert (error.code, error.retryable) == (IMErrorCode.NETWORK_ERROR, True)
        assert "nobody knows" in error.text
        assert error.text.isprintable()
        d.pass_time(60)
        assert len(d.asked()) == 1


def test_the_delay_that_the_server_wants_is_obeyed_within_the_deadline() -> None:
    d = Http()
    ref = d.get(7)
    d.raw(b"busy", 429, retry_after=4.0)
    d.pass_time(3.9)
    assert len(d.asked()) == 1
    d.pass_time(0.2)
    assert len(d.asked()) == 2
    d.raw(b"busy", 503, retry_after=30.0)
    assert d.failure(ref).code == IMErrorCode.SERVER_ERROR
    assert d.failure(ref).server_code == 503


def test_the_last_error_is_told_when_the_time_for_another_try_is_over() -> None:
    d = Http()
    ref = d.get(7)
    for delay in (1, 2, 4):
        d.fail("connection refused")
        d.pass_time(delay)
    assert d.ended() == []
    d.fail("connection refused")
    assert "connection refused" in d.failure(ref).text
    assert len(d.asked()) == 4  # after 0, 1, 3 and 7 s


def test_a_call_that_is_overdue_says_what_went_wrong_before() -> None:
    d = Http()
    ref = d.get(7)
    d.fail("certificate expired")
    d.pass_time(10)
    assert "no answer within 10 s; before that: certificate expired" in d.failure(ref).text


def test_the_deadline_of_a_call_is_absolute_and_cancels_its_request() -> None:
    d = Http(http={"timeout": 3})
    ref = d.start_chat()
    d.raw(b"", 404)
    d.pass_time(2.9)
    d.reply(40400)
    assert d.ended() == []
    d.pass_time(0.2)
    error = d.failure(ref)
    assert (error.code, error.retryable) == (IMErrorCode.NETWORK_ERROR, True)
    assert "3 s" in error.text
    assert d.of(act.CancelHttp) == [act.CancelHttp(request=d.http.request)]
    assert d.core.next_deadline() is None


def test_a_machine_that_slept_reads_its_answers_before_it_gives_up() -> None:
    d = Http()
    ref = d.get(77)
    d.stall(3600)
    assert d.ended() == []
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77
    ref = d.get(78)
    d.stall(3600)
    d.pass_time(1.01)
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR


def test_stale_answers_change_nothing() -> None:
    d = Http()
    ref = d.get(77)
    first = d.http.request
    d.fail()
    d.pass_time(1.1)
    for event in (
        inp.HttpAnswered(request=first, status=200, body=b'{"code": 40400}'),
        inp.HttpFailed(request=first, reason="late"),
        inp.HttpAnswered(request=0, status=200, body=b'{"code": 40400}'),
        inp.HttpAnswered(request=99, status=200, body=b"x"),
    ):
        assert d.do(event) == []
    d.fail()
    assert d.do(inp.HttpAnswered(request=0, status=200, body=b'{"code": 40400}')) == []
    d.pass_time(2.1)
    d.reply(data=VO)
    d.reply(data=VO | {"id": 1})
    assert [s.id for s in d.result(ref)] == [77]
    assert d.core.sessions.cache.get(1) is None


# ---------------------------------------------------------------- sharing and bounds


def test_what_is_asked_twice_at_the_same_time_is_one_request() -> None:
    d = Http()
    refs = [d.start_chat(), d.start_chat(buyer_id="1"), d.start_chat(seller_id=3)]
    assert len(d.asked()) == 2
    first, other = (a.request for a in d.of(act.CallHttp))
    answer = json.dumps({"code": 0, "data": VO}).encode()
    d.do(inp.HttpAnswered(request=first, status=200, body=answer))
    assert d.ended() == refs[:2]
    d.do(inp.HttpFailed(request=other, reason="x"))
    again = d.start_chat()
    assert len(d.asked()) == 3
    assert again not in d.ended()


def test_too_many_calls_at_a_time_are_refused() -> None:
    d = Http()
    for n in range(MAX_CALLS):
        d.get(n + 1)
    with pytest.raises(IMError) as caught:
        d.get(9999)
    assert caught.value.code == IMErrorCode.QUEUE_FULL
    d.get(1)  # shares a call that is out
    d.reply(data=None)
    d.get(9999)


def test_the_cache_is_bounded_and_keeps_what_was_told_last() -> None:
    d = Http()
    d.get(77)
    d.reply(data=VO)
    assert d.core.sessions.cache.all() == [d.core.sessions.cache.get(77)]
    d.ask(SessionOp.GET_CURRENT)
    d.reply(data=[VO | {"id": n + 1000} for n in range(MAX_CACHED - 1)])
    assert d.core.sessions.cache.get(77) is not None
    d.get(77)
    d.reply(data=VO | {"sessionStatus": 2, "expireTime": "x"})
    d.ask(SessionOp.GET_CURRENT)
    d.reply(data=[VO | {"id": 5000}])
    cached = d.core.sessions.cache.get(77)
    assert cached is not None
    assert (cached.session_status, cached.expire_time) == (2, "x")
    assert d.core.sessions.cache.get(1000) is None
    assert len(d.core.sessions.cache.all()) == MAX_CACHED


# ---------------------------------------------------------------- the token


def test_without_a_token_the_token_function_is_asked_as_for_a_log_in() -> None:
    d = Http(token=fetch_token)
    ref = d.get(77)
    assert len(d.of(act.FetchToken)) == 1
    assert not d.of(act.CallHttp)
    d.get(78)
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert [dict(a.headers)["satoken"] for a in d.of(act.CallHttp)] == ["fresh", "fresh"]
    assert d.ended() == []
    d.do(inp.HttpAnswered(request=1, status=200, body=b'{"code": 40400}'))
    assert d.result(ref) == ()
    d.connect()
    assert len(d.of(act.FetchToken)) == 1  # the log-in takes the one that is there
    assert d.of(act.OpenTransport)


def test_a_log_in_that_waits_for_a_token_shares_it() -> None:
    d = Http(token=fetch_token)
    d.connect()
    d.get(77)
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert d.of(act.OpenTransport)
    assert d.of(act.CallHttp)

    d = Http(token=fetch_token)
    d.get(77)
    d.connect()
    assert len(d.of(act.FetchToken)) == 1
    d.token("fresh")
    assert d.of(act.OpenTransport)
    assert d.of(act.CallHttp)


def test_a_token_function_that_fails_fails_the_calls_that_wait_for_it() -> None:
    d = Http(token=fetch_token)
    ref = d.get(77)
    d.do(inp.TokenFailed(request=d.core.login.request, reason="KeyError"))
    assert d.failure(ref).code == IMErrorCode.AUTH_FAILED
    assert not d.failure(ref).terminal
    assert not d.of(ev.AuthFailed)  # no log-in has failed
    assert not d.of(ev.Reconnecting)
    assert d.core.next_deadline() is None
    d.get(77)
    assert len(d.of(act.FetchToken)) == 2


def test_a_token_function_that_is_silent_costs_the_call_and_not_more() -> None:
    d = Http(token=fetch_token, timeouts={"token": 20})
    ref = d.get(77)
    d.pass_time(10.1)
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    d.pass_time(10)
    assert d.of(act.CancelToken)
    assert d.core.next_deadline() is None


def test_a_refused_token_is_replaced_once() -> None:
    d = Http(token=fetch_token)
    ref = d.create()
    d.token("old")
    d.reply(40101)
    assert len(d.of(act.FetchToken)) == 2
    assert d.ended() == []
    d.token("new")
    assert dict(d.http.headers)["satoken"] == "new"
    d.reply(40101, message="no")
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID
    assert len(d.of(act.FetchToken)) == 2


def test_the_same_token_again_is_tried_and_then_it_is_enough() -> None:
    d = Http(token=fetch_token)
    ref = d.get(7)
    d.token("old")
    d.raw(b"", 401)
    d.token("old")
    assert len(d.asked()) == 2
    d.raw(b"", 401)
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID


def test_calls_that_lost_one_token_fetch_one_new_one() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.token("old")
    d.get(2)
    for request in (1, 2):
        d.do(inp.HttpAnswered(request=request, status=401, body=b""))
    assert len(d.of(act.FetchToken)) == 2
    d.token("new")
    assert [dict(a.headers)["satoken"] for a in d.of(act.CallHttp)] == ["old"] * 2 + ["new"] * 2


def test_a_token_that_was_replaced_meanwhile_is_used_at_once() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.token("old")
    d.do(inp.UpdateToken(token="new"))
    d.raw(b"", 401)
    assert len(d.of(act.FetchToken)) == 1
    assert dict(d.http.headers)["satoken"] == "new"


def test_a_new_token_of_the_application_frees_the_calls_that_wait() -> None:
    d = Http(token=fetch_token)
    d.get(1)
    d.do(inp.UpdateToken(token="given"))
    assert dict(d.http.headers)["satoken"] == "given"
    assert d.of(act.CancelToken)
    d.token("too late")
    assert d.core.login.token == "given"


def test_a_connection_that_is_up_stays_when_http_refuses_its_token() -> None:
    d = Http(token=fetch_token)
    d.login()
    d.get(7)
    d.raw(b"", 401)
    d.token("new")
    d.reply(data=None)
    assert d.status == "AUTHENTICATED"
    d.lose().link()
    assert d.said("AUTH_REQUEST")[-1]["accessToken"] == "new"
    assert len(d.of(act.FetchToken)) == 2


@pytest.mark.parametrize("token", ["a\r\nx: y", "tökén", "a\x00", "t ", " "])
def test_a_token_that_no_header_can_hold_fails_and_goes_nowhere(token: str) -> None:
    d = Http(token=token)
    ref = d.get(7)
    assert d.failure(ref).code == IMErrorCode.TOKEN_INVALID
    assert not d.of(act.CallHttp)


# ---------------------------------------------------------------- the connection, and the end


def test_disconnect_ends_what_is_under_way_with_or_without_a_connection() -> None:
    for connected in (False, True):
        d = Http(token=fetch_token)
        if connected:
            d.login()
        else:
            d.do(inp.UpdateToken(token="t"))
        refs = [d.get(1), d.create()]
        d.disconnect()
        assert d.ended() == refs
        assert len(d.of(act.CancelHttp)) == 2
        assert Timer.SESSION not in dict(d.core.timers.all())
        ref = d.get(2)
        assert ref not in d.ended()


def test_disconnect_stops_asking_for_a_token() -> None:
    d = Http(token=fetch_token)
    ref = d.get(1)
    d.disconnect()
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    assert d.of(act.CancelToken)
    assert d.core.next_deadline() is None


def test_a_lost_connection_leaves_the_calls_alone() -> None:
    d = Http()
    d.login()
    ref = d.get(77)
    d.lose()
    d.reply(data=VO)
    assert d.result(ref)[0].id == 77


def test_explain_names_the_call_that_is_waited_for() -> None:
    d = Http()
    d.get(7)
    assert "the answer to a session call (10.0 s left)" in d.core.explain()
    d.fail()
    assert "the next try of a session call (1.0 s left)" in d.core.explain()


def test_a_core_with_calls_under_way_can_be_copied_and_pickled() -> None:
    d = Http()
    d.get(77)
    d.create()
    for core in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        body = json.dumps({"code": 0, "data": VO}).encode()
        actions = core.step(inp.HttpAnswered(request=1, status=200, body=body), d.now)
        assert any(
            isinstance(a, act.Notify) and isinstance(a.event, ev.SessionFetched) for a in actions
        )
        assert core.sessions.cache.get(77) is not None
    assert d.core.sessions.cache.get(77) is None


# ---------------------------------------------------------------- whatever happens

BODIES = [
    json.dumps({"code": code, "data": data}).encode()
    for code in (0, 40101, 40400, 404, 400, 50000)
    for data in (None, 77, VO, VO | {"sessionStatus": 3}, [VO], "x")
]
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(SessionOp), st.integers(1, 3)),
    st.tuples(st.just("answer"), st.sampled_from([200, 200, 401, 404, 503]), st.integers(0, 35)),
    st.tuples(st.just("fail"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("token"), st.sampled_from(["a", "b", ""]), st.integers(0, 1)),
    st.tuples(st.just("no token"), st.just(0), st.just(0)),
    st.tuples(st.just("new token"), st.sampled_from(["a", "c"]), st.just(0)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 4.0]), st.just(0)),
    st.tuples(st.just("connect"), st.just(0), st.just(0)),
    st.tuples(st.just("login"), st.just(0), st.just(0)),
    st.tuples(st.just("disconnect"), st.just(0), st.just(0)),
)


@given(steps=st.lists(STEPS, max_size=40), fetches=st.booleans())
def test_every_call_ends_once_and_in_time_and_leaves_no_request(
    steps: list[tuple[str, Any, Any]], fetches: bool
) -> None:
    d = Http(token=fetch_token if fetches else "t0")
    asked: dict[int, float] = {}
    for what, one, two in steps:
        _play(d, asked, what, one, two)
        out = {a.request for a in d.of(act.CallHttp)} - {a.request for a in d.of(act.CancelHttp)}
        assert len(out - d.answered) <= len(set(asked) - set(d.ended()))
        assert all(d.now <= asked[ref] + 10.01 for ref in set(asked) - set(d.ended()))
    d.pass_time(10.01)
    assert sorted(d.ended()) == sorted(asked)
    assert {a.request for a in d.of(act.CallHttp)} <= d.answered | {
        a.request for a in d.of(act.CancelHttp)
    }
    assert not {Timer.SESSION, Timer.SESSION_RETRY} & set(dict(d.core.timers.all()))


def _play(d: Http, asked: dict[int, float], what: str, one: Any, two: Any) -> None:
    waiting = sorted(
        {a.request for a in d.of(act.CallHttp)}
        - {a.request for a in d.of(act.CancelHttp)}
        - d.answered
    )
    if what == "ask":
        params: dict[str, Any] = THREE | {"book_id": two}
        if one is SessionOp.GET_CURRENT:
            params = {}
        elif one is SessionOp.HISTORY:
            params = {"session_id": two}
        asked[d.ask(one, **params)] = d.now
    elif what == "answer" and waiting:
        d.answered.add(waiting[0])
        d.do(inp.HttpAnswered(request=waiting[0], status=one, body=BODIES[two]))
    elif what == "fail" and waiting:
        request = waiting[one % len(waiting)]
        d.answered.add(request)
        d.do(inp.HttpFailed(request=request, reason="reset"))
    elif what == "token":
        d.do(inp.TokenReady(request=d.core.login.request - two, token=one))
    elif what == "no token":
        d.do(inp.TokenFailed(request=d.core.login.request, reason="KeyError"))
    elif what == "new token":
        d.do(inp.UpdateToken(token=one))
    elif what == "pass":
        d.pass_time(one)
    elif what == "connect":
        d.connect()
    elif what == "login" and d.core.connection == "disconnected":
        d.login()
    elif what == "disconnect":
        d.disconnect()


def test_tokens_fetched_for_calls_do_not_keep_a_refused_log_in_going() -> None:
    d = Http(token=fetch_token, reconnect={"initial_delay": 1, "max_delay": 1}).connect()
    assert isinstance(d, Http)
    for _ in range(5):
        if d.core.reconnect == "halted":
            return
        d.link()
        d.forget().ask(SessionOp.GET_CURRENT)
        for _ in range(2):
            for call in d.of(act.CallHttp):
                d.do(inp.HttpAnswered(request=call.request, status=401, body=b""))
            d.forget()
            if d.core.login.asking:
                d.token()
        d.refuse(40101).lose()
    raise AssertionError("it asks for ever")
