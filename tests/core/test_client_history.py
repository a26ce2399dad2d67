"""Messages of the past: how they are asked for, and how pages are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sessions_kit import Http
from core.test_client_sessions_ws import up
from im_proto.client import events as ev
from im_proto.errors import IMErrorCode, LocalProtocolError
from im_proto.wire.session import (
    BadAnswer,
    HistoryPage,
    SessionOp,
    SessionVO,
    read_history,
)
from im_proto.wire.types import in_order
from im_runtime.sessions import Walk, chat_with


def record(msg_id: int, sender: int | str = 1, **more: Any) -> dict[str, Any]:
    return {"msgId": msg_id, "senderId": sender, "content": f"m{msg_id}"} | more


FULL = {
    "msgId": "9007199254740993",
    "senderId": 1,
    "receiverId": "bravo",
    "messageType": "text",
    "content": "hello",
    "messageStatus": "3",
    "sendTime": 1_700_000_000_123,
}


def page_of(d: Http, ref: int) -> HistoryPage:
    (event,) = [e for e in d.of(ev.HistoryFetched) if e.ref == ref]
    return event.page


# ---------------------------------------------------------------- what is asked


def test_a_page_of_a_session_is_asked_for_over_http() -> None:
    d = Http()
    ref = d.ask(SessionOp.HISTORY, session_id=2**53, start_msg_id=12, page_size=20)
    assert d.asked() == ["POST /im/message/history"]
    assert json.loads(d.http.body) == {
        "sessionId": str(2**53),
        "startMsgId": 12,
        "pageSize": 20,
    }
    d.reply(data={"records": [record(1), record(2)], "hasNext": True, "total": 7})
    page = page_of(d, ref)
    assert [r.msg_id for r in page.records] == [1, 2]
    assert (page.has_next, page.total) == (True, 7)
    assert d.core.next_deadline() is None


def test_a_page_with_somebody_is_asked_for_over_the_connection() -> None:
    d = up()
    ref = d.ask(SessionOp.HISTORY, peer_id="bravo", direction="after")
    (request,) = d.requests()
    assert request["op"] == "history"
    assert request["params"] == {"peerId": "bravo", "direction": "after", "pageSize": 50}
    d.respond([FULL])
    (one,) = page_of(d, ref).records
    assert (one.msg_id, one.sender_id, one.receiver_id) == (2**53 + 1, 1, "bravo")
    assert (one.message_type, one.content, one.message_status) == ("text", "hello", 3)
    assert one.send_time == "1700000000123"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"session_id": 1, "peer_id": 2},
        {"session_id": 1, "book_id": 2},
        {"session_id": 0},
        {"peer_id": ""},
        {"session_id": 1, "start_msg_id": 0},
        {"session_id": 1, "page_size": 0},
        {"session_id": 1, "page_size": 1001},
        {"session_id": 1, "page_size": True},
        {"session_id": 1, "direction": "sideways"},
    ],
)
def test_what_is_not_complete_is_the_callers_mistake(params: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match="SessionCall"):
        Http().ask(SessionOp.HISTORY, **params)


@pytest.mark.parametrize("more", [{"peer_id": 2}, {"start_msg_id": 2}])
def test_other_calls_know_nothing_of_pages(more: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match="SessionCall"):
        Http().ask(SessionOp.GET, session_id=1, **more)


def test_another_page_is_another_call() -> None:
    d = up()
    for more in ({}, {"start_msg_id": 3}, {"direction": "after"}, {"page_size": 9}, {}):
        d.ask(SessionOp.HISTORY, session_id=1, **more)
    assert len(d.requests()) == 4


@pytest.mark.parametrize("linked", [False, True])
def test_a_session_that_is_not_there_or_not_ones_own_is_an_error(linked: bool) -> None:
    d = up() if linked else Http()
    ref = d.ask(SessionOp.HISTORY, session_id=5)
    d.frame("SESSION_RESPONSE", id="1", code=40400) if linked else d.reply(40400)
    error = d.failure(ref)
    assert (error.code, error.server_code) == (IMErrorCode.SESSION_NOT_FOUND, 40400)
    assert "no such session" in error.text


def test_over_http_a_page_is_asked_for_once_and_over_the_connection_again() -> None:
    d = Http()
    ref = d.ask(SessionOp.HISTORY, session_id=5)
    d.fail("reset")
    assert d.failure(ref).code == IMErrorCode.NETWORK_ERROR
    linked = up()
    ref = linked.ask(SessionOp.HISTORY, session_id=5)
    linked.lose()
    linked.up().respond([record(1)])
    assert page_of(linked, ref).records[0].msg_id == 1


# ---------------------------------------------------------------- how a page is read


@pytest.mark.parametrize(
    ("data", "ids", "more"),
    [
        (None, [], False),
        ([], [], False),
        ({}, [], False),
        ({"records": None}, [], False),
        ([record(1)], [1], False),
        ([record(1), record(2)], [1, 2], True),
        ({"records": [record(1), record(2)]}, [1, 2], True),
        ({"records": [record(1), record(2)], "hasNext": False}, [1, 2], False),
        ({"records": [record(1)], "hasNext": True}, [1], True),
        ({"records": [record(1)], "hasNext": "?", "total": -1, "size": [], "x": {}}, [1], False),
        ([{"msgId": 0}, "x", None, record(2)], [2], True),
    ],
)
def test_a_page_has_its_records_with_or_without_a_frame(
    data: object, ids: list[int], more: bool
) -> None:
    page = read_history(data, 2)
    assert [r.msg_id for r in page.records] == ids
    assert page.has_next is more
    assert page.total is None


@pytest.mark.parametrize("data", ["x", 7, True, {"records": "x"}, {"records": {}}])
def test_what_is_no_page_is_a_bad_answer(data: object) -> None:
    with pytest.raises(BadAnswer, match="no page"):
        read_history(data, 2)


GOOD = st.builds(
    record,
    st.integers(1, 2**63 - 1),
    st.one_of(st.integers(1, 2**63 - 1), st.sampled_from(["bravo", "ömer"])),
    messageStatus=st.one_of(st.none(), st.integers(), st.text()),
    sendTime=st.one_of(st.none(), st.integers(), st.text()),
    receiverId=st.one_of(st.none(), st.integers(1, 9)),
)
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["msgId", "senderId", "content", "records"]), inner),
    ),
    max_leaves=8,
)


@given(st.lists(st.one_of(GOOD, st.integers(), st.none(), st.text(max_size=3)), max_size=20))
def test_bad_records_never_take_their_neighbours_along(items: list[Any]) -> None:
    good = [item for item in items if isinstance(item, dict)]
    page = read_history({"records": items, "hasNext": True}, 5)
    assert [(r.msg_id, r.sender_id, r.content) for r in page.records] == [
        (item["msgId"], item["senderId"], item["content"]) for item in good
    ]
    assert read_history(items, 5).has_next == (len(items) >= 5)


@given(JUNK, st.integers(1, 5))
def test_whatever_comes_is_a_page_or_a_bad_answer_that_does_not_show_it(
    data: Any, size: int
) -> None:
    try:
        read_history(data, size)
    except BadAnswer as bad:
        assert str(bad) == "data: it is no page of messages"


# ---------------------------------------------------------------- the walk through all pages


class Past:
    """A server that has these messages, the oldest first."""

    def __init__(self, records: list[dict[str, Any]], *, most: int = 1000) -> None:
        self.records, self.most = records, most
        self.calls = 0

    def walk(self, **more: Any) -> list[int]:
        params = {"session_id": 1, "peer_id": None, "start_msg_id": None} | more
        walk = Walk(**({"direction": "before", "page_size": 3} | params))
        seen: list[int] = []
        while not walk.done:
            seen += [r.msg_id for r in walk.take(self.page(**walk.params))]
            self.calls += 1
            assert self.calls < 100
        return seen

    def page(
        self, *, direction: str, start_msg_id: int | None, page_size: int, **_: Any
    ) -> HistoryPage:
        ids = [r["msgId"] for r in self.records]
        size = min(page_size, self.most)
        at = ids.index(start_msg_id) if start_msg_id is not None else None
        if direction == "before":
            upto = len(ids) if at is None else at
            found = self.records[max(0, upto - size) : upto]
            more = upto - size > 0
        else:
            begin = 0 if at is None else at + 1
            found = self.records[begin : begin + size]
            more = begin + size < len(ids)
        return read_history({"records": found, "hasNext": more}, page_size)


@given(
    ids=st.lists(st.integers(1, 10_000), unique=True, max_size=20),
    size=st.integers(1, 7),
    most=st.integers(1, 7),
)
def test_a_walk_gives_each_message_once_in_either_direction(
    ids: list[int], size: int, most: int
) -> None:
    past = Past([record(n) for n in ids], most=most)
    assert past.walk(page_size=size) == ids[::-1]
    assert past.walk(page_size=size, direction="after") == ids


def test_a_walk_begins_behind_the_message_that_is_given() -> None:
    past = Past([record(n) for n in range(1, 10)])
    assert past.walk(start_msg_id=4) == [3, 2, 1]
    assert past.walk(start_msg_id=4, direction="after") == [5, 6, 7, 8, 9]


def test_a_walk_asks_for_no_page_that_it_knows_to_be_empty() -> None:
    past = Past([record(n) for n in range(1, 7)])
    past.walk()
    assert past.calls == 2


def test_a_server_that_gives_the_same_page_for_ever_ends_the_walk() -> None:
    class Stuck(Past):
        def page(self, **_: Any) -> HistoryPage:
            return read_history({"records": self.records, "hasNext": True}, 3)

    past = Stuck([record(n) for n in (1, 2, 3)])
    assert past.walk() == [3, 2, 1]
    assert past.calls == 2


def test_messages_of_two_senders_under_one_msg_id_are_two() -> None:
    class Twins(Past):
        def page(self, **_: Any) -> HistoryPage:
            self.more = not getattr(self, "more", False)
            return read_history(
                {"records": [record(5, 1 if self.more else 2)], "hasNext": self.more}, 1
            )

    assert Twins([]).walk() == [5, 5]


# ---------------------------------------------------------------- chats, unread


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (2, 1, (1, 2)),
        (1, 2, (1, 2)),
        ("ann", 7, (7, "ann")),
        ("b", "a", ("a", "b")),
        (10, 9, (9, 10)),
    ],
)
def test_two_users_have_one_order(
    one: int | str, other: int | str, expected: tuple[int | str, int | str]
) -> None:
    assert in_order(one, other) == in_order(other, one) == expected


def test_a_chat_is_the_same_from_both_sides() -> None:
    assert chat_with(9, "7") == chat_with(7, 9) == {"book_id": 0, "buyer_id": 7, "seller_id": 9}
    with pytest.raises(LocalProtocolError, match="peer_id"):
        chat_with(1, "")


@pytest.mark.parametrize(
    ("user", "buyer", "seller", "expected"),
    [
        (1, 3, 4, 3),
        (2, 3, 4, 4),
        ("1", 3, 4, 3),
        (3, 3, 4, None),
        ("", 3, 4, None),
        (1, None, 4, None),
        (1, True, 4, 0),
        (1, False, 4, None),
    ],
)
def test_unread_is_of_the_side_that_asks(
    user: int | str, buyer: Any, seller: Any, expected: int | None
) -> None:
    session = SessionVO(
        id=1, book_id=5, buyer_id=1, seller_id=2, buyer_readed=buyer, seller_readed=seller
    )
    unread = session.unread_of(user)
    assert unread == expected
    assert unread is not True and unread is not False
