"""A handler that fails: the same message once more, at most so often, and then it is told."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from core.inbox_kit import Journalled, acks
from im_proto.client import events as ev
from im_proto.client import inputs as inp


def fail(d: Driver, *deliveries: int) -> Driver:
    for delivery in deliveries:
        d.do(inp.MessageHandled(delivery=delivery, ok=False))
    return d


def attempts(d: Driver) -> list[tuple[int, int, bool]]:
    return [(e.delivery, e.attempt, e.redelivered) for e in d.of(ev.MessageReceived)]


def test_what_the_application_fails_on_is_offered_again_at_once_as_the_same_delivery() -> None:
    d = Driver().login_ours().push(1, "a").push(2, "b")
    d.forget()
    fail(d, 1)
    (again,) = d.of(ev.MessageReceived)
    assert (again.delivery, again.content, again.seq) == (1, "a", 1)
    assert (again.attempt, again.redelivered) == (2, True)
    d.handle(2)
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [2]


def test_after_so_many_attempts_it_is_told_and_acknowledged() -> None:
    d = Driver(handler_attempts=3).login_ours()
    d.push(1, "a", sessionId=9, messageType="image", timestamp=3)
    fail(d, 1, 1)
    assert attempts(d) == [(1, 1, False), (1, 2, True), (1, 3, True)]
    assert acks(d) == []
    assert not d.of(ev.MessageUndeliverable)
    fail(d, 1)
    assert d.of(ev.MessageUndeliverable) == [
        ev.MessageUndeliverable(
            delivery=1,
            content="a",
            from_user=2,
            session_id=9,
            msg_id=1,
            message_type="image",
            timestamp=3,
            seq=1,
            attempts=3,
        )
    ]
    assert acks(d) == [1]
    fail(d, 1).handle(1)
    assert len(d.of(ev.MessageUndeliverable)) == 1


def test_one_attempt_means_that_nothing_is_offered_again() -> None:
    d = Driver(handler_attempts=1).login_ours().push(1)
    fail(d, 1)
    assert attempts(d) == [(1, 1, False)]
    assert [e.attempts for e in d.of(ev.MessageUndeliverable)] == [1]
    assert acks(d) == [1]


def test_a_failure_on_what_is_not_known_is_nothing() -> None:
    d = Driver().login_ours().push(1).handle(1).forget()
    assert fail(d, 1, 2, 0, -1).actions == []


def test_it_is_the_same_without_numbers_and_across_links() -> None:
    d = Driver(handler_attempts=3).login().push(None, "a", msgId=5)
    fail(d, 1).lose()
    fail(d, 1)
    d.login().push(None, "a", msgId=5)  # a repeat: it is being handled
    fail(d, 1)
    assert attempts(d) == [(1, 1, False), (1, 2, True), (1, 3, True)]
    assert len(d.of(ev.MessageUndeliverable)) == 1


def test_failures_are_counted_on_across_a_resume() -> None:
    d = Driver(handler_attempts=2).login_ours().push(1, "a")
    fail(d, 1).lose().login_ours(resume="recovered", seq=0).push(1, "a")
    assert len(d.of(ev.DuplicateSuppressed)) == 1
    fail(d, 1)
    assert len(d.of(ev.MessageUndeliverable)) == 1
    assert acks(d) == [1]


def test_a_message_that_is_tried_again_counts_as_unhandled_once() -> None:
    d = Driver(max_unhandled=2).login().push(None, "a", msgId=1)
    fail(d, 1)
    assert d.core.receiving.inbox.waiting == 1
    assert not d.core.paused
    d.push(None, "b", msgId=2)
    assert d.core.paused
    fail(d, 1, 1)
    assert d.core.receiving.inbox.waiting == 1
    assert not d.core.paused


def test_what_is_offered_again_may_be_dropped_until_it_is_begun_with_again() -> None:
    d = Driver(max_unhandled=1, when_full="drop_oldest").login().push(None, "a", msgId=1)
    d.do(inp.MessageTaken(delivery=1))
    fail(d, 1)
    d.push(None, "b", msgId=2)
    assert [e.delivery for e in d.of(ev.MessageDropped)] == [1]
    d.forget()
    assert fail(d, 1).actions == []


def test_the_next_process_counts_afresh_and_says_that_it_may_have_been_seen() -> None:
    d = Journalled(handler_attempts=2).login_ours().push(1, "a")
    fail(d, 1)
    d = d.crash(handler_attempts=2).login_ours(resume="recovered", seq=0).push(1, "a")
    assert attempts(d) == [(1, 1, True)]
    fail(d, 1, 1)
    assert len(d.of(ev.MessageUndeliverable)) == 1
    assert d.disk.cursor is not None
    assert d.disk.cursor.seq == 1


@pytest.mark.parametrize("ack", ["auto", "manual"])
def test_the_application_may_acknowledge_in_any_order(ack: str) -> None:
    d = Driver(ack=ack).login_ours()
    for seq in range(1, 7):
        d.push(seq)
    d.handle(6, 2, 4)
    d.pass_time(1)
    assert acks(d) == []
    d.handle(1).pass_time(1)
    assert acks(d) == [2]
    d.handle(3).pass_time(1)
    assert acks(d) == [2, 4]
    d.handle(5)
    assert acks(d) == [2, 4, 6]
