"""The chat window of examples/, in a real window.

Each scene has a process of its own, and keeps its windows until that ends: an object of Tk that
the collector of another thread frees aborts the process ("Tcl_AsyncDelete: async handler deleted
by the wrong thread"), and the server here is such a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from im_threads import ClientConfig, IMClient
from server.server_kit import running_server, token

tk = pytest.importorskip("tkinter", reason="this Python has no tkinter (Debian: python3-tk)")
if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    pytest.skip("no DISPLAY to open a window on (Xvfb is enough)", allow_module_level=True)

PATIENCE = 40.0
ChatWindow: Any = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "tk_chat.py"))[
    "ChatWindow"
]
WINDOWS: list[Any] = []


@contextlib.contextmanager
def serving() -> Iterator[str]:
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


def opened(url: str) -> Any:
    WINDOWS.append(ChatWindow(tk.Tk(), config(url, 1, device_id="tk-chat"), "2"))
    return WINDOWS[-1]


def shows_what_comes_and_sends_what_is_typed(server_url: str) -> None:
    window = opened(server_url)
    root = window.root
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


def does_not_acknowledge_what_it_did_not_show(server_url: str) -> None:
    with IMClient(config(server_url, 2)) as other:
        window = opened(server_url)
        until(window.root, lambda: "AUTHENTICATED" in window.status.cget("text"))
        other.send_message(1, "too late")  # accepted, and the window's loop does not run
        window.close()
        window = opened(server_url)
        until(window.root, lambda: "2: too late" in window.transcript.get("1.0", "end"))
        window.close()


SCENES = {
    scene.__name__: scene
    for scene in (
        shows_what_comes_and_sends_what_is_typed,
        does_not_acknowledge_what_it_did_not_show,
    )
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_window(scene: str) -> None:
    ended = subprocess.run(
        [sys.executable, __file__, scene],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=5 * PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout


if __name__ == "__main__":
    with serving() as url:
        SCENES[sys.argv[1]](url)
