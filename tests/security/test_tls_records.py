"""What comes over TLS in several records at once is read as it was sent, and holds nothing of what
others have sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from adapters.adapter_kit import run
from adapters.tls_kit import CERTIFICATE, trusting
from im_server.tls import server_context
from security.attacks.peer import TEXT, envelope, frame
from server.server_kit import running_server, token

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\n\r\n"
)


class Records:
    """A TLS client that decides which records go out together."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), 5)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._in, self._out, server_hostname="localhost")

    def connect(self) -> None:
        """The handshake, and the upgrade."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._sock.sendall(self._out.read())
                self._in.write(self._sock.recv(65_536))
        self.send(UPGRADE)
        self.read(b"\r\n\r\n", 1)

    def send(self, *records: bytes) -> None:
        """Each in a record of its own, all at once."""
        for record in records:
            self._tls.write(record)
        self._sock.sendall(self._out.read())

    def read(self, what: bytes, times: int) -> bytes:
        """Until it was said so often, or nothing more is."""
        found = b""
        while found.count(what) < times:
            try:
                found += self._tls.read(65_536)
            except ssl.SSLWantReadError:
                data = self._sock.recv(65_536)
                if not data:
                    break
                self._in.write(data)
        return found

    def close(self) -> None:
        """Go."""
        self._sock.close()


@run
async def test_records_that_come_together_are_all_read_and_nobody_elses() -> None:
    beat = frame(TEXT, envelope("HEARTBEAT_REQUEST", {}))
    async with running_server(tls=server_context(CERTIFICATE)) as server:
        records = await asyncio.to_thread(Records, server.port)
        victim = await asyncio.to_thread(Records, server.port)
        try:
            await asyncio.to_thread(records.connect)
            # somebody else's log-in goes through the same server just before
            await asyncio.to_thread(victim.connect)
            log_in = frame(TEXT, envelope("AUTH_REQUEST", {"accessToken": token(1)}))
            await asyncio.to_thread(victim.send, beat + log_in)
            await asyncio.to_thread(victim.read, b"AUTH_RESPONSE", 1)
            # where the second record belongs, the log-in stands
            await asyncio.to_thread(records.send, beat, beat * 10)
            said = await asyncio.to_thread(records.read, b"HEARTBEAT_RESPONSE", 11)
            assert said.count(b"HEARTBEAT_RESPONSE") == 11 and b"AUTH_RESPONSE" not in said
            assert server.server.online() == {1: 1}
        finally:
            records.close()
            victim.close()
