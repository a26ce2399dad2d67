"""Fork, and the end of the program: a clear error, no hang, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.threads_kit import (
    Connection,
    Peer,
    client_of,
    config,
    mute,
    mute_after_login,
    mute_after_upgrade,
    nothing_left,
    plain,
    until,
)
from im_threads import (
    IMClient,
    LocalProtocolError,
    Message,
)

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")
ROOT = Path(__file__).parents[2]

# ------------------------------------------------------------ fork


def push_one(connection: Connection) -> None:
    connection.login()
    connection.push("hello", msg_id=1)
    connection.answer_all()


def in_a_child(work: Callable[[], None]) -> int:
    """Fork, work, and exit without another word; what the child's exit code was."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(5)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("connected", [False, True])
def test_in_a_forked_child_every_call_is_refused(connected: bool) -> None:
    gone = threading.Event()

    def script(connection: Connection) -> None:
        connection.login()
        try:
            connection.answer_all()
        finally:
            gone.set()

    with Peer(script) as peer:
        client = IMClient(config(peer.url))
        sent = client.queue_message(2, "x")
        messages = client.messages()
        if connected:
            client.connect()
            sent.result()
        waits = [] if connected else [sent.wait, sent.result]

        def child() -> None:
            for call in (
                client.connect,
                client.disconnect,
                client.close,
                client.network_changed,
                client.explain,
                messages.acknowledge,
                messages.close,
                client.messages,
                sent.cancel,
                lambda: client.connection_state,
                lambda: client.send_message(2, "x"),
                lambda: client.queue_message(2, "x"),
                lambda: client.update_access_token("x"),
                lambda: client.on("error", print),
                lambda: client.set_callbacks(error=print),
                lambda: client.off("error"),
                lambda: next(messages),
                *waits,
            ):
                with pytest.raises(LocalProtocolError, match="forked"):
                    call()
            assert client._life.begin_to_exit() is None

        assert in_a_child(child) == 0
        if connected:
            client.send_message(2, "undisturbed")
            pid = os.fork()
            if pid == 0:  # a child that lives longer than the connection
                time.sleep(200)
                os._exit(0)
            client.close()
            assert gone.wait(60.0)  # the peer sees the end all the same
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_hold_the_connection_open() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        client.connect()
        (link,) = client._driver._links.values()
        raw = link._socket
        assert raw is not None

        def child() -> None:
            assert raw.fileno() == -1

        assert in_a_child(child) == 0
        client.send_message(2, "undisturbed")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_inside_a_callback() -> None:
    """The child returns from the callback, and ends instead of waiting for work."""
    codes: list[int] = []

    def fork(_: Message) -> None:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            return
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    with Peer(push_one) as peer, client_of(peer) as client:
        client.on("message_received", fork)
        client.connect()
        until(lambda: codes)
        assert codes[0] != -signal.SIGALRM
        client.send_message(2, "undisturbed")


# ------------------------------------------------------------ the end of the program


def program(text: str, *arguments: object) -> tuple[int, str, float]:
    """Run a program that uses im_threads: its exit code, what it wrote, how long it took."""
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "adapters"))
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(text), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, time.monotonic() - begin


HEAD = """
import sys, threading, time
from im_threads import IMClient, ClientConfig
client = IMClient(ClientConfig(ws_url=sys.argv[1], token="t", user_id=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "client.connect()",
        "client.queue_message(2, 'x')",
        "client.connect(); client.send_message(2, 'x'); sys.exit(0)",
        "client.on('authenticated', lambda: time.sleep(60)); client.connect()",
        "client.on('disconnected', lambda: print('x')); client.connect()",
        "client.connect()\n"
        "threading.Thread(target=lambda: list(client.messages()), daemon=True).start()",
        "threading.Thread(target=client.connect, daemon=True).start()\n"
        "while not client.connection_state.status == 'AUTHENTICATED': time.sleep(0.001)",
        "client.connect()\n"
        "def work():\n"
        "    while True: client.send_message(2, 'y')\n"
        "threading.Thread(target=work, daemon=True).start(); time.sleep(0.1)",
    ],
    ids=["connected", "queued", "exit", "slow", "callback", "messages", "connecting", "sending"],
)
def test_a_program_that_forgets_close_ends_promptly(body: str) -> None:
    with Peer(plain) as peer:
        code, output, took = program(HEAD + body, peer.url)
        assert (code, output.replace("x\n", "")) == (0, "")
        assert took < 25.0
        peer.idle()


def test_a_program_that_ends_says_goodbye() -> None:
    seen: list[int | None] = []

    def script(connection: Connection) -> None:
        connection.login()
        try:
            connection.until_gone()
        finally:
            seen.append(connection.closed)

    with Peer(script) as peer:
        assert program(HEAD + "client.connect()", peer.url)[:2] == (0, "")
        peer.idle()
    assert seen == [1000]


@pytest.mark.slow
@pytest.mark.parametrize("script", [mute, mute_after_upgrade, mute_after_login])
def test_a_program_that_ends_before_the_peer_answers(script: Any) -> None:
    body = """
threading.Thread(target=client.connect, daemon=True).start()
while client.connection_state.status == 'DISCONNECTED': time.sleep(0.001)
time.sleep(0.05)
"""
    with Peer(script) as peer:
        code, output, took = program(HEAD + body, peer.url)
        assert (code, output) == (0, "")
        assert took < 25.0


def test_a_program_that_ends_while_a_name_is_looked_up() -> None:
    body = """
import socket
socket.getaddrinfo = lambda *a, **k: time.sleep(60)
threading.Thread(target=client.connect, daemon=True).start()
while 'im_threads-lookup' not in [t.name for t in threading.enumerate()]: time.sleep(0.001)
"""
    code, output, took = program(HEAD + body, "ws://a.name/")
    assert (code, output) == (0, "")
    assert took < 25.0


def test_a_client_serves_threads_that_outlive_the_main_one() -> None:
    body = """
client.connect()
def work():
    threading.main_thread().join()
    print(client.send_message(2, 'late').status)
threading.Thread(target=work).start()
"""
    with Peer(plain) as peer:
        assert program(HEAD + body, peer.url)[:2] == (0, "accepted\n")


def test_ctrl_c_ends_a_program_that_waits() -> None:
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("no signals to oneself here")
    body = """
import signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
client.connect()
try:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    for message in client.messages():
        pass
except KeyboardInterrupt:
    print("interrupted")
client.close()
"""
    with Peer(plain) as peer:
        assert program(HEAD + body, peer.url)[:2] == (0, "interrupted\n")
