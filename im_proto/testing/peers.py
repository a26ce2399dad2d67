"""The other end of a connection, for machines: it reads what an engine writes, strictly, and
writes whatever a rule wants it to.

Bytes are read with the library's own framing and dialect, which have their own tests. `reader` is
a second framing on the engine's side: it tells the machine what the engine's own has to see in
the same bytes, good or bad.
"""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import Final

from ..framing import FrameEvent, Framing, HandshakeRequested
from ..limits import FrameLimits
from ..wire import Invocation, Message

#: What a peer in a test takes: everything.
ANY: Final = FrameLimits(
    message_bytes=2**24, message_frames=10**6, control_burst=10**6, handshake_bytes=2**16
)
_DEFAULT: Final = FrameLimits()


class _Key(random.Random):
    """Draws the key of a request that was seen."""

    def __init__(self, key: bytes) -> None:
        super().__init__(0)
        self._key = key

    def randbytes(self, n: int) -> bytes:
        return self._key if n == len(self._key) else super().randbytes(n)


class FarServer:
    """The server's end of one transport of a client.

    Args:
        transport: the client's name for it.
        message_bytes: what the client takes.
        proxied: a proxy stands between, and is to be asked first.

    Attributes:
        opened: the transport is there.
        tunnel: "" without a proxy, else "asking", "asked", "tls" or "" again.
        request: the client's upgrade request, once it has come.
        answered: the request was answered, well or not.
        leaving: the client has sent its close.
        closed: the client has let go of the transport.
        unread: bytes under way to the client.
    """

    def __init__(self, transport: int, *, message_bytes: int, proxied: bool) -> None:
        self.transport = transport
        self.opened = False
        self.tunnel = "asking" if proxied else ""
        self.request: HandshakeRequested | None = None
        self.answered = False
        self.leaving = False
        self.closed = False
        self.unread = b""
        self.framing = Framing.server(limits=ANY)
        self.reader: Framing | None = None
        self._limits = FrameLimits(message_bytes=message_bytes)
        self._dialect = Invocation("server")

    def take(self, data: bytes) -> list[FrameEvent]:
        """What the client wrote."""
        if self.tunnel == "asking":
            assert data.startswith(b"CONNECT ") and data.endswith(b"\r\n\r\n"), "no CONNECT"
            self.tunnel = "asked"
            return []
        assert not self.tunnel, "the client spoke before the tunnel was there"
        events = self.framing.receive(data, 0.0)
        for event in events:
            if isinstance(event, HandshakeRequested):
                self.request = event
                key = base64.b64decode(dict(event.headers)["sec-websocket-key"])
                self.reader = Framing.client(
                    host=event.host, target=event.target, rng=_Key(key), limits=self._limits
                )
                self.reader.request()
        return events

    @property
    def asks(self) -> bool:
        """An upgrade request waits for its answer."""
        return self.request is not None and not self.answered

    def answer(self, *, status: int = 101, capable: bool = False) -> bytes:
        """The answer to the upgrade request; `capable`: of a server like ours."""
        self.answered = True
        if status != 101:
            return self.framing.reject(status)
        return self.framing.accept(headers=(("IM-Capabilities", "seq, batch"),) if capable else ())

    def messages(self, text: str, *, batch: int) -> list[Message]:
        """The messages of a text of the client, which may hold so many envelopes.

        Raises:
            BadFrame: the client may not say that.
        """
        messages = self._dialect.decode(text, batch=batch)
        for message in messages:
            assert isinstance(message, Message), f"the client sent {message}"
        return [message for message in messages if isinstance(message, Message)]

    def text(self, *messages: Message) -> bytes:
        """Messages as one text frame."""
        envelopes = [self._dialect.encode(message) for message in messages]
        return self.framing.send_text(self._dialect.join(envelopes))


class FarClient:
    """A client's end of one connection of a server.

    Args:
        connection: the server's name for it.
        path: where the WebSocket is.
        message_bytes: what the server takes.
        limits: its other limits.

    Attributes:
        asked: it has sent its upgrade request.
        upgraded: the server has answered 101.
        ended: the server has let go of the transport, or it is lost.
        unread: bytes under way to the server.
        pings: payloads that are to be answered.
    """

    def __init__(
        self,
        connection: int,
        *,
        path: str,
        message_bytes: int,
        limits: FrameLimits = _DEFAULT,
    ) -> None:
        self.connection = connection
        self.asked = self.upgraded = False
        self.ended = False
        self.unread = b""
        self.pings: list[bytes] = []
        rng = random.Random(connection)  # noqa: S311 - repeatable on purpose
        self.framing = Framing.client(host="server", target=path, rng=rng, limits=ANY)
        self.reader = Framing.server(limits=replace(limits, message_bytes=message_bytes))
        self._path = path
        self._dialect = Invocation("client")

    def request(self) -> bytes:
        """The upgrade request, once."""
        self.asked = True
        return self.framing.request()

    def read_along(
        self, data: bytes, now: float, message_bytes: int | None = None
    ) -> list[FrameEvent]:
        """What the server has to see in these bytes, if it now takes messages of so many bytes."""
        if message_bytes is not None and self.reader.open:
            self.reader.allow(message_bytes)
        events = self.reader.receive(data, now)
        for event in events:
            if isinstance(event, HandshakeRequested):
                if event.target.partition("?")[0] == self._path:
                    self.reader.accept()
                else:
                    self.reader.reject(404)
        return events

    def messages(self, text: str, *, batch: int) -> list[Message]:
        """The messages of a text of the server, which may hold so many envelopes.

        Raises:
            BadFrame: the server may not say that.
        """
        messages = self._dialect.decode(text, batch=batch)
        for message in messages:
            assert isinstance(message, Message), f"the server sent {message}"
        return [message for message in messages if isinstance(message, Message)]

    def text(self, *messages: Message) -> bytes:
        """Messages as one text frame."""
        envelopes = [self._dialect.encode(message) for message in messages]
        return self.framing.send_text(self._dialect.join(envelopes))
