"""Callbacks of the threads client: order, thread, errors, and what they may do."""

from __future__ import annotations

import functools
import logging
import socket
import threading
from typing import Any

import pytest

from adapters.threads_kit import (
    Background,
    Connection,
    Gone,
    Peer,
    Recorder,
    client_of,
    nothing_left,
    ours,
    plain,
    until,
    within,
)
from im_runtime import NAMES
from im_threads import (
    IMClient,
    IMError,
    IMErrorCode,
    LocalProtocolError,
    Message,
    SlowCallback,
    Status,
)

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


def push_one(connection: Connection) -> None:
    connection.login()
    connection.push("hello", msg_id=1)
    connection.answer_all()


def test_the_thirteen_and_notice_in_the_order_of_events() -> None:
    beats = threading.Event()

    def first(connection: Connection) -> None:
        connection.login()
        connection.push("hello", msg_id=1)
        connection.write(connection._framing.send_text('{"type": "NEW_THING"}'))
        answering = Background(connection.answer_all)
        beats.wait()
        connection.raw.shutdown(socket.SHUT_RDWR)
        with pytest.raises((Gone, OSError)):
            answering.result()

    with Peer(first, plain) as peer:
        with client_of(peer, heartbeat={"interval": 0.02, "timeout": 1}) as client:
            recorder = Recorder(*NAMES)
            client.set_callbacks(recorder.callbacks())
            client.connect()
            sent = client.send_message(2, "hi")
            recorder.until("heartbeat_received")
            beats.set()
            recorder.until("reconnected")
            client.disconnect()
        names = [name for name in recorder.names() if not name.startswith("heartbeat")]
        assert [name for name in names if name != "state_changed"] == [
            "connected",
            "authenticated",
            "notice",  # GuaranteeChanged
            "message_received",
            "notice",  # UnknownMessage
            "message_sent",
            "disconnected",
            "error",
            "reconnecting",
            "connected",
            "authenticated",
            "reconnected",
            "disconnected",
        ]
        by_name = dict(reversed(recorder.calls))
        assert isinstance(by_name["message_received"][0], Message)
        assert by_name["message_sent"] == (sent,)
        assert by_name["reconnecting"] == (1,)
        assert isinstance(by_name["error"][0], IMError)
        for name in ("connected", "disconnected", "authenticated", "heartbeat_sent"):
            assert by_name[name] == ()


def test_they_run_in_one_thread_of_their_own_one_at_a_time() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        threads: set[threading.Thread] = set()
        running = 0
        most = 0

        def note(*_: object) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            threads.add(threading.current_thread())
            threading.Event().wait(0.005)
            running -= 1

        for name in ("connected", "authenticated", "message_sent", "state_changed"):
            client.on(name, note)
            client.on(name, note)
        client.connect()
        for sending in [Background(client.send_message, 2, f"{n}") for n in range(5)]:
            sending.result()
        client.disconnect()
        (thread,) = threads
        assert thread.name == "im_threads-callbacks"
        assert most == 1


def test_on_once_off_and_set() -> None:
    with Peer(plain) as peer, client_of(peer, timeouts={"close": 30}) as client:
        calls: list[str] = []
        client.once("connected", lambda: calls.append("once"))
        client.on("connected", kept := functools.partial(calls.append, "kept"))
        client.on("connected", gone := functools.partial(calls.append, "gone"))
        client.off("connected", gone)
        client.set_callbacks({"connected": lambda: calls.append("set 1")})
        client.set_callbacks(connected=lambda: calls.append("set 2"))
        for _ in range(2):
            client.connect()
            client.disconnect()
        assert calls == ["once", "kept", "set 2", "kept", "set 2"]
        client.set_callbacks(connected=None)
        client.off("connected", kept)
        assert "connected" not in client._callbacks


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with client_of("ws://h/") as client:
        with pytest.raises(LocalProtocolError, match="did you mean 'message_received'"):
            client.on("messageReceived", print)
        with pytest.raises(LocalProtocolError, match="no function"):
            client.on("connected", 3)
        assert "connected" not in client._callbacks


def test_an_async_callback_is_refused() -> None:
    async def callback() -> None:
        pass

    with client_of("ws://h/") as client:
        for register in (
            lambda: client.on("connected", callback),
            lambda: client.once("connected")(callback),
            lambda: client.set_callbacks(connected=callback),
        ):
            with pytest.raises(LocalProtocolError, match="im_asyncio"):
                register()
        assert "connected" not in client._callbacks


@pytest.mark.parametrize("failure", [ValueError("boom"), StopIteration(), SystemExit(3)])
def test_a_callback_that_raises_is_told_and_the_client_goes_on(
    failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with Peer(push_one) as peer, client_of(peer, handler_attempts=1) as client:
        recorder = Recorder("error")

        def broken(_: Message) -> None:
            raise failure

        client.set_callbacks(recorder.callbacks())
        client.on("message_received", broken)
        client.connect()
        (error,) = recorder.until("error")
        client.send_message(2, "still there")
        assert (error.code, error.__cause__) == (IMErrorCode.UNKNOWN_ERROR, failure)
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert f"message_received raised {type(failure).__name__}" in record.getMessage()
    assert record.name == "im_threads"


def test_an_error_callback_that_raises_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        calls: list[Any] = []

        def broken(*args: Any) -> None:
            calls.append(args)
            raise ValueError

        client.set_callbacks(connected=broken, error=broken)
        client.connect()
        client.disconnect()
        assert len(calls) == 2
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2


def test_a_slow_callback_is_reported_by_name_while_heartbeats_go_on() -> None:
    go = threading.Event()
    heartbeat = {"interval": 0.02, "timeout": 20}
    with (
        Peer(push_one) as peer,
        client_of(peer, heartbeat=heartbeat, slow_callback=0.05) as client,
    ):
        recorder = Recorder("notice")
        client.set_callbacks(recorder.callbacks())

        def dawdle(_: Message) -> None:
            go.wait()

        client.on("message_received", dawdle)
        client.connect()
        until(lambda: "dawdle" in client.explain())
        sent: list[object] = []
        client._callbacks.on("heartbeat_received", lambda: sent.append(1))
        until(lambda: len(client._calls) >= 3)  # beats go on: their callbacks wait
        client.send_message(2, "and so do messages")
        go.set()
        until(lambda: len(slow_ones(recorder)) == 2)
        told, over = slow_ones(recorder)
        assert (told.name, told.ended, over.ended) == ("message_received", False, True)
        assert "dawdle" in told.function


def slow_ones(recorder: Recorder) -> list[SlowCallback]:
    """Of messages: on a busy machine another callback may be slow as well."""
    notices = [args[0] for _, args in recorder.calls if isinstance(args[0], SlowCallback)]
    return [notice for notice in notices if notice.name == "message_received"]


# ------------------------------------------------------------ what a callback may do


def in_a_callback(client: IMClient, what: Any) -> Any:
    """Do it inside message_received; what it returned."""
    results: list[Any] = []
    done = threading.Event()

    def callback(message: Message) -> None:
        try:
            results.append(what(client, message))
        except BaseException as exc:
            results.append(exc)
        done.set()

    client.on("message_received", callback)
    client.connect()
    assert done.wait(60.0), "a deadlock"
    return results[0]


def reply(client: IMClient, message: Message) -> object:
    assert message.from_user is not None
    return client.send_message(message.from_user, "echo", timeout=60).status


def queue_and_wait(client: IMClient, _: Message) -> object:
    sent = client.queue_message(2, "echo")
    assert sent.wait(60)
    return sent.result().status


def ask(client: IMClient, _: Message) -> object:
    client.on("error", print)
    client.update_access_token("other")
    client.network_changed()
    assert "AUTHENTICATED" in client.explain()
    return client.connection_state.status


def connect_again(client: IMClient, _: Message) -> object:
    client.connect()
    return client.connection_state.status


def from_a_thread_that_it_waits_for(client: IMClient, _: Message) -> object:
    return Background(client.send_message, 2, "echo").result().status


@pytest.mark.parametrize(
    ("what", "result"),
    [
        (reply, "accepted"),
        (queue_and_wait, "accepted"),
        (ask, Status.AUTHENTICATED),
        (connect_again, Status.AUTHENTICATED),
        (from_a_thread_that_it_waits_for, "accepted"),
    ],
)
def test_in_a_callback(what: Any, result: object) -> None:
    with Peer(push_one) as peer, client_of(peer) as client:
        assert in_a_callback(client, what) == result


def test_disconnect_and_connect_in_a_callback() -> None:
    def there_and_back(client: IMClient, _: Message) -> object:
        client.off("message_received")
        client.disconnect()
        assert client.connection_state.status is Status.DISCONNECTED
        client.connect()
        return client.connection_state.status

    with Peer(push_one) as peer, client_of(peer, timeouts={"close": 60}) as client:
        recorder = Recorder("disconnected", "authenticated")
        client.set_callbacks(recorder.callbacks())
        assert in_a_callback(client, there_and_back) == Status.AUTHENTICATED
        recorder.until("authenticated", 2)
        assert recorder.names() == ["authenticated", "disconnected", "authenticated"]
        assert peer.count == 2


def test_close_in_a_callback() -> None:
    def close(client: IMClient, _: Message) -> object:
        client.close()
        return client.connection_state.status

    with Peer(push_one) as peer, client_of(peer, timeouts={"close": 60}) as client:
        assert in_a_callback(client, close) == Status.DISCONNECTED
        until(lambda: ours() == [])  # its own thread too, when the callback has returned
        peer.idle()


def test_disconnect_in_a_callback_while_another_thread_disconnects() -> None:
    inside, go = threading.Event(), threading.Event()

    def stop(client: IMClient, _: Message) -> object:
        inside.set()
        go.wait()
        client.disconnect()
        client.close()
        return "done"

    with Peer(push_one) as peer, client_of(peer, timeouts={"close": 60}) as client:
        stopping = Background(in_a_callback, client, stop)
        inside.wait()
        other = Background(client.disconnect)
        until(lambda: client.connection_state.status is Status.DISCONNECTED)
        go.set()
        assert stopping.result() == "done"
        other.result()


def test_connect_in_a_callback_that_disconnect_waits_for() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        again: list[Status] = []

        def come_back() -> None:
            client.connect()
            again.append(client.connection_state.status)

        client.once("disconnected", come_back)
        client.connect()
        client.disconnect()  # waits for that callback, and the client is connected again
        assert again == [Status.AUTHENTICATED]
        assert peer.count == 2


def test_disconnect_waits_for_the_callbacks_that_wait() -> None:
    with Peer(plain) as peer, client_of(peer, timeouts={"close": 30}) as client:
        calls: list[str] = []
        client.on("authenticated", lambda: threading.Event().wait(0.05))
        client.on("disconnected", lambda: calls.append("disconnected"))
        client.connect()
        client.disconnect()
        assert calls == ["disconnected"]


def test_a_callback_that_hangs_does_not_hold_up_disconnect(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("im_threads.life._MARGIN", 0.05)
    release = threading.Event()
    with Peer(plain) as peer, client_of(peer) as client:
        recorder = Recorder("authenticated")
        client.on("connected", release.wait)
        client.connect()
        with within(15.0):
            client.disconnect()
        assert "still runs" in caplog.text
        client.off("connected")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        recorder.until("authenticated")  # others are called again, by another thread
        release.set()
        until(lambda: len(ours()) == 2)
        client.send_message(2, "x")  # its end is nobody's business any more
        assert client._life.gave_up is None


def test_no_lock_is_held_while_a_callback_runs() -> None:
    """Whatever other threads do while a callback runs, they are not held up by it."""
    inside, go = threading.Event(), threading.Event()

    def hold(_: Message) -> None:
        inside.set()
        go.wait()

    with Peer(push_one) as peer, client_of(peer) as client:
        client.on("message_received", hold)
        client.connect()
        inside.wait()
        client.send_message(2, "goes on", timeout=60)
        client.queue_message(2, "too").result(60)
        client.on("connected", print)
        assert client.connection_state.status is Status.AUTHENTICATED
        assert client.explain()
        go.set()


def test_a_log_handler_is_refused_what_waits() -> None:
    """A log handler of the application runs in the client's own thread."""
    refused: list[BaseException] = []
    emitted: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            emitted.append(record)
            assert client.connection_state is not None  # asking is allowed
            for call in (lambda: client.send_message(2, "x"), lambda: client.queue_message(2, "x")):
                try:
                    call()
                except LocalProtocolError as exc:
                    refused.append(exc)

    logger = logging.getLogger("im_threads")
    handler = Handler(logging.INFO)
    with Peer(plain) as peer, client_of(peer) as client:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            client.connect()
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        assert len(refused) == 2 * len(emitted) > 0
        assert all("log handler" in str(exc) for exc in refused)
        client.send_message(2, "unharmed")
