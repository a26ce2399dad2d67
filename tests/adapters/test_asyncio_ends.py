"""A program ends, whatever its own functions do in threads of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUCK = """
import asyncio, threading
from im_asyncio import ClientConfig, IMClient, IMError

def stuck():
    threading.Event().wait()

async def main():
    config = ClientConfig(ws_url="ws://127.0.0.1:9/ws", token=TOKEN, user_id=1)
    client = IMClient(config)
    client.set_callbacks(error=lambda error: stuck())
    try:
        await client.connect(0.3)
    except IMError as error:
        print(error.code)

asyncio.run(main())
"""


@pytest.mark.parametrize("token", ["stuck", "'t'"], ids=["token function", "callback"])
def test_a_function_that_never_returns_does_not_keep_the_program(token: str) -> None:
    script = STUCK.replace("TOKEN", token)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("CONNECTION_")
