"""Webhooks: signed, in order, at least once, also over failures and restarts; and their check."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.adapter_kit import closed_port, run, until
from im_server import IMServer, SignatureError, Webhook, verify_webhook, webhooks
from im_server.signing import sign
from server.server_kit import running_server, serve_asgi

ANN, BOB = 1, 2
KEY = "what both know"


class Receiver:
    """A site that takes webhooks, and fails as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[list[dict[str, Any]]] = []
        self.taken: list[dict[str, Any]] = []
        #: what it answers next; then it takes everything
        self.answers: list[Response] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.elsewhere = 0

    async def hook(self, request: Request) -> Response:
        """Take a webhook, or not."""
        body = await request.body()
        verify_webhook(KEY, request.headers["im-signature"], body)
        assert request.headers["content-type"] == "application/json"
        messages = json.loads(body)["messages"]
        self.requests.append(messages)
        await self.gate.wait()
        if self.answers:
            return self.answers.pop(0)
        self.taken += messages
        return Response(status_code=204)

    async def other(self, _: Request) -> Response:
        """Where a redirect leads to."""
        self.elsewhere += 1
        return Response()

    @property
    def contents(self) -> list[str]:
        """What it has taken."""
        return [message["content"] for message in self.taken]

    def webhook(self, **more: Any) -> Webhook:
        """One that posts to it, and tries again soon."""
        fields = {"url": self.url, "secret": KEY, "retry_delay": 0.01, "max_retry_delay": 0.02}
        return Webhook(**{**fields, **more})


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A site."""
    receiver = Receiver()
    routes = [
        Route("/hook", receiver.hook, methods=["POST"]),
        Route("/other", receiver.other, methods=["GET", "POST"]),
    ]
    async with serve_asgi(Starlette(routes=routes)) as (_, url):
        receiver.url = f"{url}/hook"
        yield receiver


async def say(server: IMServer, *contents: str) -> list[int]:
    """Messages of Ann to Bob; returns their msgIds."""
    return [(await server.send(BOB, content, from_user=ANN)).msg_id for content in contents]


def place(path: Path) -> str | None:
    """How far the webhook has come, as it stands in the database."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "SELECT value FROM meta WHERE key = 'webhook:webhook'"
        row = connection.execute(query).fetchone()
    return row[0] if row else None


@run
async def test_each_message_is_posted_once_in_order_and_signed() -> None:
    async with (
        receiving() as receiver,
        running_server(site={"webhooks": [receiver.webhook()]}) as server,
    ):
        ids = await say(server.server, *(str(n) for n in range(50)))
        await until(lambda: len(receiver.taken) >= 50)
        assert receiver.contents == [str(n) for n in range(50)]
        assert [message["msgId"] for message in receiver.taken] == ids
        rows = [message["id"] for message in receiver.taken]
        assert rows == sorted(set(rows))
        first = receiver.taken[0]
        assert first.pop("timestamp") > 1_700_000_000_000 and first.pop("sessionId") > 0
        assert first == {
            "id": rows[0],
            "fromUser": ANN,
            "toUser": BOB,
            "msgId": ids[0],
            "messageType": "text",
            "content": "0",
        }


@run
async def test_numbers_that_javascript_can_not_hold_are_texts() -> None:
    big = 2**53 + 1
    async with (
        receiving() as receiver,
        running_server(site={"webhooks": [receiver.webhook()]}) as server,
    ):
        await server.server.send("bravo", "x", from_user=big, msg_id=big + 1)
        await until(lambda: bool(receiver.taken))
        (message,) = receiver.taken
        ids = [message[name] for name in ("fromUser", "toUser", "msgId")]
        assert ids == [str(big), "bravo", str(big + 1)]


@run
async def test_what_comes_while_one_is_posted_goes_together_and_not_too_much() -> None:
    async with (
        receiving() as receiver,
        running_server(site={"webhooks": [receiver.webhook(batch=3)]}) as server,
    ):
        receiver.gate.clear()
        await say(server.server, "first")
        await until(lambda: len(receiver.requests) == 1)
        await say(server.server, *"abcde")
        receiver.gate.set()
        await until(lambda: len(receiver.taken) == 6)
        sizes = [len(request) for request in receiver.requests]
        assert sizes == [1, 3, 2]


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response(status_code=404),
        Response(status_code=429, headers={"retry-after": "0"}),
        Response(status_code=302, headers={"location": "/other"}),
        Response(status_code=307, headers={"location": "/other"}),
    ],
    ids=["500", "404", "429", "302", "307"],
)
@run
async def test_what_is_not_taken_is_posted_again_before_all_that_follows(answer: Response) -> None:
    async with (
        receiving() as receiver,
        running_server(site={"webhooks": [receiver.webhook(batch=1)]}) as server,
    ):
        receiver.answers = [answer] * 3
        await say(server.server, "a", "b")
        await until(lambda: len(receiver.taken) == 2)
        posted = [request[0]["content"] for request in receiver.requests]
        assert posted == ["a", "a", "a", "a", "b"] and receiver.elsewhere == 0


@run
async def test_a_site_that_is_away_or_never_answers_gets_it_later() -> None:
    async with receiving() as receiver:
        receiver.gate.clear()
        away = receiver.webhook(name="away", url=f"http://127.0.0.1:{closed_port()}/")
        mute = receiver.webhook(timeout=0.05)
        async with running_server(site={"webhooks": [away, mute]}) as server:
            await say(server.server, "x")
            await until(lambda: len(receiver.requests) >= 2)
            receiver.gate.set()
            await until(lambda: bool(receiver.taken))
            assert receiver.contents[0] == "x"


@run
async def test_a_site_that_answers_a_byte_at_a_time_is_not_waited_for() -> None:
    requests: list[asyncio.Task[Any] | None] = []

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(asyncio.current_task())
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while True:  # until the peer is gone
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        hook = Webhook(url=f"http://127.0.0.1:{port}/", secret=KEY, timeout=0.1, retry_delay=0.01)
        async with running_server(site={"webhooks": [hook]}) as server:
            await say(server.server, "x")
            await until(lambda: len(requests) >= 2)
        await asyncio.wait([task for task in requests if task is not None])


@run
async def test_a_server_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "im.db"
    async with receiving() as receiver:
        async with running_server(path=path) as server:
            await say(server.server, "before there was a webhook")
        site = {"webhooks": [receiver.webhook()]}
        async with running_server(path=path, site=site) as server:
            await say(server.server, "a", "b")
            await until(lambda: place(path) == "3")
        async with running_server(path=path) as server:
            await say(server.server, "while there was none")
        receiver.answers = [Response(status_code=500)] * 1000
        async with running_server(path=path, site=site) as server:
            await say(server.server, "c")
            await until(lambda: len(receiver.requests) > 3)
        receiver.answers = []
        elsewhere = receiver.webhook(url=f"{receiver.url}?another=url")
        async with running_server(path=path, site={"webhooks": [elsewhere]}):
            await until(lambda: len(receiver.taken) >= 4)
        assert [receiver.contents.count(one) for one in "ab"] == [1, 1]
        # those that were on their way may come twice: at least once, in order
        seen = list(dict.fromkeys(receiver.contents))
        assert seen == ["a", "b", "while there was none", "c"]
        new = receiver.webhook(name="another name")
        receiver.taken.clear()
        async with running_server(path=path, site={"webhooks": [new]}) as server:
            await say(server.server, "d")
            await until(lambda: bool(receiver.taken))
            assert receiver.contents == ["d"]


@run
async def test_what_is_too_old_is_given_up_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as receiver:
        receiver.answers = [Response(status_code=500)] * 3
        hook = receiver.webhook(give_up_after=0.0001, batch=2)
        async with running_server(site={"webhooks": [hook]}) as server:
            receiver.gate.clear()
            await say(server.server, "hush", "hush too")
            await until(lambda: bool(receiver.requests))
            await asyncio.sleep(0.002)  # older than that
            receiver.gate.set()
            await until(lambda: "given up" in caplog.text)
            receiver.answers = []
            await say(server.server, "later")
            await until(lambda: "later" in receiver.contents)
    assert "hush" not in caplog.text and KEY not in caplog.text


@run
async def test_a_message_that_is_not_too_old_is_not_given_up_with_its_neighbour() -> None:
    async with receiving() as receiver:
        receiver.answers = [Response(status_code=500)] * 5
        hook = receiver.webhook(give_up_after=3600)
        async with running_server(site={"webhooks": [hook]}) as server:
            await say(server.server, "x")
            await until(lambda: receiver.contents == ["x"])
            assert len(receiver.requests) == 6


@run
async def test_retry_after_is_obeyed_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sleep = asyncio.sleep

    async def at_once(_: float) -> None:
        await sleep(0)

    async with receiving() as receiver:
        receiver.answers = [
            Response(status_code=503, headers={"retry-after": given})
            for given in ("7", "999999999999999999999999", "-1", "Thu, 01 Jan 2026 00:00:00 GMT")
        ]
        monkeypatch.setattr(webhooks.asyncio, "sleep", at_once)
        async with running_server(site={"webhooks": [receiver.webhook()]}) as server:
            await say(server.server, "x")
            await until(lambda: receiver.contents == ["x"])
    said = [r.args for r in caplog.records if r.name == "im_server.webhooks"]
    waits = [args[2] for args in said if isinstance(args, tuple)]
    assert waits[:2] == [7, 3600]
    assert len(waits) == 4 and all(isinstance(one, float) and one <= 0.02 for one in waits[2:])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"url": "ftp://x/"}, "http"),
        ({"url": "hook"}, "http"),
        ({"url": "https://"}, "http"),
        ({"secret": ""}, "secret"),
        ({"batch": 0}, "above zero"),
        ({"timeout": 0.0}, "above zero"),
    ],
)
def test_a_webhook_that_can_not_work_is_refused(fields: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"url": "https://example.org/hook", "secret": KEY}
    Webhook(**good)
    with pytest.raises(ValueError, match=says):
        Webhook(**{**good, **fields})


def test_two_webhooks_of_one_name_are_refused(tmp_path: Path) -> None:
    hook = Webhook(url="https://example.org/hook", secret=KEY)
    with pytest.raises(ValueError, match="name"):
        IMServer(
            store=f"sqlite:///{tmp_path}/im.db",
            authenticate=lambda given: given,  # type: ignore[arg-type, return-value]
            webhooks=[hook, hook],
        )


def test_the_secret_of_a_webhook_is_not_shown() -> None:
    assert KEY not in repr(Webhook(url="https://example.org/hook", secret=KEY))


# ------------------------------------------------------------ the signature

BODY = '{"messages":[{"content":"hé"}]}'.encode()
AT = 1_700_000_000


def test_a_signature_is_the_hmac_of_time_and_body() -> None:
    # openssl dgst -sha256 -hmac "what both know"
    expected = "t=1700000000,v1=3c5bb88d48a801c071df70ee9d8bf1631c8a00d74f94819b547b2cc3dae46ac0"
    assert sign(KEY, BODY, AT) == expected
    verify_webhook(KEY, expected, BODY, now=AT)


CHANGES: list[Callable[[str], tuple[str, str, bytes, float]]] = [
    lambda good: ("another secret", good, BODY, AT),
    lambda good: (KEY, good, BODY + b" ", AT),
    lambda good: (KEY, good.replace("t=17", "t=16"), BODY, AT - 10**8),
    lambda good: (KEY, good[:-1] + ("0" if good[-1] != "0" else "1"), BODY, AT),
    lambda good: (KEY, good[:-1], BODY, AT),
    lambda good: (KEY, good.partition(",")[0], BODY, AT),
    lambda good: (KEY, good.partition(",")[2], BODY, AT),
    lambda good: (KEY, good.replace("t=1", "t=x"), BODY, AT),
    lambda good: (KEY, good.replace("v1=", "v0="), BODY, AT),
    lambda good: (KEY, "", BODY, AT),
    lambda good: (KEY, "t=,v1=", BODY, AT),
    lambda good: (KEY, f"t={'9' * 5000},v1=00", BODY, AT),
    lambda good: (KEY, "t=1700000000,v1=é", BODY, AT),
    lambda good: (KEY, good, BODY, AT + 301),
    lambda good: (KEY, good, BODY, AT - 301),
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_not_exactly_signed_is_refused(
    change: Callable[[str], tuple[str, str, bytes, float]],
) -> None:
    secret, header, body, now = change(sign(KEY, BODY, AT))
    with pytest.raises(SignatureError):
        verify_webhook(secret, header, body, now=now)


def test_clocks_may_differ_a_little_and_one_of_several_signatures_is_enough() -> None:
    good = sign(KEY, BODY, AT)
    for now in (AT - 300, AT + 300):
        verify_webhook(KEY, good, BODY, now=now)
    verify_webhook(KEY, good, BODY, tolerance=3600, now=AT + 3600)
    verify_webhook(KEY, f" v1={'0' * 64} , {good}", BODY, now=AT)
    verify_webhook(KEY, sign(KEY, BODY, int(time.time())), BODY)
    with pytest.raises(ValueError, match="empty"):
        verify_webhook("", good, BODY, now=AT)
