"""The calls of protocol.md section 3 over HTTP, at our server, by itself and mounted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from adapters.adapter_kit import run
from im_asyncio import ClientConfig, IMClient
from im_proto.config import HttpConfig
from im_server import Identity, IMServer
from im_server.answers import MAX_BODY
from server.server_kit import Running, running_server, token

pytestmark = pytest.mark.usefixtures("served")
ANN, BOB, CARL = 1, 2, 3


def http(server: Running, user: int | None = ANN) -> httpx.AsyncClient:
    """An HTTP client of a user."""
    headers = {"satoken": token(user)} if user is not None else {}
    return httpx.AsyncClient(base_url=server.http, headers=headers, trust_env=False)


async def data(response: httpx.Response) -> Any:
    """What a call that went well gives."""
    assert response.status_code == 200
    body = response.json()
    assert body.keys() == {"code", "data", "message"} and body["code"] == 0, body
    return body["data"]


async def code(response: httpx.Response) -> int:
    """What a call that did not go well says."""
    body = response.json()
    assert body["data"] is None and body["message"]
    return int(body["code"])


async def create(ann: httpx.AsyncClient, book: int = 5) -> int:
    """A session of Ann, who buys from Bob."""
    query = {"bookId": book, "buyerId": ANN, "sellerId": BOB}
    return int(await data(await ann.post("/im/session/create", params=query)))


@run
async def test_a_session_is_made_found_and_listed() -> None:
    async with running_server() as server, http(server) as ann:
        made = await create(ann)
        assert await create(ann) == made  # one for each triple
        found = await data(await ann.get("/im/session/get", params={"sessionId": made}))
        expected = {"bookId": 5, "buyerId": ANN, "sellerId": BOB, "sessionStatus": 1}
        assert int(found["id"]) == made and expected.items() <= found.items()
        triple = {"bookId": 5, "buyerId": ANN, "sellerId": BOB}
        assert await data(await ann.get("/im/session/get", params=triple)) == found
        assert await data(await ann.post("/im/session/startChat", json=triple)) == found
        listed = await data(await ann.post("/im/session/getCurrent", json={"userId": ANN}))
        assert [int(session["id"]) for session in listed] == [made]


@run
async def test_history_tells_what_was_written_to_those_two_alone() -> None:
    async with running_server() as server, http(server) as ann, http(server, CARL) as carl:
        sent = await server.server.send(BOB, "hé😀", from_user=ANN)
        body = {"sessionId": sent.session_id}
        page = await data(await ann.post("/im/message/history", json=body))
        (record,) = page["records"]
        assert (record["content"], record["senderId"], record["receiverId"]) == ("hé😀", ANN, BOB)
        assert int(record["msgId"]) == sent.msg_id
        assert await code(await carl.post("/im/message/history", json=body)) == 40400


@run
async def test_what_is_not_yours_is_not_there() -> None:
    async with running_server() as server, http(server) as ann, http(server, CARL) as carl:
        made = await create(ann)
        answers = [
            await carl.get("/im/session/get", params={"sessionId": number})
            for number in (made, made + 99)
        ]
        assert await code(answers[0]) == await code(answers[1]) == 40400
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 40100),
        ({"satoken": ""}, 40100),
        ({"authorization": "Basic YTpi"}, 40100),
        ({"authorization": "Bearer"}, 40100),
        ({"satoken": "nonsense"}, 40101),
        ({"authorization": "Bearer nonsense"}, 40101),
    ],
)
@run
async def test_without_a_good_token_there_is_no_call(
    headers: dict[str, str], expected: int
) -> None:
    async with running_server() as server, http(server, None) as nobody:
        answer = await nobody.get("/im/session/get", params={"sessionId": 1}, headers=headers)
        assert answer.status_code == 200 and await code(answer) == expected
        assert "nonsense" not in answer.text


@run
async def test_an_authenticator_that_never_answers_is_not_waited_for() -> None:
    async def never(given: str) -> Identity:
        await asyncio.Event().wait()
        raise AssertionError(given)

    site = {"authenticate": never}
    async with running_server(auth_timeout=0.05, site=site) as server, http(server) as ann:
        assert await code(await ann.post("/im/session/getCurrent", json={"userId": ANN})) == 50000


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@run
async def test_a_bearer_token_will_do(scheme: str) -> None:
    async with running_server() as server, http(server, None) as nobody:
        headers = {"authorization": f"{scheme} {token(ANN)}"}
        body = {"userId": ANN}
        answer = await nobody.post("/im/session/getCurrent", json=body, headers=headers)
        assert await data(answer) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
        (b" " * (MAX_BODY + 1), 413),
        (json.dumps({"userId": ANN, "x": "y" * MAX_BODY}).encode(), 413),
    ],
    ids=["half", "list", "bytes", "deep", "blank and big", "big"],
)
@run
async def test_a_body_that_is_none_or_too_big_is_refused(body: bytes, status: int) -> None:
    async with running_server() as server, http(server) as ann:
        answer = await ann.post("/im/session/getCurrent", content=body)
        assert answer.status_code == status and await code(answer) == 400
        # and what fits is taken
        room = json.dumps({"userId": ANN}).encode().ljust(MAX_BODY)
        assert await data(await ann.post("/im/session/getCurrent", content=room)) == []


@run
async def test_what_can_not_be_read_is_400_and_another_method_or_path_no_call() -> None:
    async with running_server() as server, http(server) as ann:
        assert await code(await ann.get("/im/session/get", params={"sessionId": "x"})) == 400
        assert (await ann.post("/im/session/get")).status_code == 405
        assert (await ann.get("/im/session/nothing")).status_code == 404


@run
async def test_numbers_that_javascript_can_not_hold_are_texts() -> None:
    big = 2**53 + 1
    async with running_server() as server, http(server, big) as far:
        query = {"bookId": 5, "buyerId": str(big), "sellerId": BOB}
        made = await data(await far.post("/im/session/create", params=query))
        found = (await data(await far.get("/im/session/get", params={"sessionId": made})))[
            "buyerId"
        ]
        assert found == str(big)


@run
async def test_our_client_takes_them_over_http() -> None:
    async with running_server() as server:
        config = ClientConfig(
            ws_url=server.url,
            token=token(ANN),
            user_id=ANN,
            extensions=False,
            http=HttpConfig(base_url=server.http),
        )
        async with IMClient(config) as ann:
            made = await ann.get_or_create_session(book_id=5, buyer_id=ANN, seller_id=BOB)
            assert (made.book_id, made.buyer_id, made.seller_id) == (5, ANN, BOB)
            listed = await ann.get_current_sessions()
            assert [session.id for session in listed] == [made.id]


@run
async def test_what_comes_when_the_server_goes_down_is_told_so() -> None:
    async with running_server() as server:
        joined: IMServer = server.server
        await joined.runner.start()
        await joined.runner.stop()  # one of two who started it: it goes on
        assert await joined.call(ANN, "getCurrent", {"userId": ANN}) == []
    with pytest.raises(RuntimeError, match="lifespan"):
        await joined.call(ANN, "getCurrent", {"userId": ANN})
