"""A clerk that books every order exactly once and answers it exactly once, whenever it is killed.

im serve --dev
python examples/exactly_once.py --user 9
im chat --user 1 --to 9
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3

from im_asyncio import ClientConfig, IMClient, Message


def make_tables(path: str) -> None:
    """Ours lie in the client's storage, which the client has made by now."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE IF NOT EXISTS orders (customer TEXT, number INTEGER, what TEXT)")
    db.close()


async def book(client: IMClient, message: Message) -> None:
    """Answer, and book the order."""
    if message.from_user is None:
        return
    # First the answer, on disk, under a key: after a crash it is the same message, sent once.
    answer = client.queue_message(
        message.from_user,
        f"Thank you for ordering {message.content}",
        key=f"answer to {message.from_user}, {message.msg_id}",
    )
    await answer.queued()
    # Then the order, and that its message is handled: both, or neither.
    async with message.transaction() as db:
        order = (str(message.from_user), message.msg_id, message.content)
        db.execute("INSERT INTO orders VALUES (?, ?, ?)", order)


async def serve(config: ClientConfig, path: str) -> None:
    """Book until the process ends."""
    async with IMClient(config, storage=path) as client:
        make_tables(path)
        print(f"taking orders as {config.user_id}", flush=True)
        async for message in client.messages():
            await book(client, message)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A clerk that books every order exactly once.")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--user", default="9")
    parser.add_argument("--token", help="by default dev:USER, which a server with --dev takes")
    parser.add_argument("--storage", default="clerk.db", help="where all of it is kept")
    options = parser.parse_args()
    config = ClientConfig(
        ws_url=options.url,
        user_id=options.user,
        token=options.token or f"dev:{options.user}",
    )
    asyncio.run(serve(config, options.storage))


if __name__ == "__main__":
    main()
