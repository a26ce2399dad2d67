"""The chat window of examples/, in a real window."""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from im_threads import ClientConfig, IMClient
from server.server_kit import running_server, token

tk = pytest.importorskip("tkinter", reason="this Python has no tkinter (Debian: python3-tk)")
if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    pytest.skip("no DISPLAY to open a window on (Xvfb is enough)", allow_module_level=True)

PATIENCE = 20.0
ChatWindow: Any = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "tk_chat.py"))[
    "ChatWindow"
]


@pytest.fixture
def server_url() -> Generator[str]:
    """A server on a loop of its own, as the window needs this thread."""
    ready: list[str] = []
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_server() as server:
            ready.append(server.url)
            started.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield ready[0]
    finally:
        over.set()
        thread.join(PATIENCE)


def config(url: str, user: int, **more: Any) -> ClientConfig:
    return ClientConfig(ws_url=url, user_id=user, token=token(user), **more)


def until(root: Any, done: Callable[[], bool]) -> None:
    """Run the window until something is true."""
    ended = []
    root.after(int(PATIENCE * 1000), lambda: ended.append(True))
    while not done():
        assert not ended, "it did not come"
        root.update()


def test_a_window_shows_what_comes_and_sends_what_is_typed(server_url: str) -> None:
    root = tk.Tk()
    window = ChatWindow(root, config(server_url, 1, device_id="tk-chat"), "2")
    with IMClient(config(server_url, 2)) as other, ThreadPoolExecutor(1) as pool:
        sent = other.send_message(1, "hello, window")
        until(root, lambda: "2: hello, window" in window.transcript.get("1.0", "end"))
        assert sent.msg_id is not None
        window.entry.insert(0, "hello from Tk")
        window.entry.focus_force()
        until(root, lambda: root.focus_get() is window.entry)
        window.entry.event_generate("<Return>")
        answer = pool.submit(lambda: next(iter(other.messages(timeout=PATIENCE))))
        until(root, answer.done)
        assert answer.result().content == "hello from Tk"
        until(root, lambda: "me: hello from Tk" in window.transcript.get("1.0", "end"))
        assert window.entry.get() == ""
        window.close()


def test_what_the_window_did_not_show_is_not_acknowledged(server_url: str) -> None:
    with IMClient(config(server_url, 2)) as other:
        root = tk.Tk()
        window = ChatWindow(root, config(server_url, 1, device_id="tk-chat"), "2")
        until(root, lambda: "AUTHENTICATED" in window.status.cget("text"))
        other.send_message(1, "too late")  # accepted, and the window's loop does not run
        window.close()
        root = tk.Tk()
        window = ChatWindow(root, config(server_url, 1, device_id="tk-chat"), "2")
        until(root, lambda: "2: too late" in window.transcript.get("1.0", "end"))
        window.close()
