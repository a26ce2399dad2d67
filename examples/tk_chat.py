"""A chat window in Tk. The client has its own threads, so the window never waits for the network.

im serve --dev
python examples/tk_chat.py --user 1 --to 2
python examples/tk_chat.py --user 2 --to 1
"""

from __future__ import annotations

import argparse
import queue
import threading
import tkinter as tk
from collections.abc import Callable

from im_threads import ClientConfig, ConnectionState, IMClient, IMError, Message, SentMessage


class Closed(Exception):
    """The window is gone before something was shown in it."""


class ChatWindow:
    """A transcript, a line to write in, and a line that says how the connection is.

    Tk belongs to the thread that made it: callbacks, which come from another, hand over what is
    to be shown and wait until it is. So a message is acknowledged once it stands on the screen.
    """

    def __init__(self, root: tk.Tk, config: ClientConfig, to: str) -> None:
        self.root = root
        self.to = to
        self.client = IMClient(config)
        self.client.set_callbacks(
            message_received=self._received,
            message_sent=self._sent,
            message_failed=self._failed,
            state_changed=self._state,
        )
        root.title(f"{config.user_id} writes to {to}")
        self.transcript = tk.Text(root, state="disabled", wrap="word", width=60, height=20)
        self.transcript.pack(fill="both", expand=True)
        self.entry = tk.Entry(root)
        self.entry.pack(fill="x")
        self.entry.bind("<Return>", lambda _: self._send())
        self.entry.focus()
        self.status = tk.Label(root, anchor="w", text="connecting")
        self.status.pack(fill="x")
        root.protocol("WM_DELETE_WINDOW", self.close)
        self._to_show: queue.Queue[tuple[Callable[[], None], threading.Event]] = queue.Queue()
        self._closed = threading.Event()
        self._poll()
        # connect() waits; the window must not. After a lost link the client comes back by itself.
        threading.Thread(target=self._connect, name="connect", daemon=True).start()

    def close(self) -> None:
        """End the client, then the window."""
        self._closed.set()
        self._show_what_waits()
        self.client.close()
        self.root.after_cancel(self._next_look)
        self.root.destroy()

    # ---- in the thread of the window

    def _send(self) -> None:
        text = self.entry.get()
        if not text.strip():
            return
        try:
            self.client.queue_message(self.to, text)  # with or without a connection
        except IMError as error:
            self.status.config(text=str(error))
            return
        self.entry.delete(0, "end")

    def _line(self, text: str) -> None:
        self.transcript.config(state="normal")
        self.transcript.insert("end", text + "\n")
        self.transcript.config(state="disabled")
        self.transcript.see("end")

    def _poll(self) -> None:
        try:
            self._show_what_waits()
        finally:
            if not self._closed.is_set():
                self._next_look = self.root.after(30, self._poll)

    def _show_what_waits(self) -> None:
        while not self._to_show.empty():
            show, shown = self._to_show.get()
            try:
                if not self._closed.is_set():
                    show()
            finally:
                shown.set()

    # ---- in threads of the client

    def _connect(self) -> None:
        try:
            self.client.connect(timeout=None, retry=True)
        except IMError as error:
            self._state_text(str(error))

    def _show(self, show: Callable[[], None]) -> None:
        shown = threading.Event()
        self._to_show.put((show, shown))
        while not shown.wait(0.1):
            if self._closed.is_set():
                break
        if self._closed.is_set():
            raise Closed

    def _received(self, message: Message) -> None:
        self._show(lambda: self._line(f"{message.from_user}: {message.content}"))

    def _sent(self, sent: SentMessage) -> None:
        self._show(lambda: self._line(f"me: {sent.content}"))

    def _failed(self, error: IMError) -> None:
        self._state_text(f"not sent: {error}")

    def _state(self, state: ConnectionState) -> None:
        self._state_text(f"{state.status}: {state.reason}")

    def _state_text(self, text: str) -> None:
        if not self._closed.is_set():
            self._show(lambda: self.status.config(text=text))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A chat window.")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--user", default="1")
    parser.add_argument("--to", default="2")
    parser.add_argument("--token", help="by default dev:USER, which a server with --dev takes")
    options = parser.parse_args()
    config = ClientConfig(
        ws_url=options.url,
        user_id=options.user,
        token=options.token or f"dev:{options.user}",
        device_id="tk-chat",  # the server remembers how far this window is
    )
    root = tk.Tk()
    ChatWindow(root, config, options.to)
    root.mainloop()


if __name__ == "__main__":
    main()
