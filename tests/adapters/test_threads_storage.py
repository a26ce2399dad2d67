"""`storage=` of the client for threads: what outlives it, and what it promises of that."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.adapter_kit import closed_port
from adapters.storage_kit import Memory
from adapters.threads_kit import (
    Connection,
    Peer,
    client_of,
    config,
    nothing_left,
    until,
)
from im_proto.wire import AuthRequest
from im_runtime import Journal
from im_threads import IMClient, IMError, IMErrorCode, LocalProtocolError, Message, SentStatus

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


def serving(memory: Memory) -> Callable[[Connection], None]:
    """The server of that memory."""

    def script(connection: Connection) -> None:
        connection.accept()
        connection.send(*memory.welcome(connection.next(AuthRequest)))
        while True:
            connection.send(*memory.answer(connection.receive()))

    return script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def test_the_file_is_taken_until_close_and_the_name_is_kept(path: Path) -> None:
    memory = Memory()
    with Peer(serving(memory)) as peer:
        for _ in range(2):
            with client_of(peer, storage=path) as client:
                with pytest.raises(IMError, match="in use by another client"):
                    IMClient(config(peer.url), storage=path)
                client.connect()
                assert client.device_id == memory.devices[-1]
    assert len(set(memory.devices)) == 1
    assert not [t for t in threading.enumerate() if t.name == "im-journal"]


def test_a_with_that_fails_lets_go_of_the_file(path: Path) -> None:
    for _ in range(2):
        client = IMClient(config(f"ws://127.0.0.1:{closed_port()}/"), storage=path)
        with pytest.raises(IMError, match="CONNECTION_FAILED"), client:
            pass


def test_what_is_wrong_with_the_call_takes_no_file(path: Path) -> None:
    async def token() -> str:
        return "t"

    for wrong in ({"slow_callback": 0}, {"durability": "none"}):
        with pytest.raises(LocalProtocolError):
            IMClient(config("ws://h/"), storage=path, **wrong)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="async"):
        IMClient(config("ws://h/", token=token), storage=path)
    assert not path.exists()


def test_what_was_queued_goes_out_in_the_next_life(path: Path) -> None:
    memory = Memory()
    with client_of("ws://h/", storage=path) as client:
        for content in "abc":
            client.queue_message(2, content, key=content).queued(5)
        sent = client.queue_message(2, "d")
    with pytest.raises(IMError, match="closed"):
        sent.read(5)
    with Peer(serving(memory)) as peer, client_of(peer, storage=path) as again:
        outbox = again.outbox
        assert [s.content for s in outbox] == ["a", "b", "c", "d"]
        assert again.queue_message(2, "b", key="b") is outbox[1]
        again.connect()
        for one in outbox:
            one.result(60)
        assert again.outbox == []
    assert list(memory.accepted.values()) == ["a", "b", "c", "d"]
    with client_of("ws://h/", storage=path) as last:
        known = last.send_message(2, "c", key="c")
        assert (known.status, known.timestamp, known.wait(0)) == (SentStatus.ACCEPTED, 1234, True)


def test_close_writes_what_is_not_written_yet(path: Path) -> None:
    with client_of("ws://h/", storage=path) as client:
        for content in "abc":  # the first is being written when the others come
            client.queue_message(2, content)
    with client_of("ws://h/", storage=path) as again:
        assert [s.content for s in again.outbox] == ["a", "b", "c"]


def test_receipts_can_be_waited_for_but_not_where_a_message_is_handled(path: Path) -> None:
    memory = Memory("m1")
    refused: list[LocalProtocolError] = []
    with Peer(serving(memory)) as peer, client_of(peer, storage=path) as client:
        client.connect()
        sent = client.send_message(2, "a")
        assert sent.msg_id is not None
        with pytest.raises(IMError, match="not delivered within 0"):
            sent.delivered(0)
        with pytest.raises(LocalProtocolError, match="task or thread of its own"):
            for _ in client.messages():
                sent.delivered()
        handled = threading.Event()

        def callback(_: Message) -> None:
            try:
                sent.read()
            except LocalProtocolError as exc:
                refused.append(exc)
            handled.set()

        client.on("message_received", callback)
        assert handled.wait(60)
        memory.receipt("delivered", sent.msg_id)
        client.send_message(2, "poke")
        assert sent.delivered(5).delivered_at == 5000
        waiting = threading.Thread(target=sent.read)
        waiting.start()
        memory.receipt("read", sent.msg_id)
        client.send_message(2, "poke")
        waiting.join(60)
        assert sent.read_at == 6000
        never = client.send_message(2, "b")

        def wait() -> None:
            with pytest.raises(IMError, match="closed"):
                never.read()

        waiting = threading.Thread(target=wait)
        waiting.start()
    waiting.join(60)  # close() releases it
    assert not waiting.is_alive()
    assert len(refused) == 1


def test_any_thread_acknowledges_by_hand(path: Path) -> None:
    memory = Memory("m1", "m2", "m3")
    with Peer(serving(memory)) as peer:
        with client_of(peer, storage=path, ack="manual") as client:
            client.connect()
            messages = client.messages()
            got = [next(messages) for _ in range(3)]
            got[2].ack()
            thread = threading.Thread(target=got[0].ack)
            thread.start()
            thread.join()
            until(lambda: memory.acked == 1)
        with pytest.raises(LocalProtocolError, match="comes again"):
            got[1].ack()
        with client_of(peer, storage=path) as again:
            again.connect()
            message = next(iter(again.messages()))
            assert (message.content, message.redelivered) == ("m2", True)
            message.ack()
            until(lambda: memory.acked == 3)


def test_what_is_written_with_a_message_is_written_once(path: Path) -> None:
    memory = Memory("m1", "m2")
    attempts: list[tuple[int | None, int]] = []

    def handle(message: Message) -> None:
        with message.transaction() as db:
            db.execute("INSERT INTO orders VALUES (?)", (message.seq,))
            attempts.append((message.seq, message.attempt))
            if len(attempts) == 1:
                raise ValueError("boom")

    with Peer(serving(memory)) as peer, client_of(peer, storage=path) as client:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE orders (seq INTEGER)")
        client.on("message_received", handle)
        client.connect()
        until(lambda: memory.acked == 2)
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT seq FROM orders").fetchall() == [(1,), (2,)]
    assert attempts == [(1, 1), (1, 2), (2, 1)]


def test_a_mailbox_that_was_reset_meanwhile_voids_the_number(path: Path) -> None:
    memory = Memory("m1")
    with Peer(serving(memory)) as peer, client_of(peer, storage=path) as client:
        client.connect()
        (message,) = (next(iter(client.messages())),)
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("INSERT INTO im_resets VALUES (1, 1)")
        with message.transaction():
            pass
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM im_handled").fetchone() == (0,)


def test_a_disk_that_fails_is_tried_again_also_without_a_connection(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("im_threads.loop._LINGER", 0.01)
    with client_of("ws://h/", storage=path) as client:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert client._journal is not None
        assert client._journal._db is not None
        client._journal._db.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(IMError) as raised:
            client.queue_message(2, "a").queued(5)
        assert raised.value.code is IMErrorCode.JOURNAL_FAILED
        other.execute("ROLLBACK")
        other.close()
        client.queue_message(2, "b").queued(5)
        assert [s.content for s in client.outbox] == ["b"]


def test_a_disk_that_hangs_does_not_hang_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("im_threads.life._MARGIN", 0.05)
    go = threading.Event()
    monkeypatch.setattr(Journal, "write", lambda *_: go.wait())
    with client_of("ws://h/", storage=path) as client:
        client._life._limit = 0.05
        client.queue_message(2, "a")
    assert "the storage does not answer" in caplog.text
    go.set()
    thread = client._driver._writer._thread  # type: ignore[union-attr]
    assert thread is not None
    thread.join(60)
    with client_of("ws://h/", storage=path):
        pass


PROGRAM = textwrap.dedent(
    """
    import sys, time
    from im_threads import ClientConfig, IMClient

    client = IMClient(ClientConfig(ws_url="ws://127.0.0.1:1/", token="t", user_id=1),
                      storage=sys.argv[1])
    sent = [client.queue_message(2, c) for c in sys.argv[3:]]
    if sys.argv[2] == "killed":
        for one in sent:
            one.queued()
        print("queued", flush=True)
        time.sleep(3600)
    """
)


@pytest.mark.parametrize("how", ["killed", "forgotten"])
def test_what_a_process_has_left_goes_out(path: Path, how: str) -> None:
    """Killed when all was on disk; or ended without close(), which writes what it can."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path, how, "a", "b"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child:
        if how == "killed":
            assert child.stdout.readline().strip() == b"queued"
            child.kill()
    assert child.returncode == (0 if how == "forgotten" else child.returncode)
    memory = Memory()
    with Peer(serving(memory)) as peer, client_of(peer, storage=path) as client:
        outbox = client.outbox
        client.connect()
        for sent in outbox:
            sent.result(60)
    assert list(memory.accepted.values()) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_uses_nor_holds_it(path: Path) -> None:
    there, here = os.pipe()
    client = IMClient(config("ws://h/"), storage=path)
    client.queue_message(2, "a").queued(5)
    child = os.fork()
    if child == 0:
        try:
            client.queue_message(2, "b")
        except LocalProtocolError:
            os.write(here, b"y")
        else:
            os.write(here, b"n")
        signal.pause()
    assert os.read(there, 1) == b"y"
    client.close()
    with client_of("ws://h/", storage=path) as again:
        assert [s.content for s in again.outbox] == ["a"]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for end in (there, here):
        os.close(end)


def test_a_wait_that_ends_in_time_is_forgotten(path: Path) -> None:
    with client_of("ws://h/", storage=path) as client:
        sent = client.queue_message(2, "a")
        with pytest.raises(IMError, match=r"MESSAGE_TIMEOUT: not read within 0\.01 s"):
            sent.read(0.01)
        until(lambda: not sent._watched)
