"""What this user has read: kept until the server has answered it."""

from __future__ import annotations

from typing import Any

import pytest

from core.client_kit import Driver
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client import life
from im_proto.errors import IMErrorCode, LocalProtocolError


def read(d: Driver, from_user: int | str, msg_id: int) -> Driver:
    d.do(inp.MarkRead(from_user=from_user, msg_id=msg_id))
    return d


def marks(d: Driver) -> list[tuple[Any, int]]:
    return [(m["fromUser"], m["msgId"]) for m in d.said("CHAT_READ_RECEIPT_REQUEST")]


def answer(d: Driver, msg_id: int, **more: Any) -> Driver:
    return d.frame("CHAT_READ_RECEIPT_RESPONSE", msgId=msg_id, **more)


@pytest.mark.parametrize("ours", [True, False])
def test_a_read_mark_goes_to_any_server_and_is_not_said_again_once_answered(ours: bool) -> None:
    d = Driver()
    _ = d.login_ours() if ours else d.login()
    read(d, 2, 70)
    assert marks(d) == [(2, 70)]
    answer(d, 70, code=200, message="ok").lose().login()
    assert marks(d) == [(2, 70)]
    assert not d.of(ev.ReadRefused)


def test_an_answer_without_a_code_is_a_success() -> None:
    d = Driver().login()
    answer(read(d, 2, 70), 70).lose().login()
    assert len(marks(d)) == 1
    assert not d.of(ev.ReadRefused)


def test_what_was_not_answered_is_said_again_on_the_next_link_in_order() -> None:
    d = Driver().login()
    read(d, 2, 70)
    read(d, "bravo", 80)
    d.pass_time(120)
    assert len(marks(d)) == 2
    d.lose().forget().login()
    assert marks(d) == [(2, 70), ("bravo", 80)]


def test_what_is_marked_offline_is_kept_the_furthest_of_each_writer() -> None:
    d = Driver()
    for writer, msg_id in ((2, 70), (3, 10), (2, 90), (2, 80)):
        read(d, writer, msg_id)
    d.login()
    assert marks(d) == [(3, 10), (2, 90)]


def test_a_mark_that_was_replaced_is_not_waited_for() -> None:
    d = Driver().login()
    read(read(d, 2, 70), 2, 90)
    assert marks(d) == [(2, 70), (2, 90)]
    answer(d, 70, code=40400, message="no such message")
    assert not d.of(ev.ReadRefused)
    d.forget().lose().login()
    assert marks(d) == [(2, 90)]


def test_a_refusal_is_told_and_not_repeated() -> None:
    d = Driver().login_ours()
    answer(read(d, 2, 70), 70, code=40400, message="no such message")
    (refused,) = d.of(ev.ReadRefused)
    assert (refused.from_user, refused.msg_id) == (2, 70)
    assert refused.error.code is IMErrorCode.MESSAGE_SEND_FAILED
    assert (refused.error.server_code, refused.error.server_text) == (40400, "no such message")
    assert d.status == "AUTHENTICATED"
    d.forget().lose().login()
    assert marks(d) == []


def test_an_answer_to_what_was_not_said_is_nothing() -> None:
    d = Driver().login().forget()
    assert answer(d, 70, code=40400).events() == []
    read(d.lose(), 2, 70).forget()
    d.link()
    answer(d, 70, code=0)  # of nothing that this link was told
    d.frame("AUTH_RESPONSE", code=0)
    assert marks(d) == [(2, 70)]


def test_two_writers_with_one_msg_id_are_answered_in_order() -> None:
    d = Driver().login()
    read(read(d, 2, 70), 3, 70)
    answer(answer(d, 70, code=0), 70, code=40400)
    assert [event.from_user for event in d.of(ev.ReadRefused)] == [3]


def test_nothing_is_said_while_the_transport_takes_no_more() -> None:
    d = Driver().login()
    d.do(inp.WriteBlocked(transport=1))
    read(read(d, 2, 70), 2, 90)
    assert marks(d) == []
    d.do(inp.WriteReady(transport=1))
    assert marks(d) == [(2, 90)]


def test_marks_are_bounded_and_the_oldest_goes_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MOST_MARKS", 2)
    d = Driver()
    for writer in (2, 3, 4):
        read(d, writer, 70)
    (gone,) = d.of(ev.ReadRefused)
    assert (gone.from_user, gone.msg_id, gone.error.code) == (2, 70, IMErrorCode.QUEUE_FULL)
    d.login()
    assert marks(d) == [(3, 70), (4, 70)]


@pytest.mark.parametrize(
    ("user", "msg_id"), [(0, 1), ("", 1), (2, 0), (2, 2**63), (2, "7"), (None, 1)]
)
def test_what_no_user_or_message_can_be_is_a_mistake(user: Any, msg_id: Any) -> None:
    d = Driver().login().forget()
    with pytest.raises(LocalProtocolError, match="MarkRead"):
        read(d, user, msg_id)
    assert d.lose().login().said("CHAT_READ_RECEIPT_REQUEST") == []


def test_a_dialect_without_read_marks_says_so() -> None:
    d = Driver(dialect="typed")
    with pytest.raises(LocalProtocolError, match="typed"):
        read(d, 2, 70)


def test_a_user_that_is_a_number_in_a_string_is_the_same_user() -> None:
    d = Driver()
    read(read(d, "2", 70), 2, 80)
    assert marks(d.login()) == [(2, 80)]
