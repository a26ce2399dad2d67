"""send_message and queue_message of the threads client: acceptance, failure, timeouts."""

from __future__ import annotations

import threading

import pytest

from adapters.threads_kit import (
    Background,
    Connection,
    Peer,
    Recorder,
    client_of,
    mute_after_login,
    nothing_left,
    plain,
    until,
)
from im_proto.wire import ChatSendResponse, ChatSendToOne
from im_threads import IMError, IMErrorCode, MessageError, SentMessage, SentStatus

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


def refuse(connection: Connection) -> None:
    """Refuses every message."""
    connection.login()
    while True:
        message = connection.next(ChatSendToOne)
        connection.send(ChatSendResponse(msg_id=message.msg_id, code=40400, message="nobody"))


def test_send_returns_when_accepted() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        client.connect()
        sent = client.send_message(2, "hello")
        assert isinstance(sent, SentMessage)
        assert sent.status is SentStatus.ACCEPTED
        assert sent.done
        assert sent.wait(0)
        assert sent.result() is sent
        assert sent.error is None
        assert sent.timestamp == 1234
        assert sent.sends == 1
        assert (sent.to_user_id, sent.content, sent.message_type) == (2, "hello", "text")
        assert "hello" not in repr(sent)
        assert client.counters.accepted == 1


def test_what_goes_out() -> None:
    seen: list[ChatSendToOne] = []

    def script(connection: Connection) -> None:
        connection.login()
        message = connection.next(ChatSendToOne)
        seen.append(message)
        connection.send(ChatSendResponse(msg_id=message.msg_id, session_id=77))
        connection.until_gone()

    with Peer(script) as peer, client_of(peer) as client:
        client.connect()
        sent = client.send_message("bravo", " x ", "image", session_id=9)
        assert sent.session_id == 77  # the server's word counts
    assert (seen[0].to_user, seen[0].content) == ("bravo", " x ")
    assert (seen[0].message_type, seen[0].session_id) == ("image", 9)


def test_who_matters_more_goes_first() -> None:
    seen: list[str] = []

    def script(connection: Connection) -> None:
        connection.login()
        while True:
            message = connection.next(ChatSendToOne)
            seen.append(message.content)
            connection.send(ChatSendResponse(msg_id=message.msg_id))

    with Peer(script) as peer, client_of(peer) as client:
        low = client.queue_message(2, "low", priority="low")
        normal = client.queue_message(3, "normal")
        sending = Background(client.send_message, 4, "high", priority="high")
        until(lambda: len(client._pending) == 3)
        with pytest.raises(IMError, match="priority is one of high, normal, low"):
            client.queue_message(5, "x", priority="urgent")  # type: ignore[arg-type]
        client.connect()
        high = sending.result()
        assert [s.result().priority for s in (low, normal, high)] == ["low", "normal", "high"]
        assert seen == ["high", "normal", "low"]


def test_send_raises_when_refused() -> None:
    with Peer(refuse) as peer, client_of(peer) as client:
        recorder = Recorder("message_failed", "message_sent")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        with pytest.raises(IMError) as caught:
            client.send_message(2, "hello")
        error = caught.value
        assert isinstance(error, MessageError)
        assert error.code is IMErrorCode.MESSAGE_SEND_FAILED
        assert (error.server_code, error.server_text) == (40400, "nobody")
        assert error.sent.status is SentStatus.FAILED
        assert error.sent.wait()
        with pytest.raises(MessageError):
            error.sent.result()
        assert recorder.until("message_failed") == (error,)
        assert recorder.names() == ["message_failed"]


def test_nothing_is_queued_when_it_can_not_be() -> None:
    with client_of("ws://127.0.0.1:1/", max_queue=1) as client:
        for content in ("", "   ", "x" * 1001):
            with pytest.raises(IMError) as caught:
                client.queue_message(2, content)
            assert caught.value.code is IMErrorCode.MESSAGE_FORMAT_ERROR
        with pytest.raises(IMError):
            client.send_message(0, "to nobody")
        client.queue_message(2, "fills it")
        with pytest.raises(IMError) as caught:
            client.send_message(2, "one more")
        assert caught.value.code is IMErrorCode.QUEUE_FULL
        assert len(client._pending) == 1


def test_queued_before_connect_and_awaited_later() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        sent = [client.queue_message(2, f"{n}") for n in range(3)]
        assert [s.status for s in sent] == ["queued"] * 3
        assert not sent[0].wait(0.01)
        waiting = [Background(s.result) for s in [*sent, sent[0]]]
        client.connect()
        assert [w.result() for w in waiting] == [*sent, sent[0]]
        assert len({s.msg_id for s in sent}) == 3


def test_a_message_survives_a_lost_link() -> None:
    first: list[int] = []

    def lose(connection: Connection) -> None:
        connection.login()
        first.append(connection.next(ChatSendToOne).msg_id)
        connection.reset()

    with Peer(lose, plain) as peer, client_of(peer) as client:
        client.connect()
        sent = client.send_message(2, "hello")
        assert sent.sends == 2
        assert sent.msg_id == first[0]
        assert client.counters.retransmitted == 1


def test_timeout_says_that_it_is_still_on_its_way() -> None:
    go = threading.Event()

    def slow(connection: Connection) -> None:
        connection.login()
        message = connection.next(ChatSendToOne)
        go.wait()
        connection.send(ChatSendResponse(msg_id=message.msg_id))
        connection.until_gone()

    with Peer(slow) as peer, client_of(peer) as client:
        client.connect()
        with pytest.raises(MessageError, match="still in flight") as caught:
            client.send_message(2, "hello", timeout=0.05)
        sent = caught.value.sent
        assert caught.value.code is IMErrorCode.MESSAGE_TIMEOUT
        assert sent.status is SentStatus.IN_FLIGHT
        with pytest.raises(MessageError, match=r"0\.01 s"):
            sent.result(timeout=0.01)
        assert sent.error is None
        go.set()
        assert sent.wait()
        assert sent.status is SentStatus.ACCEPTED


def test_timeout_while_offline() -> None:
    with client_of("ws://127.0.0.1:1/") as client:
        with pytest.raises(MessageError, match="still queued") as caught:
            client.send_message(2, "hello", timeout=0.01)
        assert caught.value.sent.cancel()


def test_a_client_that_gives_up_ends_the_waiting_but_not_the_message() -> None:
    lose = threading.Event()

    def first(connection: Connection) -> None:
        connection.login()
        connection.next(ChatSendToOne)
        lose.wait()

    never = {"max_retries": 0}
    with Peer(first) as peer, client_of(peer, reconnect=never) as client:
        client.connect()
        sending = Background(client.send_message, 2, "hello")
        until(lambda: len(client._pending))
        lose.set()
        with pytest.raises(MessageError) as caught:
            sending.result()
        assert caught.value.code is IMErrorCode.RECONNECT_FAILED
        assert not caught.value.sent.wait(0.01)  # it goes out after connect()


def test_withdrawn_while_it_waits() -> None:
    with client_of("ws://127.0.0.1:1/") as client:
        recorder = Recorder("message_failed")
        client.set_callbacks(recorder.callbacks())
        sent = client.queue_message(2, "never mind")
        waiting = Background(sent.result)
        assert sent.cancel() is True
        assert sent.status is SentStatus.CANCELLED
        assert sent.cancel() is False
        with pytest.raises(IMError) as caught:
            waiting.result()
        assert caught.value.code is IMErrorCode.MESSAGE_CANCELLED
        recorder.until("message_failed")  # told without a connection too


def test_not_withdrawn_once_it_is_out() -> None:
    with Peer(mute_after_login) as peer, client_of(peer) as client:
        client.connect()
        sent = client.queue_message(2, "too late")
        client._here(client._driver.turn_ended)
        assert sent.status is SentStatus.IN_FLIGHT
        assert sent.cancel() is False
        assert "in flight" in client.explain(sent)


def test_in_doubt_is_said_as_such() -> None:
    def lose(connection: Connection) -> None:
        connection.login()
        connection.next(ChatSendToOne)
        connection.reset()

    with Peer(lose, plain) as peer, client_of(peer, resend_when_unsure=False) as client:
        client.connect()
        assert client.guarantee == "at-most-once"
        with pytest.raises(MessageError) as caught:
            client.send_message(2, "hello")
        assert caught.value.code is IMErrorCode.IN_DOUBT
        assert caught.value.sent.status is SentStatus.IN_DOUBT


def test_many_threads_at_once() -> None:
    order: list[str] = []

    def script(connection: Connection) -> None:
        connection.login()
        while True:
            message = connection.next(ChatSendToOne)
            order.append(message.content)
            connection.send(ChatSendResponse(msg_id=message.msg_id))

    with Peer(script) as peer, client_of(peer) as client:
        client.connect()
        threads: set[object] = set()
        step = client._engine.step

        def watched(item: object, now: float) -> object:
            threads.add(threading.current_thread())
            return step(item, now)

        client._engine.step = watched

        def work(name: int) -> None:
            for n in range(25):
                client.send_message(2, f"{name} {n}")

        for worker in [Background(work, name) for name in range(20)]:
            worker.result()
        assert len(client._pending) == 0  # an application that runs for months
        assert len(threads) == 1  # the engine is stepped in one
        assert sorted(order) == sorted(f"{name} {n}" for name in range(20) for n in range(25))
        for name in range(20):  # and each thread's own stay in order
            own = [text for text in order if text.split()[0] == str(name)]
            assert own == [f"{name} {n}" for n in range(25)]
