"""The methods of the TypeScript module's `IMClient`."""

from __future__ import annotations

import asyncio

from adapters.adapter_kit import Connection, Peer, Recorder, config, plain
from im_asyncio import ClientConfig, IMClient, Status
from im_proto.wire import AuthRequest, AuthResponse
from parity.parity_kit import ANN, BOB, TOKEN, Notes, run, sessions, web
from peers.session_server import SessionServer


@run
async def test_the_constructor_takes_the_originals_configuration() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        heartbeat = {"interval": 30000, "timeout": 5000}
        reconnect = {"maxRetries": 5, "initialDelay": 1000, "maxDelay": 30000}
        given = web(peer.url, reconnect=reconnect, heartbeat=heartbeat)
        client = IMClient(ClientConfig.from_web(given))
        assert client.connection_state.status is Status.DISCONNECTED
        assert peer.count == 0
        async with client:
            assert (notes.logins[0].access_token, notes.logins[0].user_id) == (TOKEN, ANN)
        await peer.idle()


@run
async def test_connect_returns_when_the_server_has_accepted_the_login() -> None:
    async def serve(connection: Connection) -> None:
        await connection.accept()
        await connection.next(AuthRequest)
        assert not connecting.done()
        connection.send(AuthResponse(code=0))
        await connection.answer_all()

    async with Peer(serve) as peer:
        client = IMClient(config(peer.url))
        connecting = asyncio.ensure_future(client.connect())
        await connecting
        assert client.connection_state.status is Status.AUTHENTICATED
        await client.disconnect()
        await peer.idle()


@run
async def test_disconnect_closes_the_websocket_and_nothing_comes_back() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        await client.disconnect()
        assert client.connection_state.status is Status.DISCONNECTED
        assert client.connection_state.retry_at is None
        await peer.idle()
        assert notes.closed == [1000]
        assert peer.count == 1


@run
async def test_send_message_returns_when_the_server_has_accepted_it() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        async with IMClient(config(peer.url)) as client:
            sent = await client.send_message(
                to_user_id=456, content="Hello, World!", message_type="text"
            )
            assert notes.contents == ["Hello, World!"]
            assert (sent.status, sent.msg_id) == ("accepted", notes.sent[0].msg_id)
        await peer.idle()


@run
async def test_set_callbacks_sets_some_and_replaces_what_was_set() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        old, new = Recorder("connected", "authenticated"), Recorder("connected")
        client.set_callbacks(old.callbacks())
        client.set_callbacks(new.callbacks())
        async with client:
            await old.until("authenticated")
        assert old.names() == ["authenticated"]
        assert new.names() == ["connected"]
        await peer.idle()


@run
async def test_the_connection_state_follows_the_life_of_a_client() -> None:
    seen: list[str] = []
    links: list[Connection] = []

    async def serve(connection: Connection) -> None:
        links.append(connection)
        seen.append(client.connection_state.status)
        await connection.accept()
        await connection.next(AuthRequest)
        seen.append(client.connection_state.status)
        connection.send(AuthResponse(code=0))
        await connection.until_gone()

    async with Peer(serve) as peer:
        client = IMClient(config(peer.url, reconnect={"initial_delay": 60, "max_delay": 60}))
        recorder = Recorder("reconnecting")
        client.set_callbacks(recorder.callbacks())
        seen.append(client.connection_state.status)
        await client.connect()
        seen.append(client.connection_state.status)
        links[0].reset()
        await recorder.until("reconnecting")
        state = client.connection_state
        seen.append(state.status)
        assert state.last_error is not None
        assert state.last_error.code == "CONNECTION_LOST"
        await client.disconnect()
        seen.append(client.connection_state.status)
    assert seen == [
        *("DISCONNECTED", "CONNECTING", "CONNECTED", "AUTHENTICATED"),
        *("RECONNECTING", "DISCONNECTED"),
    ]


@run
async def test_a_new_access_token_is_used_for_the_next_login() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        client = IMClient(config(peer.url, token="old"))
        await client.connect()
        client.update_access_token("new")
        await client.disconnect()
        await client.connect()
        await client.disconnect()
        await peer.idle()
    assert [login.access_token for login in notes.logins] == ["old", "new"]


@run
async def test_get_session_finds_a_session_or_nothing() -> None:
    with SessionServer() as server:
        number = server.add(5, ANN, BOB)["id"]
        async with sessions(server) as client:
            found = await client.get_session(number)
            assert found is not None
            assert (found.id, found.book_id) == (number, 5)
            assert await client.get_session(number + 1) is None


@run
async def test_add_session_makes_a_new_one_each_time() -> None:
    with SessionServer() as server:
        async with sessions(server) as client:
            one = await client.add_session(book_id=5, buyer_id=ANN, seller_id=BOB)
            two = await client.add_session(book_id=5, buyer_id=ANN, seller_id=BOB)
        assert list(server.sessions) == [one.id, two.id]


@run
async def test_get_or_create_session_makes_only_what_is_not_there() -> None:
    with SessionServer() as server:
        async with sessions(server) as client:
            made = await client.get_or_create_session(5, ANN, BOB)
            assert await client.get_or_create_session(5, ANN, BOB) == made
        assert list(server.sessions) == [made.id]


@run
async def test_a_cached_session_is_given_without_asking() -> None:
    with SessionServer() as server:
        async with sessions(server) as client:
            made = await client.get_or_create_session(5, ANN, BOB)
            asked = len(server.seen)
            assert client.get_cached_session(made.id) == made
            assert client.get_cached_session(made.id + 1) is None
            assert len(server.seen) == asked


@run
async def test_all_cached_sessions_are_given_without_asking() -> None:
    with SessionServer() as server:
        async with sessions(server) as client:
            assert client.get_all_cached_sessions() == []
            made = [await client.get_or_create_session(book, ANN, BOB) for book in (5, 6)]
            asked = len(server.seen)
            assert client.get_all_cached_sessions() == made
            assert len(server.seen) == asked
