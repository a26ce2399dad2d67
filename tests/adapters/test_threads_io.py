"""The I/O thread: TLS, flow control, timers, several addresses, and bugs of ours."""

from __future__ import annotations

import select
import socket
import ssl
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
    mute_after_login,
    nothing_left,
    plain,
    until,
    within,
)
from adapters.tls_kit import server_tls, trusting
from im_proto.client import inputs as inp
from im_proto.wire import AuthRequest, AuthResponse, ChatSendResponse, ChatSendToOne
from im_threads import IMClient, IMError, IMErrorCode

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


# ------------------------------------------------------------ TLS


def test_wss() -> None:
    with (
        Peer(plain, tls=server_tls()) as peer,
        client_of(peer, ssl_context=trusting()) as client,
    ):
        client.connect()
        client.send_message(2, "over TLS")
        client.disconnect()
        peer.idle()


def test_a_certificate_that_nobody_vouches_for() -> None:
    with Peer(plain, tls=server_tls()) as peer, client_of(peer) as client:
        with pytest.raises(IMError, match=r"\(tls\)") as caught:
            client.connect()
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        peer.idle()


def test_a_certificate_for_another_name() -> None:
    with Peer(plain, tls=server_tls()) as peer:
        url = peer.url.replace("127.0.0.1", "127.0.0.2")
        peer_at_2 = Peer(plain, tls=server_tls(), address=("127.0.0.2", peer.port))
        with (
            peer_at_2,
            client_of(url, ssl_context=trusting()) as client,
            pytest.raises(IMError, match=r"mismatch.*\(tls\)"),
        ):
            client.connect()


def test_a_server_without_tls() -> None:
    def script(connection: Connection) -> None:
        connection.raw.recv(65536)
        connection.raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.mute()

    with Peer(script) as peer, client_of(peer.url.replace("ws", "wss", 1)) as client:
        with pytest.raises(IMError, match=r"\(tls\)"):
            client.connect()
        peer.idle()


def test_a_server_that_hangs_up_in_the_handshake() -> None:
    def script(connection: Connection) -> None:
        connection.raw.recv(65536)

    with (
        Peer(script) as peer,
        client_of(peer.url.replace("ws", "wss", 1)) as client,
        pytest.raises(IMError, match=r"\(tls\)"),
    ):
        client.connect()


class Records:
    """TLS in memory, for a peer that chooses which records go out together."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = server_tls().wrap_bio(self._in, self._out, server_side=True)

    def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._raw.sendall(self._out.read())
                self._in.write(self._raw.recv(65536))

    def recv(self, _: int) -> bytes:
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = self._raw.recv(65536)
                if not data:
                    return b""
                self._in.write(data)

    def sendall(self, *records: bytes) -> None:
        for record in records:
            self._tls.write(record)
        self._raw.sendall(self._out.read())


def test_two_records_in_one_segment_then_silence() -> None:
    """The second one is decrypted already: no selector will ever tell of it."""

    def script(connection: Connection) -> None:
        raw = connection.raw
        records = Records(raw)
        records.handshake()
        connection.raw = records
        connection.accept()
        connection.next(AuthRequest)
        records.sendall(
            connection.text(AuthResponse(code=0)),
            connection._framing.send_text('{"type": "FIRST"}'),
            connection._framing.send_text('{"type": "SECOND"}'),
        )
        while records.recv(65536):
            pass

    with Peer(script) as peer:
        url = peer.url.replace("ws", "wss", 1)
        with client_of(url, ssl_context=trusting()) as client:
            recorder = Recorder("notice")
            client.set_callbacks(recorder.callbacks())
            client.connect()
            until(lambda: len(recorder.calls) == 3)
            kinds = [args[0].kind for _, args in recorder.calls[1:]]
            assert kinds == ["FIRST", "SECOND"]


def test_what_comes_with_the_end_of_the_handshake_is_not_left_lying() -> None:
    """A server may speak in the very segment that ends the handshake."""

    def script(connection: Connection) -> None:
        raw = connection.raw
        records = Records(raw)
        records._tls.context.maximum_version = ssl.TLSVersion.TLSv1_2
        records._tls = records._tls.context.wrap_bio(records._in, records._out, server_side=True)
        while True:
            try:
                records._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(records._out.read())
                records._in.write(raw.recv(65536))
        records._tls.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        raw.sendall(records._out.read())  # the server's last flight, and its answer
        while raw.recv(65536):
            pass

    with Peer(script) as peer:
        url = peer.url.replace("ws", "wss", 1)
        with client_of(url, ssl_context=trusting()) as client:
            with pytest.raises(IMError) as caught:
                client.connect()
            assert caught.value.server_code == 503


def test_disconnect_over_tls_is_bounded_when_the_peer_is_mute() -> None:
    with (
        Peer(mute_after_login, tls=server_tls()) as peer,
        client_of(peer, ssl_context=trusting()) as client,
    ):
        client.connect()
        with within(15.0):
            client.disconnect()
        peer.idle()


def test_the_end_of_tls_is_said() -> None:
    ends: list[bytes] = []

    def script(connection: Connection) -> None:
        connection.login()
        with pytest.raises(Gone):
            connection.until_gone()
        ends.append(connection.raw.recv(1))  # raises SSLEOFError where it was cut off

    with (
        Peer(script, tls=server_tls()) as peer,
        client_of(peer, ssl_context=trusting()) as client,
    ):
        client.connect()
        client.disconnect()
        peer.idle()
    assert ends == [b""]


def test_a_reset_within_tls() -> None:
    lose = threading.Event()

    def script(connection: Connection) -> None:
        connection.login()
        lose.wait()
        connection.reset()

    with (
        Peer(script, plain, tls=server_tls()) as peer,
        client_of(peer, ssl_context=trusting()) as client,
    ):
        recorder = Recorder("reconnected")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        lose.set()
        recorder.until("reconnected")
        client.send_message(2, "back")


def test_much_over_tls_both_ways() -> None:
    size = 60_000
    contents = [chr(65 + n) * size for n in range(20)]

    def script(connection: Connection) -> None:
        connection.login()
        for n, content in enumerate(contents):
            connection.push(content, msg_id=n)
        connection.answer_all()

    with (
        Peer(script, tls=server_tls()) as peer,
        client_of(peer, ssl_context=trusting(), **BIG) as client,
    ):
        client.connect()
        sent = [client.queue_message(1000 + n, content) for n, content in enumerate(contents)]
        messages = client.messages()
        assert [next(messages).content for _ in contents] == contents
        assert all(s.result().done for s in sent)


# ------------------------------------------------------------ flow control


BIG: dict[str, Any] = {"in_flight": 4096, "content_units": 60_000}


def shrink_buffer(client: IMClient) -> None:
    """Leave the kernel little room, so that a megabyte is more than it takes."""
    (link,) = client._driver._links.values()
    assert link._socket is not None
    link._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)


def test_a_peer_that_does_not_read_stops_the_sending() -> None:
    go = threading.Event()
    count = 60

    def lazy(connection: Connection) -> None:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.login()
        go.wait()
        for _ in range(count):
            message = connection.next(ChatSendToOne)
            connection.send(ChatSendResponse(msg_id=message.msg_id))
        connection.until_gone()

    with Peer(lazy) as peer, client_of(peer, **BIG) as client:
        client.connect()
        shrink_buffer(client)
        sent = [client.queue_message(1000 + n, "x" * 60_000) for n in range(count)]
        until(lambda: "writing is blocked" in client.explain())
        assert sum(s.status == "queued" for s in sent) > count / 2  # here, and in no buffer
        go.set()
        assert all(s.result().done for s in sent)
        assert "writing is blocked" not in client.explain()


def test_nothing_turns_in_circles_while_nothing_is_read() -> None:
    """There is more to read, and nobody has room for it: the thread sleeps all the same."""
    contents = [f"m{n}" for n in range(20)]
    paused = threading.Event()

    def script(connection: Connection) -> None:
        connection.login_with_seq()
        for n, content in enumerate(contents, 1):
            connection.push(content, msg_id=n, seq=n)
            if n == 10:
                paused.wait()
        connection.answer_all()

    with Peer(script) as peer, client_of(peer, max_unhandled=4) as client:
        client.connect()
        until(lambda: client._engine.core.paused)
        (link,) = client._driver._links.values()
        raw, turns = link._socket, 0
        assert raw is not None
        sleep = client._loop._sleep

        def counted(until: float) -> None:
            nonlocal turns
            turns += 1
            sleep(until)

        client._loop._sleep = counted  # type: ignore[method-assign]
        client._loop.ask(lambda: None)  # ends the sleep that was under way
        paused.set()
        until(lambda: select.select([raw], [], [], 0)[0])
        before = turns
        threading.Event().wait(0.1)
        assert turns - before <= 1
        messages = client.messages()
        assert [next(messages).content for _ in contents] == contents


def test_disconnect_drops_what_the_peer_does_not_take() -> None:
    go = threading.Event()

    def lazy(connection: Connection) -> None:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.login()
        go.wait()

    with Peer(lazy) as peer, client_of(peer, **BIG) as client:
        client.connect()
        shrink_buffer(client)
        for n in range(60):  # more than the buffers between the two take
            client.queue_message(1000 + n, "x" * 60_000)
        until(lambda: "writing is blocked" in client.explain())
        with within(15.0):
            client.disconnect()
        go.set()


def test_the_peers_last_words_are_heard_after_a_write_has_failed() -> None:
    """It has closed, and we write into that: its close frame is in our buffer still."""
    go = threading.Event()

    def script(connection: Connection) -> None:
        connection.login()
        connection.close(4001, "another device")
        connection.raw.shutdown(socket.SHUT_RDWR)
        go.set()

    with Peer(script) as peer, client_of(peer) as client:
        recorder = Recorder("error")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        (_link,) = client._driver._links.values() or (None,)
        client._loop.ask(stall, client, go)
        (error,) = recorder.until("error")
        assert error.server_code == 4001


def stall(client: IMClient, go: threading.Event) -> None:
    """In the loop's thread: it comes to reading only after it has written."""
    for link in list(client._driver._links.values()):
        go.wait()
        for _ in range(3):
            link.write(b"\x89\x80aaaa")  # pings
            link._flush()
            threading.Event().wait(0.01)


def test_a_dead_link_is_found_by_its_silence() -> None:
    heartbeat = {"interval": 0.02, "timeout": 0.02, "max_missed": 2}
    with Peer(mute_after_login, plain) as peer, client_of(peer, heartbeat=heartbeat) as client:
        recorder = Recorder("reconnected", "heartbeat_sent", "error")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        recorder.until("reconnected")
        assert recorder.names().count("heartbeat_sent") >= 2
        assert "heartbeats unanswered" in recorder.until("error")[0].text


def test_a_wall_clock_is_read_at_each_attempt() -> None:
    wall = [1_700_000_000.0]
    more = {"wall": lambda: wall[0], "sleep_watch": None}
    with Peer(plain) as peer, client_of(peer, **more) as client:
        client.connect()
        first = client.send_message(2, "a")
        client.disconnect()
        wall[0] += 1000.0
        client.connect()
        second = client.send_message(2, "b")
        assert first.msg_id is not None
        assert second.msg_id is not None
        assert 999e6 < second.msg_id - first.msg_id < 1001e6  # a thousand seconds in between


# ------------------------------------------------------------ bugs of ours


def test_an_engine_that_raises_ends_in_order(caplog: pytest.LogCaptureFixture) -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        recorder = Recorder("error")
        client.set_callbacks(recorder.callbacks())
        client.connect()
        messages = client.messages()
        consuming = Background(next, messages)
        until(lambda: messages.waiting)
        bug = RuntimeError("a bug")
        step = client._engine.step

        def broken(item: inp.Input, now: float) -> Any:
            if isinstance(item, inp.BytesReceived):
                raise bug
            return step(item, now)

        client._engine.step = broken
        sending = Background(client.send_message, 2, "x")
        (error,) = recorder.until("error")
        assert error.code is IMErrorCode.UNKNOWN_ERROR
        assert error.terminal
        assert error.__cause__ is bug
        with pytest.raises(IMError):
            consuming.result()
        with pytest.raises(IMError):
            sending.result()
        peer.idle()
        client._engine.step = step
        client.connect()
        client.send_message(2, "back again")
    assert "a bug in im_proto" in caplog.text


def test_a_loop_that_raises_ends_in_order(caplog: pytest.LogCaptureFixture) -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        client.connect()
        client._loop.post(lambda: 1 / 0)
        until(lambda: client._life.gave_up is not None)
        peer.idle()
        client.connect()
        client.send_message(2, "back again")
    assert "ZeroDivisionError" in caplog.text
