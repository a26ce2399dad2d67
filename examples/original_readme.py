"""The examples of the TypeScript module's README in Python, in its order and line for line.

im serve --dev
python examples/original_readme.py

The headings are the README's. What it shows of Vue components comes with the browser page, in a
later version. The calls about sessions need a server that has them (http.base_url).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os

from im_asyncio import ClientConfig, IMClient, IMError, Message

# ---------------------------------------------------------------- Quick start (快速开始)

# 1. Install and configure (安装和配置)

config = ClientConfig.from_web(
    {
        "wsUrl": "ws://localhost:8080/ws",
        "token": "dev:123",
        "userId": 123,
        "reconnect": {
            "maxRetries": 5,
            "initialDelay": 1000,
            "maxDelay": 30000,
        },
        "heartbeat": {
            "interval": 30000,
            "timeout": 5000,
        },
    }
)


def create(config: ClientConfig) -> IMClient:
    return IMClient(config)


# 2. Set callbacks (设置事件回调)


def set_callbacks(im_client: IMClient) -> None:
    im_client.set_callbacks(
        connected=lambda: print("connected"),
        disconnected=lambda: print("disconnected"),
        authenticated=lambda: print("authenticated"),
        message_received=lambda message: print("message received:", message),
        error=lambda error: print("connection error:", error),
    )


# 3. Connect and send a message (连接和发送消息)


async def connect_and_send(im_client: IMClient) -> None:
    # connect to the server
    await im_client.connect()

    # send a message
    await im_client.send_message(
        to_user_id=456,
        content="Hello, World!",
        message_type="text",
    )

    # disconnect
    await im_client.disconnect()


# ---------------------------------------------------------------- Advanced (高级功能)

# Heartbeat (心跳检测)

with_heartbeat = ClientConfig.from_web(
    {
        "wsUrl": "ws://localhost:8080/ws",
        "token": "dev:123",
        "userId": 123,
        "heartbeat": {
            "interval": 30000,  # every 30 seconds
            "timeout": 5000,  # 5 seconds for an answer
        },
    }
)

# Reconnecting (断线重连)

with_reconnect = ClientConfig.from_web(
    {
        "wsUrl": "ws://localhost:8080/ws",
        "token": "dev:123",
        "userId": 123,
        "reconnect": {
            "maxRetries": 5,  # at most 5 attempts
            "initialDelay": 1000,  # the first after 1 second
            "maxDelay": 30000,  # none after more than 30 seconds
            "strategy": "exponential",  # or "fixed", or "linear"
        },
    }
)

# Error handling (错误处理)


def handle_errors(im_client: IMClient) -> None:
    def on_error(error: IMError) -> None:
        match error.code:
            case "CONNECTION_FAILED":
                print("no connection")
            case "AUTH_FAILED":
                print("the log-in was refused")
            case "MESSAGE_SEND_FAILED":
                print("the message was refused")

    im_client.set_callbacks(error=on_error, message_failed=on_error)


# ---------------------------------------------------------------- Best practice (最佳实践)

# 1. Connections (连接管理)


async def from_login_to_logout(config: ClientConfig) -> None:
    # when the application starts
    im_client = IMClient(config)

    # after the user's log-in
    await im_client.connect()

    # when the user logs out, or the application ends
    await im_client.disconnect()


# 2. Errors (错误处理)


def handle_all_errors(im_client: IMClient) -> None:
    def on_error(error: IMError) -> None:
        # write it down
        logging.error("IM error: %s", error)

        # tell the user in plain words
        print("The connection has trouble. Please check your network.")

    im_client.set_callbacks(error=on_error)


# 3. Messages (消息处理)


class Chat:
    """What an application shows."""

    def __init__(self) -> None:
        self.shown: list[Message] = []
        self.unread = 0

    def listen(self, im_client: IMClient) -> None:
        im_client.set_callbacks(message_received=self.on_message)

    def on_message(self, message: Message) -> None:
        # show the new message
        self.shown.append(message)

        # play a sound
        print("\a", end="")

        # count what is unread
        self.unread += 1


# 4. Sessions (会话管理)


async def sessions(im_client: IMClient, book_id: int, buyer_id: int, seller_id: int) -> None:
    # get the session, or make it
    session = await im_client.get_or_create_session(book_id, buyer_id, seller_id)

    # get what is known of it, without asking the server
    cached_session = im_client.get_cached_session(session.id)
    print("session:", cached_session)


# ---------------------------------------------------------------- Debugging (调试技巧)

# 1. A detailed log (启用详细日志)


def detailed_log() -> None:
    # before the first client is made; from outside: IM_LOG=debug python …
    if os.environ.get("APP_ENV") == "development":
        os.environ["IM_LOG"] = "debug"


# 2. Watch the connection's state (监控连接状态)


async def watch_state(im_client: IMClient, seconds: float = 5) -> None:
    # look at it every 5 seconds; the callback state_changed tells each change
    while True:
        state = im_client.connection_state
        print("connection state:", state.status, state.reason)
        await asyncio.sleep(seconds)


# 3. Send a test message (测试消息发送)


async def send_test_message(im_client: IMClient) -> None:
    await im_client.send_message(
        to_user_id=123,
        content="test message",
        message_type="text",
    )


# ---------------------------------------------------------------- all of it


async def main(config: ClientConfig) -> None:
    """Run all of them against one server."""
    detailed_log()
    im_client = create(config)
    set_callbacks(im_client)
    await connect_and_send(im_client)
    await from_login_to_logout(config)

    handle_errors(im_client)
    handle_all_errors(im_client)
    chat = Chat()
    chat.listen(im_client)
    await im_client.connect()
    watching = asyncio.create_task(watch_state(im_client))
    await send_test_message(im_client)  # to ourselves
    try:
        await sessions(im_client, book_id=1, buyer_id=123, seller_id=456)
    except IMError as error:
        print("sessions:", error)
    watching.cancel()
    await im_client.disconnect()
    print(f"{chat.unread} unread")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The TypeScript module's examples in Python.")
    parser.add_argument("--url", default=config.ws_url)
    options = parser.parse_args()
    asyncio.run(main(config.model_copy(update={"ws_url": options.url})))
