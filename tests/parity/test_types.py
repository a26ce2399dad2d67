"""The types of the TypeScript module, field by field."""

from __future__ import annotations

from typing import Any, Final

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, config
from im_asyncio import ConnectionState, IMClient, SentMessage, Status
from im_proto.wire import ChatRedirectToUser
from parity.parity_kit import ANN, BOB, Notes, run, sessions
from peers.session_server import SessionServer

#: By argument: a value, and where the server finds it.
SENT: Final[dict[str, tuple[Any, str]]] = {
    "to_user_id": (456, "to_user"),
    "content": (" 你好 😀 ", "content"),
    "message_type": ("image", "message_type"),
}
RECEIVED: Final[dict[str, Any]] = {
    "content": " 你好 😀 ",
    "from_user": BOB,
    "msg_id": 77,
    "timestamp": 1_700_000_000_000,
}
SESSION: Final[dict[str, Any]] = {
    "id": 7000,
    "book_id": 5,
    "buyer_id": ANN,
    "seller_id": BOB,
    "session_status": 2,
    "expire_time": "2030-01-02 03:04:05",
}


@pytest.mark.parametrize("argument", SENT)
@run
async def test_a_message_is_sent_with(argument: str) -> None:
    notes = Notes()
    value, field = SENT[argument]
    fields: dict[str, Any] = {"to_user_id": BOB, "content": "hi"}
    async with Peer(notes) as peer:
        async with IMClient(config(peer.url)) as client:
            await client.send_message(**(fields | {argument: value}))
            await client.send_message(**fields)
        await peer.idle()
    assert getattr(notes.sent[0], field) == value
    assert (notes.sent[1].to_user, notes.sent[1].message_type) == (BOB, "text")


@pytest.mark.parametrize("field", RECEIVED)
@run
async def test_a_message_is_received_with(field: str) -> None:
    message = ChatRedirectToUser(**RECEIVED)

    async def serve(connection: Connection) -> None:
        await connection.login()
        connection.send(message, ChatRedirectToUser(content="bare"))
        await connection.answer_all()

    async with Peer(serve) as peer:
        async with IMClient(config(peer.url)) as client:
            messages = client.messages()
            assert getattr(await anext(messages), field) == RECEIVED[field]
            bare = await anext(messages)  # only the content is always there
            assert (bare.content, bare.from_user) == ("bare", None)
            assert (bare.msg_id, bare.timestamp) == (None, None)
            await messages.aclose()
        await peer.idle()


@pytest.mark.parametrize("field", SESSION)
@run
async def test_a_session_has(field: str) -> None:
    with SessionServer() as server:
        server.add(5, ANN, BOB, sessionStatus=2)
        async with sessions(server) as client:
            session = await client.get_session(book_id=5, buyer_id=ANN, seller_id=BOB)
    assert session is not None
    assert getattr(session, field) == SESSION[field]
    assert not session.active  # 1 is active, 2 expired, 3 closed


@run
async def test_a_session_is_asked_for_by_its_id_or_by_book_buyer_and_seller() -> None:
    with SessionServer() as server:
        number = server.add(5, ANN, BOB)["id"]
        async with sessions(server) as client:
            one = await client.get_session(session_id=number)
            two = await client.get_session(book_id=5, buyer_id=ANN, seller_id=BOB)
        assert one == two
        assert [seen.query for seen in server.seen] == [
            {"sessionId": str(number)},
            {"bookId": "5", "buyerId": "1", "sellerId": "2"},
        ]


@run
async def test_a_session_is_made_of_book_buyer_and_seller() -> None:
    with SessionServer() as server:
        async with sessions(server) as client:
            made = await client.add_session(book_id=5, buyer_id=ANN, seller_id=BOB)
        assert (made.book_id, made.buyer_id, made.seller_id) == (5, ANN, BOB)
        assert server.seen[0].query == {"bookId": "5", "buyerId": "1", "sellerId": "2"}


@run
async def test_message_sent_gets_the_message_that_was_sent() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("message_sent")
        client.set_callbacks(recorder.callbacks())
        async with client:
            await client.send_message(BOB, "hi")
            (sent,) = await recorder.until("message_sent")
        assert isinstance(sent, SentMessage)
        assert (sent.to_user_id, sent.content, sent.message_type) == (BOB, "hi", "text")
        assert sent.msg_id == notes.sent[0].msg_id
        await peer.idle()


@run
async def test_a_connection_state_has_a_status_and_a_reason() -> None:
    client = IMClient(config("ws://127.0.0.1:1/ws"))
    state = client.connection_state
    assert isinstance(state, ConnectionState)
    assert state.status is Status.DISCONNECTED
    assert state.status == "DISCONNECTED"
    assert state.reason
