"""What the how-to pages show, run: sending, receipts, sessions, tokens, the server, a world."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from adapters.adapter_kit import run, until
from docs.test_examples import ROOT, blocks
from docs.test_site import EXAMPLE
from im_asyncio import ClientConfig, IMClient
from im_proto import IMError
from im_proto.client.events import TokenRefreshed
from im_proto.testing import SimulationFailure
from im_server import Identity, IMServer, TokenRefusedError
from im_server.tokens import Authenticator
from server.server_kit import SECRET, Running, running_server, token

HOW_TO = ROOT / "docs" / "how-to"


def shown(page: str, **names: object) -> SimpleNamespace:
    """All that a page's Python defines, its blocks one after the other."""
    found: dict[str, Any] = {"__name__": "shown", **names}
    for block in blocks(HOW_TO / page, "python"):
        exec(compile(block, page, "exec"), found)
    return SimpleNamespace(**found)


@contextlib.asynccontextmanager
async def talking(
    server: Running, user: int, device: str = "one", **config: Any
) -> AsyncIterator[IMClient]:
    """A client that is logged in."""
    fields = {"ws_url": server.url, "token": token(user), "user_id": user, "device_id": device}
    async with IMClient(ClientConfig(**(fields | config))) as client:
        yield client


def test_the_readme_shows_the_example_of_a_site() -> None:
    (_, site) = blocks(ROOT / "README.md", "python")
    assert EXAMPLE.read_text("utf-8").endswith(site)


@run
async def test_what_is_sent_twice_under_a_key_arrives_once_and_bulk_waits_for_room() -> None:
    page = shown("sending.md")
    async with running_server() as server, talking(server, 1, max_queue=2) as client:
        for _ in range(2):
            await page.tell_shipped(client, 2, 7)
        await page.announce(client, [2, 3, 4, 2, 3, 4])
        async with talking(server, 2) as customer:
            messages = aiter(customer.messages())
            texts = [(await anext(messages)).content for _ in range(3)]
    assert texts == ["Order 7 is on its way", "We close at noon", "We close at noon"]


@run
async def test_many_are_sent_ahead_of_their_answers_and_a_refused_one_is_told() -> None:
    page = shown("sending.md")
    texts = [f"{n}" for n in range(600)]
    async with running_server() as server, talking(server, 1) as client, talking(server, 2) as you:
        await page.send_all(client, 2, texts)
        assert client.outbox == []
        messages = aiter(you.messages())
        assert [(await anext(messages)).content for _ in texts] == texts
        with pytest.raises(IMError, match="MESSAGE_FORMAT_ERROR"):
            await page.send_all(client, 2, ["fine", "x" * 10_000])


@run
async def test_a_question_is_delivered_and_read(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown("receipts-and-presence.md")
    async with (
        running_server() as server,
        talking(server, 1) as one,
        talking(server, 1, "two") as elsewhere,
    ):
        page.listen(elsewhere)
        asking = asyncio.ensure_future(page.ask(one, 2))
        async with talking(server, 2) as friend, talking(server, 2, "two") as also_friend:
            page.listen(also_friend)
            message = await anext(aiter(friend.messages()))
            page.show(friend, message)
            one.typing(2)
            message.ack()
            await asking
            told: list[str] = []

            def heard(*wanted: str) -> bool:
                told.extend(capsys.readouterr().out.splitlines())
                return all(any(line.startswith(start) for line in told) for start in wanted)

            await until(
                lambda: heard(
                    "it arrived at 1",
                    "it was read at 1",
                    "1 Are you there?",
                    "I wrote elsewhere: 2 Are you there?",
                    "2 has read",
                    "1 writes",
                    "2 is here",
                    "I read elsewhere, up to",
                )
            )


@run
async def test_the_last_words_are_those_of_both() -> None:
    (_, past, _) = blocks(HOW_TO / "sessions.md", "python")
    names: dict[str, Any] = {"IMClient": IMClient}
    exec(compile(past, "sessions.md", "exec"), names)
    async with (
        running_server() as server,
        talking(server, 1) as one,
        talking(server, 2) as other,
    ):
        for n in range(12):
            await one.send_message(2, f"a{n}")
            await other.send_message(1, f"b{n}")
        words = await names["last_words"](one, 2)
    assert words == [
        f"{user}: {who}{n}" for n in range(2, 12) for user, who in ((1, "a"), (2, "b"))
    ]


class ShortTokens(Authenticator):
    """Tokens that are good for two seconds, each for one log-in or renewal."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def authenticate(self, token: str) -> Identity:
        self.taken.append(token)
        if not token.startswith("good"):
            raise TokenRefusedError("not this one")
        return Identity(user=1, expires_in=2.0)


@run
async def test_a_token_is_renewed_on_the_live_connection_and_a_new_one_goes_on() -> None:
    (source, again, *_) = blocks(HOW_TO / "tokens.md", "python")
    tokens = ["good 1", "good 2", "bad", "bad", "bad"]
    notices: list[object] = []

    async def new_token() -> str:
        return tokens.pop(0) if len(tokens) > 1 else tokens[0]

    short = ShortTokens()
    async with running_server(site={"authenticate": short}) as server:
        source = source.replace("ws://127.0.0.1:8080/ws", server.url)
        source = source.replace("asyncio.run(main())", "").replace("print(event)", "notices(event)")
        names: dict[str, Any] = {
            "our_site": SimpleNamespace(new_token=new_token),
            "notices": notices.append,
        }
        exec(compile(source + again, "tokens.md", "exec"), names)
        main = asyncio.ensure_future(names["main"]())
        await until(lambda: any(isinstance(event, TokenRefreshed) for event in notices))
        assert short.taken == ["good 1", "good 2"]
        main.cancel()
        await asyncio.wait([main])
        client = IMClient(ClientConfig(ws_url=server.url, token="bad", user_id=1))
        with pytest.raises(Exception, match="TOKEN_INVALID"):
            await client.connect()
        names["logged_in_again"](client, "good 3")
        await client.connect()
        await client.close()


@run
async def test_keys_are_given_as_the_page_says_and_tokens_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (*_, keys, revoke) = blocks(HOW_TO / "tokens.md", "python")
    monkeypatch.chdir(tmp_path)
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(ECAlgorithm.to_jwk(private.public_key())) | {"kid": "1"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [jwk]}))
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    names = {"SECRET": SECRET, "NEW_SECRET": SECRET[::-1], "PUBLIC_KEY": pem.decode()}
    exec(compile(keys + revoke, "tokens.md", "exec"), names)
    async with running_server() as server, talking(server, 2) as client:
        closed = asyncio.Event()
        client.on("auth_failed", lambda error: closed.set())
        await names["lock_out"](server.server, 2)
        await closed.wait()


def test_the_server_of_the_page_asks_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    monkeypatch.setattr(IMServer, "run", lambda self, port: ports.append(port))
    user = SimpleNamespace(id=7, name="Ann", seconds_left=600.0)

    async def user_of(token: str) -> Any:
        return user if token == "hers" else None

    monkeypatch.chdir(Path(__file__).parent)
    page = shown("server.md", our_database=SimpleNamespace(user_of=user_of))
    assert ports == [8080]
    assert asyncio.run(page.who("hers")) == Identity(user=7, username="Ann", expires_in=600.0)
    with pytest.raises(TokenRefusedError):
        asyncio.run(page.who("another's"))


WORLD = blocks(HOW_TO / "test-your-application.md", "python")[-1]


def test_the_world_of_the_page_keeps_its_promise() -> None:
    names: dict[str, Any] = {}
    exec(compile(WORLD, "test-your-application.md", "exec"), names)
    for seed in range(3):
        names["test_no_order_is_lost_or_comes_twice_unflagged"](seed)


@pytest.mark.parametrize("without", ["(2, journal=True", "(1, journal=True"])
def test_the_world_of_the_page_needs_both_journals(without: str) -> None:
    assert without in WORLD
    names: dict[str, Any] = {}
    source = WORLD.replace(without, without.replace("True", "False"))
    exec(compile(source, "test-your-application.md", "exec"), names)
    with pytest.raises((AssertionError, SimulationFailure)):
        names["test_no_order_is_lost_or_comes_twice_unflagged"](1)
