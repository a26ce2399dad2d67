"""`im doctor`: at servers that are well, plain, wrong, silent and hostile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.adapter_kit import closed_port, run
from im_cli import doctor_steps
from im_cli.certificate import read_certificate
from im_proto.framing import Framing, HandshakeRequested, TextFrame
from im_proto.limits import FrameLimits
from im_proto.testing import conformance
from im_server.tls import server_context
from peers.behaviour import Behaviour
from peers.plain_client import PlainClient
from peers.plain_server import PlainServer
from server.server_kit import SECRET, Ended, im_here, running_server, token

DATA = Path(conformance.__file__).parent / "data"
CA = str(DATA / "ca.pem")
#: what a hostile server would like to see on the terminal
PAINT = "\x1b[2J\u202e"


def doctor(url: str, *arguments: str, **env: str) -> Ended:
    """`im doctor`, with little patience."""
    return im_here("doctor", url, "--timeout", "5", *arguments, **env)


async def examine(url: str, *arguments: str) -> tuple[int | None, dict[str, dict[str, Any]]]:
    """`im doctor --json` in a thread: exit code and the steps by name."""
    ended = await asyncio.to_thread(doctor, url, "--json", *arguments)
    return read(ended)


def read(ended: Ended) -> tuple[int | None, dict[str, dict[str, Any]]]:
    """Of `--json`: nothing but one object."""
    answer = json.loads(ended.out)
    assert ended.err == "" and answer["ok"] == (ended.code == 0)
    return ended.code, {step["name"]: step for step in answer["steps"]}


@contextlib.contextmanager
def serving(script: Callable[[socket.socket], None], scheme: str = "ws") -> Iterator[str]:
    """A server whose connections are each handled by `script`, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            while True:
                peer, _ = listener.accept()
                if ended.is_set():
                    peer.close()
                    return
                with peer, contextlib.suppress(OSError):
                    peer.settimeout(60)
                    script(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield f"{scheme}://127.0.0.1:{port}/ws"
        finally:
            ended.set()
            with socket.socket() as waking:
                waking.connect(("127.0.0.1", port))
                thread.join(60)
            assert not thread.is_alive()


def request(peer: socket.socket) -> bytes:
    """The head of the upgrade."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65_536)
        if not more:
            raise ConnectionError
        data += more
    return data


def until_gone(peer: socket.socket) -> None:
    """Wait for the doctor to leave."""
    while peer.recv(65_536):
        pass


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Reads the upgrade, answers with this, and waits."""

    def script(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(answer)
        until_gone(peer)

    return script


def upgraded(
    then: Callable[[socket.socket, Framing], None], headers: tuple[tuple[str, str], ...] = ()
) -> Callable[[socket.socket], None]:
    """Accepts the upgrade, then goes on with `then`."""

    def script(peer: socket.socket) -> None:
        framing = Framing.server(limits=FrameLimits())
        (asked,) = framing.receive(request(peer), 0.0)
        assert isinstance(asked, HandshakeRequested)
        peer.sendall(framing.accept(headers=headers))
        then(peer, framing)

    return script


# ---------------------------------------------------------------- servers that are well


@run
async def test_all_is_well_at_our_server_and_no_secret_is_shown() -> None:
    async with running_server() as server:
        code, steps = await examine(server.url, "--secret", SECRET)
        assert code == 0
        assert [s["state"] for name, s in steps.items() if name != "TLS"] == ["ok"] * 9
        assert steps["upgrade"]["data"]["im_capabilities"]
        assert steps["log-in"]["data"]["user"] == "im-doctor"
        assert steps["capabilities"]["data"]["missing"] == []
        assert steps["limits"]["data"]["frame_bytes"] == 65_536
        beats = steps["heartbeat"]["data"]
        assert 0 < beats["min_ms"] <= beats["median_ms"] < 5000
        assert abs(steps["clock"]["data"]["skew_ms"]) < 1000

        key = token(7)
        ended = await asyncio.to_thread(doctor, server.url, "--token", key)
        assert ended.code == 0 and "user 7" in ended.out and "granted" in ended.out
        assert key not in ended.said and "eyJ" not in ended.said and SECRET not in ended.said


@run
async def test_all_is_well_with_tls() -> None:
    async with running_server(tls=server_context(DATA / "localhost.pem")) as server:
        url = f"wss://localhost:{server.port}/ws"
        code, steps = await examine(url, "--secret", SECRET, "--ca", CA)
        assert code == 0 and all(step["state"] == "ok" for step in steps.values()), steps
        # who speaks plainly to that port is told what is wrong
        code, steps = await examine(f"ws://localhost:{server.port}/ws", "--timeout", "3")
        assert code == 1 and "wss://" in steps["upgrade"]["advice"]


@run
async def test_without_a_token_it_looks_as_far_as_it_can() -> None:
    async with running_server() as server:
        code, steps = await examine(server.url)
        assert code == 0
        assert steps["log-in"]["state"] == steps["capabilities"]["state"] == "skipped"
        assert steps["heartbeat"]["data"]["by"] == "Ping and Pong"


@run
async def test_it_acknowledges_nothing_and_puts_nobody_out() -> None:
    async with running_server() as server:
        async with PlainClient(server.url, token(1), 1) as ann:
            await ann.login()
            await ann.post(2, "for Bob alone", 1_700_000_000_000)
            await ann.wait_for(lambda: len(ann._inbox) >= 1, timeout=60)
        async with PlainClient(server.url, token(3), 3) as other:
            await other.login()
            assert (await examine(server.url, "--token", token(3)))[0] == 0
            assert (await examine(server.url, "--token", token(2)))[0] == 0
            assert not other.closed
        async with PlainClient(server.url, token(2), 2) as bob:
            await bob.login()
            await bob.wait_for(lambda: len(bob.received) == 1, timeout=60)


@run
async def test_a_plain_server_is_told_as_such() -> None:
    async with PlainServer({"t1": 1}, extensions_allowed=True) as server:
        code, steps = await examine(server.url, "--token", "t1", "--user", "1")
        assert code == 0 and "plain server" in steps["upgrade"]["said"]
        assert "plain server" in steps["capabilities"]["said"]
        assert steps["log-in"]["data"]["code"] == 200


@pytest.mark.parametrize("strict", ["mute", "close"])
@run
async def test_a_strict_server_is_recognised_and_plain_helps(strict: Any) -> None:
    async with PlainServer(
        {"t1": 1}, Behaviour(strict_keys=strict), extensions_allowed=True
    ) as server:
        arguments = ("--token", "t1", "--user", "1")
        code, steps = await examine(server.url, *arguments, "--timeout", "1")
        assert code == 1 and steps["log-in"]["state"] == "failed"
        if strict == "mute":
            assert "--plain" in steps["log-in"]["advice"]
        code, steps = await examine(server.url, *arguments, "--plain")
        assert code == 0, steps


@run
async def test_a_clock_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = SimpleNamespace(time=lambda: time.time() - 90, monotonic=time.monotonic)
    monkeypatch.setattr(doctor_steps, "time", ours)
    async with running_server() as server:
        code, steps = await examine(server.url, "--secret", SECRET)
    assert code == 0 and steps["clock"]["state"] == "warning"
    assert steps["clock"]["data"]["skew_ms"] == pytest.approx(90_000, abs=1000)
    assert "ahead" in steps["clock"]["said"] and "NTP" in steps["clock"]["advice"]


# ---------------------------------------------------------------- what may be wrong below


def test_a_closed_port() -> None:
    code, steps = read(doctor(f"ws://127.0.0.1:{closed_port()}/ws", "--json"))
    assert code == 1 and steps["TCP"]["state"] == "failed"
    assert "nothing listens" in steps["TCP"]["advice"]
    assert steps["upgrade"]["state"] == "skipped"


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    code, steps = read(doctor("wss://nowhere.invalid/ws", "--json"))
    assert code == 1 and "spelled" in steps["DNS"]["advice"]


def test_one_address_of_two_that_fails_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            answering(b"HTTP/1.1 404 Not Found\r\n\r\n")(peer)

    with serving(script) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed_port())),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        code, steps = read(doctor(f"ws://two.localhost:{port}/ws", "--json"))
    assert code == 1 and steps["TCP"]["state"] == "warning"
    first, second = steps["TCP"]["data"]["tried"]
    assert "refused" in first["error"] and second["ms"] >= 0
    assert steps["upgrade"]["data"]["status"] == 404


@pytest.mark.parametrize(
    ("certificate", "trust", "says", "helps"),
    [
        ("elsewhere.pem", True, "elsewhere.invalid", "a name that the certificate is for"),
        ("localhost.pem", False, "localhost", "--ca"),
        ("stranger.pem", True, "localhost", "--ca"),
    ],
)
def test_a_certificate_that_is_refused_is_explained(
    certificate: str, trust: bool, says: str, helps: str
) -> None:
    with serving(_tls(certificate), "wss") as url:
        url = url.replace("127.0.0.1", "localhost") if certificate == "elsewhere.pem" else url
        code, steps = read(doctor(url, "--json", *(("--ca", CA) if trust else ())))
    assert code == 1 and steps["TLS"]["state"] == "failed"
    assert says in steps["TLS"]["said"] and helps in steps["TLS"]["advice"]
    assert says in steps["TLS"]["data"]["names"] and steps["TLS"]["data"]["days_left"] > 1000


def test_a_good_certificate_is_shown() -> None:
    with serving(_tls("localhost.pem"), "wss") as url:
        code, steps = read(doctor(url, "--json", "--ca", CA))
    assert code == 1 and steps["TLS"]["state"] == "ok"
    assert steps["TLS"]["data"]["version"] in ("TLSv1.2", "TLSv1.3")
    assert "localhost" in steps["TLS"]["data"]["names"]
    assert steps["upgrade"]["data"]["status"] == 503


def _tls(certificate: str) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / certificate)

    def script(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secured:
            answering(b"HTTP/1.1 503 Full\r\nRetry-After: 7\r\n\r\n")(secured)

    return script


def test_no_tls_where_tls_is_asked_for() -> None:
    with serving(lambda peer: peer.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), "wss") as url:
        code, steps = read(doctor(url, "--json"))
    assert code == 1 and "ws:// instead of wss://" in steps["TLS"]["advice"]


def test_tls_where_none_is_asked_for() -> None:
    with serving(answering(b"\x15\x03\x01\x00\x02\x02\x46")) as url:
        code, steps = read(doctor(url, "--json", "--timeout", "1"))
    assert code == 1 and "wss://" in steps["upgrade"]["advice"]


# ---------------------------------------------------------------- answers to the upgrade


@pytest.mark.parametrize(
    ("status", "helps"),
    [
        ("200 OK", "web page"),
        ("302 Found", "nothing is followed"),
        ("403 Forbidden", "Origin and Host"),
        ("404 Not Found", "/ws"),
        ("502 Bad Gateway", "proxy in front"),
        ("503 Service Unavailable", "later"),
        ("599 \u202e\u009b2J", "log"),
    ],
)
def test_another_status_is_told_with_advice_and_not_followed(status: str, helps: str) -> None:
    followed: list[socket.socket] = []
    with serving(followed.append) as elsewhere:
        head = f"HTTP/1.1 {status}\r\nLocation: {elsewhere}\r\nSet-Cookie: s=hidden\r\n"
        # no control character of ASCII passes, but this one of Latin-1 begins what ESC [ begins
        answer = head.encode() + b"Server: \x9b2J\r\n\r\n"
        with serving(answering(answer)) as url:
            ended = doctor(url, "--token", "never-sent")
            code, steps = read(doctor(url, "--json"))
        assert not followed
    assert ended.code == code == 1
    assert elsewhere in ended.out and helps in ended.out
    assert steps["upgrade"]["data"]["headers"]["location"] == elsewhere
    assert "s=hidden" not in json.dumps(steps)
    assert steps["upgrade"]["data"]["status"] == int(status[:3])
    assert all(line.isprintable() for line in ended.out.split("\n"))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x1b]0;owned\x07" * 2000,
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 101 X\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + PAINT.encode() + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 999999999999 X\r\n\r\n",
    ],
)
def test_garbage_is_told_in_a_line_and_printable(garbage: bytes) -> None:
    def script(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(garbage)
        peer.shutdown(socket.SHUT_WR)
        until_gone(peer)

    with serving(script) as url:
        ended = doctor(url)
    assert ended.code == 1 and "✗ upgrade" in ended.out
    assert all(line.isprintable() for line in ended.out.split("\n"))
    assert "Traceback" not in ended.said and len(ended.out) < 2000


# ---------------------------------------------------------------- servers that waste our time


def _silent(peer: socket.socket) -> None:
    until_gone(peer)


def _dripping(peer: socket.socket) -> None:
    request(peer)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 7000:
        peer.sendall(bytes([byte]))
        time.sleep(0.01)


def _flooding(peer: socket.socket, framing: Framing) -> None:
    frame = framing.send_text(json.dumps({"type": "NEWS", "message": {"x": "y" * 500}})) * 50
    while True:
        peer.sendall(frame)


def _pinging(peer: socket.socket, framing: Framing) -> None:
    frame = framing.send_ping(b"x") * 50
    while True:
        peer.sendall(frame)


@pytest.mark.parametrize(
    ("script", "timeout", "step", "says"),
    [
        (_silent, "2", "upgrade", "no answer in time"),
        (_dripping, "2", "upgrade", "only a part"),
        (upgraded(_flooding), "3", "log-in", "no answer to the log-in in time"),
        (upgraded(_pinging), "60", "log-in", "too many control frames"),
        (upgraded(lambda peer, _: until_gone(peer)), "3", "log-in", "no answer to the log-in"),
    ],
    ids=["silent", "dripping", "flooding", "pinging", "mute"],
)
def test_no_server_keeps_it_longer_than_the_timeout(
    script: Callable[[socket.socket], None], timeout: str, step: str, says: str
) -> None:
    with serving(script) as url:
        began = time.monotonic()
        code, steps = read(doctor(url, "--json", "--user", "1", "--timeout", timeout))
        taken = time.monotonic() - began
    assert code == 1 and says in steps[step]["said"], steps
    assert taken < 50  # the dripping one would take 70 s, two others forever


def test_silence_instead_of_tls() -> None:
    with serving(_silent, "wss") as url:
        code, steps = read(doctor(url, "--json", "--timeout", "1"))
    assert code == 1 and "says nothing" in steps["TLS"]["advice"]


# ---------------------------------------------------------------- the log-in


@run
async def test_a_token_that_is_refused() -> None:
    async with running_server() as server:
        for bad, says in (("not-a-token", "40101"), (token(1), "")):
            arguments = ("--token", bad, *(("--user", "2") if not says else ()))
            ended = await asyncio.to_thread(doctor, server.url, *arguments)
            assert ended.code == 1 and "✗ log-in" in ended.out and says in ended.out
            assert bad not in ended.said
            assert ("im token" if says else "--user") in ended.out


def test_a_kick_and_a_close_are_told_with_their_words() -> None:
    def then(peer: socket.socket, framing: Framing) -> None:
        while not any(
            isinstance(event, TextFrame) for event in framing.receive(peer.recv(65_536), 0.0)
        ):
            pass
        kick = {"reason": "full" + PAINT, "reconnect": True, "retryAfter": 3}
        peer.sendall(framing.send_text(json.dumps({"type": "KICK", "message": json.dumps(kick)})))
        peer.sendall(framing.send_close(1013, "x"))
        until_gone(peer)

    with serving(upgraded(then, (("IM-Capabilities", "seq"),))) as url:
        ended = doctor(url, "--user", "1")
    assert ended.code == 1 and "closed with 1013 (full" in ended.out
    assert "come again in 3 s" in ended.out and "overloaded" in ended.out
    assert all(line.isprintable() for line in ended.out.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[" * 5000,
        '{"type": "AUTH_RESPONSE", "message": "{\\"code\\": 1e400}"}',
        '{"type": "AUTH_RESPONSE", "message": {"code": 40101, "message": "\\u001b[2J\\u202e"}}',
    ],
)
def test_hostile_words_after_the_upgrade(text: str) -> None:
    def then(peer: socket.socket, framing: Framing) -> None:
        peer.sendall(framing.send_text(text))
        peer.sendall(framing.send_close(1000, PAINT))
        until_gone(peer)

    with serving(upgraded(then)) as url:
        ended = doctor(url, "--user", "1")
    assert ended.code == 1 and "✗ log-in" in ended.out and "Traceback" not in ended.said
    assert all(line.isprintable() for line in ended.out.split("\n"))


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("http://x/ws",), "ws:// or wss://"),
        (("ws://u:p@x/ws",), "the token goes into"),
        (("ws://x/ws", "--user", "x" * 200), "user name"),
        (("ws://x/ws", "--timeout", "0"), "--timeout"),
        (("ws://x/ws", "--token", "x" * 9000), "8192"),
        ((), "URL"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...], says: str) -> None:
    ended = im_here("doctor", *arguments)
    assert ended.code == 2 and says in ended.err and "Traceback" not in ended.err
    assert "u:p" not in ended.err


def test_help_teaches() -> None:
    ended = im_here("doctor", "--help")
    for words in ("--token", "--user", "--json", "--timeout", "--ca", "--plain", "Exit 0", "URL"):
        assert words in ended.out, words


def test_a_token_in_clear_text_to_another_machine_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for url, state in (("ws://chat.example/ws", "warning"), ("wss://chat.example/ws", "ok")):
        _, steps = read(doctor(url, "--json"))
        assert steps["URL"]["state"] == state
    assert "wss://" in read(doctor("ws://chat.example/ws", "--json"))[1]["URL"]["advice"]


def test_whatever_is_given_for_a_certificate_is_read_or_refused() -> None:
    der = ssl.PEM_cert_to_DER_cert((DATA / "ca.pem").read_text())
    assert read_certificate(der).own
    for at in range(len(der)):
        for cut in (der[:at], der[:at] + b"\xff" + der[at + 1 :]):
            with contextlib.suppress(ValueError):
                read_certificate(cut)
