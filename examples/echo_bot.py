"""A bot that answers every message once.

im serve --dev
python examples/echo_bot.py --user 9
im chat --user 1 --to 9
"""

from __future__ import annotations

import argparse
import asyncio

from im_asyncio import ClientConfig, IMClient, IMError


async def echo(config: ClientConfig) -> None:
    """Answer until the process ends."""
    async with IMClient(config) as client:
        print(f"listening as {config.user_id}", flush=True)
        async for message in client.messages():  # asking for the next acknowledges this one
            if message.from_user is None:
                continue
            try:
                await client.send_message(message.from_user, f"You said: {message.content}")
            except IMError as error:
                print("not answered:", error, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A bot that answers every message once.")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--user", default="9")
    parser.add_argument("--token", help="by default dev:USER, which a server with --dev takes")
    options = parser.parse_args()
    config = ClientConfig(
        ws_url=options.url,
        user_id=options.user,
        token=options.token or f"dev:{options.user}",
        device_id="echo-bot",  # the server remembers how far this bot is
    )
    asyncio.run(echo(config))


if __name__ == "__main__":
    main()
