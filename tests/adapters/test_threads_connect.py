"""connect() and disconnect() of the threads client: what they promise."""

from __future__ import annotations

import socket
import threading

import pytest

from adapters.adapter_kit import closed_port
from adapters.threads_kit import (
    Background,
    Connection,
    Peer,
    Recorder,
    client_of,
    config,
    drop,
    mute,
    mute_after_login,
    mute_after_upgrade,
    nothing_left,
    plain,
    until,
    within,
)
from im_proto.wire import AuthRequest, AuthResponse
from im_threads import IMClient, IMError, IMErrorCode, LocalProtocolError, Status

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


def refuse_login(connection: Connection) -> None:
    connection.accept()
    connection.next(AuthRequest)
    connection.send(AuthResponse(code=40101, message="expired"))
    connection.until_gone()


def not_found(connection: Connection) -> None:
    connection.reject(404)


# ------------------------------------------------------------ connect


def test_connect_returns_when_logged_in() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        assert client.connection_state.status is Status.DISCONNECTED
        client.connect()
        assert client.connection_state.status is Status.AUTHENTICATED
        client.connect()  # at once: it is
        assert peer.count == 1
        client.disconnect()
        assert client.connection_state.status is Status.DISCONNECTED
        peer.idle()


def test_with_connects_and_closes() -> None:
    with Peer(plain) as peer:
        with IMClient(config(peer.url)) as client:
            assert client.connection_state.status is Status.AUTHENTICATED
        assert client.connection_state.status is Status.DISCONNECTED
        peer.idle()


def test_a_mapping_is_a_configuration() -> None:
    with Peer(plain) as peer:
        fields = {"ws_url": peer.url, "token": "t", "user_id": "7"}
        with IMClient(fields) as client:
            assert client.user_id == 7
            assert len(client.device_id) == 16


def test_the_first_failure_raises_and_nothing_is_left() -> None:
    with client_of(f"ws://127.0.0.1:{closed_port()}/") as client:
        with pytest.raises(IMError) as caught:
            client.connect()
        assert caught.value.code is IMErrorCode.CONNECTION_FAILED
        assert "(refused)" in caught.value.text
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        assert client.connection_state.status is Status.DISCONNECTED
        assert client.connection_state.retry_at is None


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (refuse_login, IMErrorCode.TOKEN_INVALID),
        (not_found, IMErrorCode.CONNECTION_FAILED),
        (drop, IMErrorCode.CONNECTION_FAILED),
    ],
)
def test_each_failure_has_its_code(script: object, code: IMErrorCode) -> None:
    with Peer(script) as peer, client_of(peer) as client:
        with pytest.raises(IMError) as caught:
            client.connect()
        assert caught.value.code is code
        peer.idle()
        assert peer.count == 1


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize("script", [mute, mute_after_upgrade])
def test_timeout_raises_and_nothing_is_left(script: object, retry: bool) -> None:
    with Peer(script) as peer, client_of(peer) as client:
        with pytest.raises(IMError) as caught, within(15.0):
            client.connect(timeout=0.05, retry=retry)
        assert caught.value.code is IMErrorCode.CONNECTION_TIMEOUT
        assert "0.05 s" in caught.value.text
        peer.idle()


def test_retry_goes_on_after_failures() -> None:
    with Peer(drop, drop, plain) as peer, client_of(peer) as client:
        client.connect(retry=True)
        assert peer.count == 3


def test_retry_until_the_timeout() -> None:
    with Peer(drop) as peer, client_of(peer) as client:
        with pytest.raises(IMError) as caught:
            client.connect(timeout=1.0, retry=True)
        assert caught.value.code is IMErrorCode.CONNECTION_TIMEOUT
        assert isinstance(caught.value.__cause__, IMError)  # the last failure
        assert peer.count >= 2


def test_retry_does_not_repeat_what_cannot_change() -> None:
    with Peer(refuse_login) as peer, client_of(peer) as client:
        with pytest.raises(IMError) as caught:
            client.connect(retry=True)
        assert caught.value.terminal
        assert peer.count == 1


def test_retry_ends_when_the_tries_are_used_up() -> None:
    reconnect = {"initial_delay": 0.01, "jitter": "none", "max_retries": 2}
    with Peer(drop) as peer, client_of(peer, reconnect=reconnect) as client:
        with pytest.raises(IMError) as caught:
            client.connect(retry=True)
        assert caught.value.code is IMErrorCode.RECONNECT_FAILED


def test_two_connects_share_one_connection() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        for one in [Background(client.connect) for _ in range(2)]:
            one.result()
        assert peer.count == 1


def test_a_connect_that_is_too_late_leaves_the_other_alone() -> None:
    go = threading.Event()

    def slow(connection: Connection) -> None:
        connection.accept()
        go.wait()
        connection.next(AuthRequest)
        connection.send(AuthResponse(code=0))
        connection.answer_all()

    with Peer(slow) as peer, client_of(peer) as client:
        patient = Background(client.connect)
        until(lambda: client.connection_state.status is Status.CONNECTED)
        with pytest.raises(IMError, match=r"0\.02 s"):
            client.connect(timeout=0.02)
        go.set()
        patient.result()
        assert peer.count == 1
        assert client.connection_state.status is Status.AUTHENTICATED


def test_disconnect_ends_a_connect() -> None:
    with Peer(mute) as peer, client_of(peer) as client:
        connecting = Background(client.connect)
        until(lambda: peer.count)
        client.disconnect()
        with pytest.raises(IMError, match="disconnect"):
            connecting.result()


def test_connect_after_disconnect() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        for _ in range(3):
            client.connect()
            client.disconnect()
        assert peer.count == 3


def test_connect_waits_for_a_disconnect_that_is_under_way() -> None:
    with Peer(mute_after_login, plain) as peer, client_of(peer) as client:
        client.connect()
        ending = Background(client.disconnect)
        until(lambda: client.connection_state.status is Status.DISCONNECTED)
        client.connect()
        assert peer.count == 2
        assert client.connection_state.status is Status.AUTHENTICATED
        ending.result()


# ------------------------------------------------------------ disconnect


def test_disconnect_says_goodbye() -> None:
    seen: list[int | None] = []

    def script(connection: Connection) -> None:
        connection.login()
        try:
            connection.until_gone()
        finally:
            seen.append(connection.closed)

    with Peer(script) as peer:
        with IMClient(config(peer.url)):
            pass
        peer.idle()
    assert seen == [1000]


def test_disconnect_twice_and_without_a_connection() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        client.disconnect()
        client.connect()
        for one in [Background(client.disconnect) for _ in range(2)]:
            one.result()
        client.disconnect()


def test_disconnect_is_bounded_when_the_peer_is_mute() -> None:
    with Peer(mute_after_login) as peer, client_of(peer) as client:
        client.connect()
        with within(15.0):  # timeouts.close is 0.2
            client.disconnect()
        peer.idle()


def test_disconnect_while_waiting_for_the_next_attempt() -> None:
    lose = threading.Event()

    def script(connection: Connection) -> None:
        connection.login()
        lose.wait()

    slow = {"initial_delay": 60, "max_delay": 60}
    with Peer(script) as peer, client_of(peer, reconnect=slow) as client:
        recorder = Recorder("reconnecting", "disconnected")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        lose.set()
        recorder.until("reconnecting")
        assert client.connection_state.status is Status.RECONNECTING
        client.disconnect()
        assert recorder.names() == ["disconnected", "reconnecting"]


def test_it_comes_back_after_a_reset() -> None:
    lose = threading.Event()

    def script(connection: Connection) -> None:
        connection.login()
        lose.wait()
        connection.reset()

    with Peer(script, plain) as peer, client_of(peer) as client:
        recorder = Recorder("reconnected")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        lose.set()
        recorder.until("reconnected")
        assert client.counters.reconnects == 1
        client.send_message(2, "back")


def test_the_callbacks_were_called_when_disconnect_returns() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        recorder = Recorder("connected", "authenticated", "disconnected")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        client.disconnect()
        assert recorder.names() == ["connected", "authenticated", "disconnected"]


# ------------------------------------------------------------ tokens


def test_the_token_may_be_a_function() -> None:
    seen: list[object] = []

    def source() -> str:
        seen.append(threading.current_thread())
        return "from-a-thread"

    def script(connection: Connection) -> None:
        seen.append(connection.login().access_token)
        noted.set()
        connection.answer_all()

    noted = threading.Event()
    with Peer(script) as peer, client_of(peer, token=source) as client:
        client.connect()
        assert noted.wait(60)
        thread, token = seen
        assert token == "from-a-thread"
        assert thread is not threading.current_thread()
        assert thread not in client._loop._threads


@pytest.mark.parametrize("failure", [ValueError("no secret in the text"), SystemExit()])
def test_a_token_function_that_raises(failure: BaseException) -> None:
    def source() -> str:
        raise failure

    with client_of("ws://127.0.0.1:1/", token=source) as client:
        with pytest.raises(IMError) as caught:
            client.connect()
        assert caught.value.code is IMErrorCode.AUTH_FAILED
        assert "no secret" not in str(caught.value)
        if isinstance(failure, Exception):
            assert caught.value.__cause__ is failure


def test_a_token_function_that_returns_no_token() -> None:
    with client_of("ws://127.0.0.1:1/", token=lambda: None) as client:
        with pytest.raises(IMError) as caught:
            client.connect()
        assert caught.value.code is IMErrorCode.AUTH_FAILED
        assert "NoneType" in str(caught.value.__cause__)


def test_an_async_token_function_is_refused() -> None:
    async def source() -> str:
        return "x"

    with pytest.raises(LocalProtocolError, match="im_asyncio"):
        IMClient(config("ws://127.0.0.1:1/", token=source))
    with client_of("ws://127.0.0.1:1/", token=lambda: source()) as client:
        with pytest.raises(IMError) as caught:
            client.connect()
        assert "im_asyncio" in str(caught.value.__cause__)


def test_a_token_that_comes_too_late_changes_nothing() -> None:
    go, asked = threading.Event(), threading.Event()

    def source() -> str:
        asked.set()
        go.wait()
        return "late"

    slow = {"initial_delay": 60, "max_delay": 60}
    more = {"token": source, "timeouts": {"token": 0.02}, "reconnect": slow}
    with client_of("ws://127.0.0.1:1/", **more) as client:
        connecting = Background(client.connect, retry=True)
        asked.wait()
        until(lambda: client.connection_state.attempts == 1)
        go.set()
        until(lambda: "im_threads-token" not in [t.name for t in threading.enumerate()])
        assert client.connection_state.attempts == 1
        client.disconnect()
        with pytest.raises(IMError):
            connecting.result()


def test_a_new_token_goes_on_after_a_refused_one() -> None:
    lose = threading.Event()
    tokens: list[str] = []

    def first(connection: Connection) -> None:
        connection.login()
        lose.wait()

    def second(connection: Connection) -> None:
        connection.accept()
        tokens.append(connection.next(AuthRequest).access_token)
        connection.send(AuthResponse(code=0 if tokens[-1] == "new" else 40101))
        connection.answer_all()

    with Peer(first, second) as peer, client_of(peer) as client:
        recorder = Recorder("auth_failed", "authenticated", "error")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        lose.set()
        (error,) = recorder.until("auth_failed")
        assert error.code is IMErrorCode.TOKEN_INVALID
        with pytest.raises(IMError):
            client.send_message(2, "it has given up")
        client.update_access_token("new")
        recorder.until("authenticated", 2)
        assert tokens == ["secret-token", "new"]


def test_a_wrong_token_is_refused() -> None:
    with client_of("ws://127.0.0.1:1/") as client, pytest.raises(LocalProtocolError):
        client.update_access_token("")


# ------------------------------------------------------------ names and addresses


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with client_of("ws://nowhere.invalid/") as client, pytest.raises(IMError, match=r"\(dns\)"):
        client.connect()


def test_a_message_stays_queued_over_a_failed_connect() -> None:
    port = closed_port()
    with client_of(f"ws://127.0.0.1:{port}/") as client:
        sent = client.queue_message(2, "patience")
        with pytest.raises(IMError):
            client.connect()
        assert sent.status == "queued"
        with Peer(plain, address=("127.0.0.1", port)):
            client.connect()
            assert sent.result().status == "accepted"


def test_the_network_has_changed() -> None:
    """A client that waits for its next attempt makes it now."""
    port = closed_port()
    slow = {"initial_delay": 60, "max_delay": 60}
    with client_of(f"ws://127.0.0.1:{port}/", reconnect=slow) as client:
        recorder = Recorder("reconnecting")
        client.set_callbacks(recorder.callbacks())
        connecting = Background(client.connect, retry=True)
        recorder.until("reconnecting")
        with Peer(plain, address=("127.0.0.1", port)):
            client.network_changed()
            connecting.result()
