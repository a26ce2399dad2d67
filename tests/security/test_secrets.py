"""Tokens, passwords and secrets stay where they are used: in no repr, no log, no error, no trace,
no journal. Pickles of engines are another matter: whoever keeps one keeps its token.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

import im_asyncio
import im_threads
from adapters.threads_kit import Connection, Peer, config, nothing_left, plain
from core.server_kit import Kit
from core.test_framing_kit import answer
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.errors import IMError, LocalProtocolError
from im_proto.framing import TextFrame
from im_proto.server import actions as server_act
from im_proto.server import inputs as server_inp
from im_proto.testing import SimWorld
from im_proto.wire import AuthRequest, AuthResponse
from im_proto.wire.session import SessionOp
from im_runtime.log import line
from im_server import JWTAuthenticator, make_token
from im_server.settings import ServerSettings
from im_server.webhooks import Webhook
from security.hostile_kit import Victim, close, envelope, text_frame

__all__ = ["nothing_left"]
#: In every secret of these tests, and nowhere else.
NEEDLE = "N33DLE"
TOKEN = f"eyJ-{NEEDLE}-token"
_PLAIN = (str, bytes, bytearray, int, float, bool, type(None), range, type, ModuleType)
_PLAIN += (FunctionType, BuiltinFunctionType)
_CONTAINERS = (list, tuple, set, frozenset, dict, deque, Mapping)


def leaks(text: str) -> bool:
    """Is it in there, as it is, in base64 or escaped?"""
    encoded = [base64.b64encode(f"u:{NEEDLE}-pass".encode()).decode(), NEEDLE.encode().hex()]
    return NEEDLE in text or any(each in text for each in encoded)


def reachable(root: object) -> Iterator[object]:
    """Every object that a debugger would find from here."""
    seen: dict[int, object] = {}  # with the objects: an id is used again when one is gone
    waiting = [root]
    while waiting:
        it = waiting.pop()
        if id(it) in seen or isinstance(it, _PLAIN):
            continue
        seen[id(it)] = it
        yield it
        if isinstance(it, dict | Mapping):
            waiting += [*it.keys(), *it.values()]
        elif isinstance(it, _CONTAINERS):
            waiting += list(it)
        names = [name for kind in type(it).__mro__ for name in getattr(kind, "__slots__", ())]
        waiting += [getattr(it, name) for name in names if hasattr(it, name)]
        waiting += getattr(it, "__dict__", {}).values()


def no_repr_leaks(root: object) -> int:
    """Look at them all; how many there were that say more than what they are."""
    looked_at = 0
    for it in reachable(root):
        # a container is shown as a part of whatever holds it
        if not isinstance(it, _CONTAINERS) or type(it).__module__.startswith("im_"):
            looked_at += type(it).__repr__ is not object.__repr__
            assert not leaks(f"{it!r} {it!s}"), type(it)
    return looked_at


def test_a_leak_would_be_seen() -> None:
    class Careless:
        def __init__(self) -> None:
            self.request = [inp.Send(ref=1, to_user=2, content=TOKEN)]

    with pytest.raises(AssertionError, match="Send"):
        no_repr_leaks(Careless())


# ---------------------------------------------------------------- the client

_SECRETS: dict[str, Any] = {
    "token": TOKEN,
    "headers": {"X-Api-Key": f"{NEEDLE}-header"},
    "ws_url": "wss://chat.example/ws",
    "sleep_watch": None,
}
PROXY = f"http://u:{NEEDLE}-pass@proxy.example:3128"


def _lives() -> dict[str, Callable[[Victim], object]]:
    """What may become of a client, step by step; each step is looked at."""
    ours = {"capabilities": ["seq", "refresh", "sessions"], "expiresIn": 600}

    def fetched(v: Victim) -> None:
        v.do(inp.Connect())
        v.do(inp.TokenReady(request=v.engine.core.login.request, token=f"{TOKEN}-fetched"))

    def refused(v: Victim) -> None:
        v.link().say("AUTH_RESPONSE", code=40101, message=f"bad token {'x' * 300}")
        v.do(inp.UpdateToken(token=f"{TOKEN}-2"))

    def refreshed(v: Victim) -> None:
        v.login(**ours).do(inp.UpdateToken(token=f"{TOKEN}-2"))
        v.say("AUTH_RESPONSE", code=40101).do(inp.UpdateToken(token=f"{TOKEN}-3"))
        v.say("AUTH_RESPONSE", code=0)

    def over_http(v: Victim) -> None:
        v.do(inp.SessionCall(ref=1, op=SessionOp.GET_CURRENT))
        v.do(inp.HttpAnswered(request=1, status=401, body=b"{}"))
        v.do(inp.SessionCall(ref=2, op=SessionOp.GET, session_id=5))
        v.do(inp.HttpFailed(request=2, reason="gone"))

    def misused(v: Victim) -> None:
        with pytest.raises(LocalProtocolError) as caught:
            v.do(inp.UpdateToken(token=f"{TOKEN}\ud800"))
        assert not leaks("".join(traceback.format_exception(caught.value)))
        v.login(**ours)

    def not_fetched(v: Victim) -> None:
        v.do(inp.Connect())
        v.do(inp.TokenFailed(request=v.engine.core.login.request, reason="ValueError"))
        v.pass_time(60.0, until=act.FetchToken)
        v.do(inp.TokenReady(request=v.engine.core.login.request, token=TOKEN * 1000))

    return {
        "waits for its upgrade": lambda v: v.connect(),
        "waits for its log-in": lambda v: v.link(),
        "junk in the upgrade": lambda v: v.connect().bytes(b"HTTP/1.1 101 \xff\r\n\r\n"),
        "logged in": lambda v: v.login(**ours),
        "another user": lambda v: v.link().say("AUTH_RESPONSE", code=0, data={"userId": 2}),
        "closed": lambda v: v.login().bytes(close(b"\x0f\xa3the token has expired")),
        "a bad frame": lambda v: v.login().text("["),
        "gone": lambda v: v.connect().do(inp.TransportLost(transport=v.transport)),
        "fetched": fetched,
        "not fetched": not_fetched,
        "refused": refused,
        "refreshed": refreshed,
        "over http": over_http,
        "misused": misused,
    }


@pytest.mark.parametrize("life", _lives())
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "through a proxy"])
def test_no_secret_is_in_anything_that_a_client_shows(life: str, proxied: bool) -> None:
    class Watched(Victim):
        def do(self, event: inp.Input) -> list[act.Action]:
            if self.config.proxy and isinstance(event, inp.TransportOpened):
                self._step(event)
                self._step(
                    inp.BytesReceived(transport=self.transport, data=b"HTTP/1.1 200\r\n\r\n")
                )
                event = inp.TlsStarted(transport=self.transport)
            return self._step(event)

        def _step(self, event: inp.Input) -> list[act.Action]:
            actions = super().do(event)
            for item in (event, *actions):
                assert not leaks(f"{item!r} {item!s} {line(item, content=True)}")
                told = getattr(getattr(item, "event", None), "error", None)
                if isinstance(told, IMError):
                    assert not leaks("".join(traceback.format_exception(told)))
            assert not leaks(self.engine.explain(self.now) + repr(self.engine.state(self.now)))
            looked_at.append(no_repr_leaks(self.engine))
            return actions

    looked_at: list[int] = []
    more = {"token": (lambda: "x")} if "fetched" in life else {}
    v = Watched(**(_SECRETS | more | ({"proxy": PROXY} if proxied else {})))
    _lives()[life](v)
    assert max(looked_at) >= 9  # and it did look at something
    secrets = b"".join(each.data for each in v.of(act.SendBytes))
    assert (b"N33DLE-header" in secrets) == any(
        each.data.startswith(b"GET") for each in v.of(act.SendBytes)
    )  # they were used


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": f"{NEEDLE}" * 2000},
        {"token": f"{NEEDLE}\ud800"},
        {"token": 5, "headers": {"X": f"{NEEDLE}\r\n"}},
        {"headers": {"X": f"{NEEDLE}\u00e9"}},
        {"proxy": f"http://u:{NEEDLE}@"},
        {"proxy": f"http://u:{NEEDLE} @p"},
        {"proxy": f"https://u:{NEEDLE}@p"},
        {"ws_url": f"ws://u:{NEEDLE}@h"},
        {"ws_url": f"ws://u:{NEEDLE}@h:port"},
        {"http": {"base_url": f"http://u:{NEEDLE}@h"}},
        {"unknown": TOKEN},
    ],
    ids=lambda wrong: ascii(next(iter(wrong))),
)
def test_no_wrong_configuration_shows_its_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        ClientConfig.model_validate({"ws_url": "ws://h", "user_id": 1, **_SECRETS} | wrong)
    assert not leaks("".join(traceback.format_exception(caught.value)))
    assert not leaks(repr(caught.value))


def test_a_configuration_and_the_messages_of_a_log_in_show_no_secret() -> None:
    settings = ClientConfig(**(_SECRETS | {"user_id": 1, "proxy": PROXY}))
    request = AuthRequest(access_token=TOKEN, user_id=1)
    said = act.SendText(transport=1, text=TOKEN)
    for it in (settings, [settings], request, {"x": request}, said):
        assert not leaks(f"{it!r} {it!s}")


# ---------------------------------------------------------------- on real sockets


def _refuse_then_serve(connection: Connection) -> None:
    connection.accept()
    request = connection.next(AuthRequest)
    if request.access_token == f"{TOKEN}-1":
        connection.send(AuthResponse(code=40101, message="no such token"))
        connection.until_gone()
    connection.send(AuthResponse(code=0))
    connection.push("hi", msg_id=1)
    connection.answer_all()


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("adapter", ["asyncio", "threads"])
def test_no_secret_is_logged_at_any_level_or_written_into_the_journal(
    adapter: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = iter([f"{TOKEN}-1", f"{TOKEN}-2", f"{TOKEN}-3"])
    storage = tmp_path / "journal.db"
    with Peer(_refuse_then_serve, plain) as peer:
        settings = config(
            peer.url,
            token=lambda: next(tokens),
            headers={"X-Api-Key": f"{NEEDLE}-header"},
            http={"base_url": "http://127.0.0.1:1", "timeout": 1.0},
        )
        if adapter == "asyncio":
            asyncio.run(_talk(settings, storage), debug=True)
        else:
            client = im_threads.IMClient(settings, storage=storage, log_content=True)
            try:
                client.connect(retry=True)
                client.send_message(2, "hello")
                client.update_access_token(f"{TOKEN}-4")
                with pytest.raises(IMError) as caught:
                    client.get_current_sessions()
            finally:
                client.close()
            assert not leaks("".join(traceback.format_exception(caught.value)))
            assert not leaks(repr(client) + repr(vars(client)))
        peer.idle()
    assert "another takes its place" in caplog.text
    assert "HTTP call" in caplog.text
    assert not leaks(caplog.text)
    assert not leaks("".join(str(vars(record)) for record in caplog.records))
    for file in tmp_path.iterdir():
        assert NEEDLE.encode() not in file.read_bytes()


async def _talk(settings: ClientConfig, storage: Path) -> None:
    asyncio.get_running_loop().slow_callback_duration = 0.0  # it shows what it has called
    client = im_asyncio.IMClient(settings, storage=storage, log_content=True)
    await client.connect(retry=True)
    await client.send_message(2, "hello")
    client.update_access_token(f"{TOKEN}-4")
    with pytest.raises(IMError) as caught:
        await client.get_current_sessions()
    assert not leaks("".join(traceback.format_exception(caught.value)))
    await client.close()
    assert not leaks(repr(client) + repr(vars(client)))


# ---------------------------------------------------------------- the server, and the rest


def test_no_token_is_in_anything_that_a_server_shows() -> None:
    kit = Kit()
    kit.verifying = False
    real = kit.gateway.step

    def step(event: Any, now: float) -> Any:
        actions = real(event, now)
        assert not leaks(f"{event!r} {actions!r}")
        no_repr_leaks(kit.gateway)
        return actions

    kit.gateway.step = step  # type: ignore[method-assign]
    first = kit.peer(upgrade=False)
    first._framing._opening.target = f"/ws?token={TOKEN}"  # type: ignore[union-attr]
    first._framing._opening.headers = (("Authorization", TOKEN),)  # type: ignore[union-attr]
    first.upgrade()
    peer = kit.peer()
    peer.login(1, token=TOKEN)
    (asked,) = [it for it in kit.said if isinstance(it, server_act.Authenticate)]
    assert asked.token == TOKEN
    asked = server_act.Authenticate(connection=asked.connection, token="1")
    kit.verify(asked)
    peer.send("AUTH_REQUEST", accessToken=f"{TOKEN}-2")
    peer.send("AUTH_REQUEST", accessToken=[TOKEN])
    kit.peer().text("[" + json_of(TOKEN))
    upgrade = server_inp.UpgradeAsked(connection=1, target=f"/ws?token={TOKEN}")
    for it in (upgrade, server_inp.TextReceived(connection=1, text=json_of(TOKEN))):
        assert not leaks(repr(it))


def json_of(token: str) -> str:
    """A log-in that is cut off."""
    return envelope("AUTH_REQUEST", accessToken=token)[:-1]


def test_the_secrets_of_a_server_are_in_no_repr_and_no_error() -> None:
    secret = f"{NEEDLE} and more than thirty-two bytes"
    token = make_token(1, secret)
    checker = JWTAuthenticator(secret)
    hook = Webhook(url="https://hooks.example/", secret=secret)
    told = ServerSettings(secret=secret, tls_key_password=secret)  # type: ignore[arg-type]
    for it in (checker, hook, told):
        no_repr_leaks(it)
    for bad in (token[:-2], token + "x", f"a.{NEEDLE}.c", secret):
        with pytest.raises(Exception, match="not valid") as caught:
            checker.authenticate(bad)
        assert not leaks("".join(traceback.format_exception(caught.value)))
    with pytest.raises(ValueError) as wrong:
        ServerSettings(secret=[secret], tls_key_password={secret: 1})  # type: ignore[arg-type]
    assert not leaks("".join(traceback.format_exception(wrong.value)))


@pytest.mark.parametrize("fetches", [False, True])
def test_the_history_of_a_simulated_world_holds_no_token(fetches: bool) -> None:
    lines: list[str] = []
    world = SimWorld(3, trace=lines.append)
    make, check = world.tokens.make, world.tokens.check
    world.tokens.make = lambda user, **k: f"{make(user, **k)}#{NEEDLE}"  # type: ignore[method-assign]
    world.tokens.check = lambda token: check(token.partition("#")[0])  # type: ignore[method-assign]
    world.tokens.lifetime = 20.0
    clients = [world.client(user, fetches_token=fetches, journal=True) for user in (1, 2)]
    for client in clients:
        client.connect()
    world.run(5)
    clients[0].send(2, "hello")
    world.run(60)
    text = "\n".join(lines)
    assert "Authenticate" in text
    assert "hello" in text
    assert not leaks(text)


def test_the_bytes_of_a_log_in_are_all_that_hold_the_token() -> None:
    v = Victim(**_SECRETS).connect().bytes(answer())
    (frame,) = [event for event in v.heard if isinstance(event, TextFrame)]
    assert TOKEN in frame.text
    v.forget().bytes(text_frame(envelope("AUTH_RESPONSE", code=0)))
    assert not v.heard
