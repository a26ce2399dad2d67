"""TLS of `IMServer.run`: the server's certificate, and handshakes that are counted and have a
deadline.

asyncio's own TLS servers tell nobody of a connection before its handshake is done, for which it
gives 60 s: whoever says nothing would hold sockets that no limit counts. So `TLSDoor` takes the
connection as it comes, counts it, and begins TLS itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from .guarded import GuardedHTTP
from .websocket import STATE_KEY, host_of

if TYPE_CHECKING:
    from .runner import Runner

#: Bytes that are read at a time: two records of TLS.
READ: Final = 32_768
#: What OpenSSL calls a key that belongs to another certificate.
_MISMATCH: Final = frozenset(
    {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
)


#: What CPython takes by itself (Modules/_ssl.c); the Python of a distribution may take more, as
#: Debian's does: ciphers without forward secrecy, and CBC with SHA-1.
_CIPHERS: Final = (
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
)


def server_context(
    certificate: str | os.PathLike[str],
    key: str | os.PathLike[str] | None = None,
    key_password: str | None = None,
) -> ssl.SSLContext:
    """What a server needs for TLS: 1.2 at least, the ciphers that CPython takes for good.

    Args:
        certificate: a PEM file with the server's certificate, and then those between it and the
            root.
        key: a PEM file with its private key; None: it stands in the file of the certificate.
        key_password: of the key, if it is encrypted.

    Raises:
        OSError: a file can't be read; `filename` says which.
        ValueError: there is no certificate or no key in it, the two don't belong together, or the
            password is wrong. The text names the file and tells nothing of what is in it.
    """
    key = certificate if key is None else key
    pem, secret = Path(certificate).read_bytes(), Path(key).read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{os.fspath(certificate)}: there is no certificate (PEM) in it")
    if b"PRIVATE KEY-----" not in secret:
        raise ValueError(f"{os.fspath(key)}: there is no private key (PEM) in it")

    def password() -> str:
        # without it OpenSSL would ask at the terminal
        if key_password is None:
            raise ValueError(
                f"{os.fspath(key)}: the private key is encrypted, and needs a password"
            )
        return key_password

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION  # which costs a server more than its client
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        raise _explained(error, pem, os.fspath(certificate), os.fspath(key)) from None
    return context


def _explained(error: ssl.SSLError, pem: bytes, certificate: str, key: str) -> ValueError:
    """OpenSSL says little, and not of which file."""
    if error.reason in _MISMATCH:
        return ValueError(f"{key}: this is not the key of the certificate in {certificate}")
    if error.reason:
        return ValueError(f"{certificate}: OpenSSL refuses it: {error.reason}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=pem.decode("latin-1"))
    except (ssl.SSLError, ValueError):
        return ValueError(f"{certificate}: the certificate is damaged")
    return ValueError(f"{key}: the password is wrong, or the private key is damaged")


def _read_less(transport: asyncio.Transport) -> None:
    """asyncio gives each TLS connection 256 KiB to read into, for all of its life: four times as
    much as all else that an idle one holds. Its size can be told to nobody but the object."""
    tls = transport.get_protocol()
    if isinstance(tls, SSLProtocol):
        buffer = bytearray(READ)
        vars(tls).update(max_size=READ, _ssl_buffer=buffer, _ssl_buffer_view=memoryview(buffer))


class TLSDoor(asyncio.Protocol):
    """A connection up to the end of its TLS handshake; `GuardedHTTP` has it from there.

    The arguments but the first are those that uvicorn gives to its own HTTP protocols.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._context = context
        self._for_http = (config, server_state, app_state, _loop)
        self._peers = server_state.connections
        self._runner: Runner = app_state[STATE_KEY]
        self._transport: asyncio.Transport | None = None
        #: asyncio keeps no task alive
        self._handshake: asyncio.Task[None] | None = None
        #: what came together with the end of the handshake
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer has connected: its handshake may begin."""
        self._transport = transport
        address = host_of(transport)
        if not self._runner.enter(address):
            self._runner.held.turn_away(transport)
            return
        transport.pause_reading()  # until TLS reads
        self._peers.add(self)  # type: ignore[arg-type]  # as uvicorn's own protocols do
        loop = asyncio.get_running_loop()
        self._handshake = loop.create_task(self._open(transport, address))
        loop.call_soon(_read_less, transport)  # once `start_tls` has begun

    def data_received(self, data: bytes) -> None:
        """Inside of TLS already."""
        self._early.append(data)

    def shutdown(self) -> None:
        """uvicorn goes down: there is nothing to finish yet."""
        assert self._transport is not None
        self._transport.abort()

    async def _open(self, transport: asyncio.Transport, address: str) -> None:
        limits = self._runner.config
        inside: asyncio.Transport | None = None
        try:
            with contextlib.suppress(OSError):  # no TLS, too old, too slow, or gone
                inside = await asyncio.get_running_loop().start_tls(
                    transport,
                    self,
                    self._context,
                    server_side=True,
                    ssl_handshake_timeout=limits.handshake_timeout,
                    ssl_shutdown_timeout=limits.close_timeout,
                )
        finally:
            self._peers.discard(self)
            if inside is None:  # also if the connection was aborted meanwhile
                transport.abort()
                self._runner.doors.leave(address)
        if inside is not None:
            http = GuardedHTTP(*self._for_http, counted=address)
            inside.set_protocol(http)
            http.connection_made(inside)
            for data in self._early:
                http.data_received(data)
