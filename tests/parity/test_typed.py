"""The dialect `typed`: the envelopes of the TypeScript module's earlier servers."""

from __future__ import annotations

from adapters.adapter_kit import Recorder
from im_asyncio import ClientConfig, IMClient
from parity.parity_kit import ANN, BOB, TOKEN, run, web
from peers.typed_server import TypedServer


@run
async def test_the_typed_dialect_logs_in_sends_receives_and_keeps_alive() -> None:
    async with TypedServer({TOKEN: ANN}) as server:
        given = web(server.url, heartbeat={"interval": 20, "timeout": 5000})
        client = IMClient(ClientConfig.from_web(given, dialect="typed"))
        recorder = Recorder("message_received", "heartbeat_received")
        client.set_callbacks(recorder.callbacks())
        async with client:
            sent = await client.send_message(BOB, "hi")
            assert sent.status == "accepted"
            await server.push(ANN, "hello", fromUserId=BOB, messageType="text")
            (message,) = await recorder.until("message_received")
            assert (message.content, message.from_user) == ("hello", BOB)
            await recorder.until("heartbeat_received")
        assert server.contents == ["hi"]
        assert server.said("auth")[0]["data"] == {"token": TOKEN, "userId": ANN}
    assert server.offences == []
