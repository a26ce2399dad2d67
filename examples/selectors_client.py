"""The engine without an adapter: one thread, one selector, one socket, about a hundred lines.

im serve --dev
python examples/selectors_client.py --user 1 --to 2 hello

It logs in, sends a message, prints what comes in, and comes back after a lost link. It connects
with a call that blocks, and knows no TLS; examples/trio_adapter.py shows all of it.
"""

from __future__ import annotations

import argparse
import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable

from im_proto import ClientConfig, ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.inputs import Input, TransportFailure

#: Bytes that may wait to be written before the engine hears of it.
HIGH = 65_536


class Loop:
    """An engine, a socket, and time.

    Args:
        config: with a token that is a text.
        on_event: is told every event of the engine; it may call `step`.
    """

    def __init__(self, config: ClientConfig, on_event: Callable[[Loop, ev.Event], None]) -> None:
        self._engine = ClientEngine(
            config, now=time.monotonic(), wall=time.time(), rng=random.SystemRandom()
        )
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._socket: socket.socket | None = None
        self._transport = 0
        self._buffer = bytearray()
        self._blocked = self._closing = self._paused = False
        self._waiting: deque[Input] = deque()

    def step(self, item: Input) -> None:
        """Have the engine told of it; `run` does that."""
        self._waiting.append(item)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until it holds: inputs first, then wait for the socket or the next deadline."""
        while not until():
            if self._waiting:
                for action in self._engine.step(self._waiting.popleft(), time.monotonic()):
                    self._carry_out(action)
                continue
            deadline = self._engine.next_deadline()
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            for _, ready in self._look(wait):
                if ready & selectors.EVENT_READ:
                    self._read()
                if ready & selectors.EVENT_WRITE:
                    self._write()
            self.step(inp.TimePassed(wall=time.time()))  # early or twice does no harm

    def _look(self, wait: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._socket is not None:
            wanted = selectors.EVENT_WRITE if self._buffer or self._closing else 0
            wanted |= 0 if self._paused else selectors.EVENT_READ
            if wanted:
                self._selector.register(self._socket, wanted)
        try:
            if not self._selector.get_map() and wait is None:
                raise RuntimeError("there is nothing to wait for: step(Connect()) was forgotten")
            return self._selector.select(wait)
        finally:
            for key in list(self._selector.get_map().values()):
                self._selector.unregister(key.fileobj)

    def _carry_out(self, action: act.Action) -> None:
        match action:
            case act.Notify(event=event):
                self._on_event(self, event)
            case act.OpenTransport():
                self._open(action)
            case act.SendBytes(data=data) if self._socket is not None:
                self._buffer += data
                if len(self._buffer) > HIGH and not self._blocked:
                    self._blocked = True
                    self.step(inp.WriteBlocked(transport=self._transport))
            case act.CloseTransport():
                self._closing = True
            case act.AbortTransport():
                self._end(tell=False)
            case act.PauseReading():
                self._paused = True
            case act.ResumeReading():
                self._paused = False

    def _open(self, action: act.OpenTransport) -> None:
        self._transport = action.transport
        try:
            if action.secure:
                raise OSError("this example knows no TLS")
            self._socket = socket.create_connection((action.host, action.port), timeout=10)
        except OSError as exc:
            refused = isinstance(exc, ConnectionRefusedError)
            kind = TransportFailure.REFUSED if refused else TransportFailure.OTHER
            self.step(inp.TransportFailed(transport=self._transport, kind=kind, reason=str(exc)))
            return
        self._socket.setblocking(False)
        self.step(inp.WallClock(wall=time.time()))
        self.step(inp.TransportOpened(transport=self._transport))

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.step(inp.BytesReceived(transport=self._transport, data=data))
        else:
            self._end(tell=True)

    def _write(self) -> None:
        try:
            if self._socket is not None and self._buffer:
                del self._buffer[: self._socket.send(self._buffer)]
        except BlockingIOError:
            return
        except OSError:
            self._end(tell=True)
        if self._blocked and len(self._buffer) < HIGH // 4:
            self._blocked = False
            self.step(inp.WriteReady(transport=self._transport))
        if self._closing and not self._buffer:
            self._end(tell=True)

    def _end(self, *, tell: bool) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if tell:
                self.step(inp.TransportLost(transport=self._transport))
        self._buffer.clear()
        self._blocked = self._closing = self._paused = False

    def close(self) -> None:
        """Let go of the selector; the connection has ended."""
        self._end(tell=False)
        self._selector.close()


def show(loop: Loop, event: ev.Event) -> None:
    """Print what happens; say of a message that it was handled."""
    match event:
        case ev.MessageReceived():
            print(f"{event.from_user}: {event.content}", flush=True)
            loop.step(inp.MessageHandled(delivery=event.delivery))
        case ev.MessageAccepted():
            print("accepted", flush=True)
        case ev.StateChanged(current=state):
            print(f"({state.status}: {state.reason})", flush=True)
        case ev.MessageFailed(error=error) | ev.ErrorOccurred(error=error):
            print(f"! {error}", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Send one message, and print what comes in.")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--user", default="1")
    parser.add_argument("--to", default="2")
    parser.add_argument("--token", help="by default dev:USER, which a server with --dev takes")
    parser.add_argument("content")
    options = parser.parse_args()
    config = ClientConfig(
        ws_url=options.url, user_id=options.user, token=options.token or f"dev:{options.user}"
    )
    loop = Loop(config, show)
    loop.step(inp.Connect())
    loop.step(inp.Send(ref=1, to_user=options.to, content=options.content))
    loop.run()


if __name__ == "__main__":
    main()
