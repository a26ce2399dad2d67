"""close() in every state, fork, the end of the program: bounded, and nothing left."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import closed_port
from adapters.threads_kit import (
    Background,
    Peer,
    Recorder,
    client_of,
    config,
    mute,
    mute_after_login,
    mute_after_upgrade,
    nothing_left,
    ours,
    plain,
    until,
    within,
)
from adapters.tls_kit import trusting
from im_threads import (
    IMClient,
    IMError,
    IMErrorCode,
    LocalProtocolError,
    MessageError,
    Status,
)
from im_threads.dispatcher import Dispatcher
from im_threads.loop import Loop

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")
ROOT = Path(__file__).parents[2]


# ------------------------------------------------------------ close() in every state


def test_a_client_that_was_never_used() -> None:
    client = IMClient(config("ws://h/"))
    assert ours() == []
    with within(15.0):
        client.close()
        client.close()


def test_a_client_that_only_queued() -> None:
    client = IMClient(config("ws://h/"))
    sent = client.queue_message(2, "x")
    waiting, sending = Background(sent.result), Background(client.send_message, 2, "y")
    until(lambda: len(client._pending) == 2)
    with within(15.0):
        client.close()
    assert ours() == []
    for call in (waiting, sending):
        with pytest.raises(MessageError, match="closed") as caught:
            call.result()
        assert caught.value.code is IMErrorCode.MESSAGE_SEND_FAILED
        assert caught.value.sent.status == "queued"
    assert not sent.wait()  # nobody waits any more


def test_a_client_that_is_logged_in() -> None:
    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.connect()
        assert [t.name for t in ours()] == ["im_threads"]
        with within(15.0):
            client.close()
        assert ours() == []
        assert client.connection_state.status is Status.DISCONNECTED
        peer.idle()


def test_close_twice_and_from_two_threads() -> None:
    with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url))
        client.connect()
        closing = [Background(client.close) for _ in range(3)]
        for one in closing:
            one.result()
        assert ours() == []
        client.close()


def test_after_it_every_wish_is_refused_and_asking_goes_on() -> None:
    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.connect()
        client.send_message(2, "x")
        client.close()
        for wish in (
            client.connect,
            lambda: client.send_message(2, "x"),
            lambda: client.queue_message(2, "x"),
            lambda: client.update_access_token("x"),
            client.network_changed,
        ):
            with pytest.raises(LocalProtocolError, match="closed"):
                wish()
        client.disconnect()  # no error: there is nothing to do
        assert list(client.messages()) == []
        assert client.counters.accepted == 1
        assert client.explain().startswith("DISCONNECTED")
        assert client.user_id == 1
        assert ours() == []


def test_after_many_connections_the_threads_of_all_of_them_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, delays = Dispatcher._run, iter((0.3, 0.0))

    def slow_to_end(self: Dispatcher, jobs: Any) -> None:
        run(self, jobs)
        time.sleep(next(delays))

    monkeypatch.setattr(Dispatcher, "_run", slow_to_end)
    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.on("connected", lambda: None)
        for _ in range(2):
            client.connect()
            client.disconnect()
        client.close()
        assert ours() == []
        peer.idle()


@pytest.mark.parametrize("script", [mute, mute_after_upgrade])
def test_in_the_handshake_and_the_log_in(script: Any) -> None:
    with Peer(script) as peer:
        client = IMClient(config(peer.url))
        connecting = Background(client.connect)
        until(lambda: peer.count)
        with within(15.0):
            client.close()
        assert ours() == []
        with pytest.raises(IMError, match="disconnect"):
            connecting.result()
        peer.idle()


def test_in_the_tls_handshake() -> None:
    with Peer(mute) as peer:
        # To read the system's certificates takes a machine under load longer than the rest.
        client = IMClient(config(peer.url.replace("ws", "wss", 1)), ssl_context=trusting())
        connecting = Background(client.connect)
        until(lambda: peer.count)
        with within(15.0):
            client.close()
        with pytest.raises(IMError, match="disconnect"):
            connecting.result()
        peer.idle()


@pytest.mark.skipif(sys.platform != "linux", reason="how a full queue behaves is Linux's own")
def test_in_the_tcp_handshake() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        client = IMClient(config(f"ws://127.0.0.1:{deaf.getsockname()[1]}/"))
        connecting = Background(client.connect)
        until(lambda: client.connection_state.status is Status.CONNECTING)
        with within(15.0):
            client.close()
        with pytest.raises(IMError, match="disconnect"):
            connecting.result()
        for caller in callers:
            caller.close()


def test_while_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        asked.set()
        answer.wait()
        return look_up("127.0.0.1", args[1], type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = IMClient(config(f"ws://a.name:{closed_port()}/"))
    connecting = Background(client.connect)
    asked.wait()
    with within(15.0):
        client.close()
    with pytest.raises(IMError, match="disconnect"):
        connecting.result()
    assert [t.name for t in ours()] == ["im_threads-lookup"]  # it can't be interrupted
    answer.set()
    until(lambda: ours() == [])  # and its answer is nobody's


def test_a_late_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up of an attempt that was given up ends in the middle of the next."""
    answer = threading.Event()
    look_up = socket.getaddrinfo
    calls: list[int] = []

    def first_is_slow(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            answer.wait()
        return look_up("127.0.0.1", args[1], type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", first_is_slow)
    with Peer(plain) as peer, client_of(peer.url.replace("127.0.0.1", "a.name")) as client:
        with pytest.raises(IMError):
            client.connect(timeout=0.02)
        client.connect()
        answer.set()
        until(lambda: len(ours()) == 1)
        client.send_message(2, "x")
        assert peer.count == 1


def test_while_the_token_is_awaited() -> None:
    asked, answer = threading.Event(), threading.Event()

    def source() -> str:
        asked.set()
        answer.wait()
        return "late"

    client = IMClient(config("ws://127.0.0.1:1/", token=source))
    connecting = Background(client.connect)
    asked.wait()
    with within(15.0):
        client.close()
    with pytest.raises(IMError, match="disconnect"):
        connecting.result()
    answer.set()
    until(lambda: ours() == [])


def test_while_it_waits_for_the_next_attempt() -> None:
    slow = {"initial_delay": 60, "max_delay": 60}
    client = IMClient(config(f"ws://127.0.0.1:{closed_port()}/", reconnect=slow))
    connecting = Background(client.connect, retry=True)
    until(lambda: client.connection_state.retry_at is not None)
    with within(15.0):
        client.close()
    with pytest.raises(IMError, match="disconnect"):
        connecting.result()


def test_while_others_wait_for_messages_and_answers() -> None:
    with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url))
        client.connect()
        messages = client.messages()
        consuming = Background(list, messages)
        sending = Background(client.send_message, 2, "x")
        until(lambda: messages.waiting and len(client._pending))
        with within(15.0):
            client.close()
        assert consuming.result() == []
        with pytest.raises(MessageError) as caught:
            sending.result()
        assert caught.value.sent.status == "in_flight"


def test_while_a_callback_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("im_threads.life._MARGIN", 0.05)
    inside, go = threading.Event(), threading.Event()
    later: list[str] = []

    def endless() -> None:
        inside.set()
        go.wait()
        later.append(client.connection_state.status)

    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.on("authenticated", endless)
        client.on("disconnected", lambda: later.append("never called"))
        client.connect()
        inside.wait()
        with within(15.0):
            client.close()
        assert [t.name for t in ours()] == ["im_threads-callbacks"]  # nobody can end it
        go.set()
        until(lambda: ours() == [])
        assert later == ["DISCONNECTED"]  # it could still ask


def test_it_waits_for_the_callbacks_that_wait() -> None:
    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("connected", "authenticated", "disconnected")
        client.set_callbacks(recorder.callbacks())
        client.on("connected", lambda: time.sleep(0.05))
        client.connect()
        client.close()
        assert recorder.names() == ["connected", "authenticated", "disconnected"]
        assert ours() == []


def test_while_others_use_it() -> None:
    """Whatever races with close() ends, with an answer or a clear error."""
    with Peer(plain) as peer:
        for _ in range(10):
            client = IMClient(config(peer.url))
            client.connect()
            workers = [Background(use, client, go) for go in (send, ask, listen, come_and_go) * 2]
            with contextlib.suppress(IMError):  # its links come and go
                client.send_message(2, "x")
            with within(15.0):
                client.close()
            for worker in workers:
                worker.result()
            assert ours() == []


def use(client: IMClient, what: Callable[[IMClient], None]) -> None:
    try:
        while True:
            what(client)
    except (LocalProtocolError, IMError):
        pass


def send(client: IMClient) -> None:
    client.send_message(2, "x")
    client.queue_message(2, "y").wait()


def ask(client: IMClient) -> None:
    client.connection_state  # noqa: B018
    client.explain()
    client.on("error", print)
    client.off("error", print)
    client.update_access_token("t")


def listen(client: IMClient) -> None:
    for _ in client.messages(timeout=0.001):
        pass
    client.update_access_token("t")


def come_and_go(client: IMClient) -> None:
    client.disconnect()
    client.connect()


def test_a_ctrl_c_in_any_wait_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(mute_after_login) as peer, client_of(peer, timeouts={"close": 60}) as client:
        wait = Loop.wait

        def interrupted_after(count: int, call: Callable[[], Any]) -> bool:
            """True if it was interrupted in its wait of that number."""
            waits = 0

            def counted(loop: Loop, event: threading.Event, timeout: float | None = None) -> bool:
                nonlocal waits
                if threading.current_thread() is threading.main_thread():
                    waits += 1
                    if waits == count:
                        raise KeyboardInterrupt
                return wait(loop, event, timeout)

            with monkeypatch.context() as patch:
                patch.setattr(Loop, "wait", counted)
                try:
                    call()
                except KeyboardInterrupt:
                    return True
                return False

        number = 1
        while interrupted_after(number, client.connect):
            until(lambda: not client._life.in_use and client._driver.quiet)
            number += 1
        assert number == 4  # it begins, waits for the log-in, and asks what came of it
        assert client.connection_state.status is Status.AUTHENTICATED
        assert interrupted_after(1, client.disconnect)  # the peer is mute: it would take 60 s
        until(lambda: client._driver.quiet)
        peer.idle()
        client.close()
        assert ours() == []


def test_without_close_the_threads_end_when_nothing_needs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("im_threads.loop._LINGER", 0.01)
    with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.on("connected", lambda: None)
        client.connect()
        client.disconnect()
        until(lambda: ours() == [])


def test_while_an_answer_about_sessions_is_awaited() -> None:
    """And the client need not be connected for it; its thread stays as long as that takes."""
    with Peer(mute) as peer:
        client = IMClient(config(peer.url))
        asking = Background(client.get_current_sessions)
        until(lambda: peer.count)
        assert client.connection_state.status is Status.DISCONNECTED
        with within(15.0):
            client.close()
        with pytest.raises(IMError):
            asking.result()
        until(lambda: "im_http" not in [t.name for t in threading.enumerate()])
        peer.idle()
