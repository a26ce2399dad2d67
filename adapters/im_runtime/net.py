"""Opening a transport, as far as no event loop is in it: addresses, TLS, and why it failed."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, Final, TypeAlias

from im_proto.client.inputs import TransportFailure
from im_proto.errors import printable

#: RFC 8305 section 5: how long one address may take before the next is tried as well, in seconds.
STAGGER: Final = 0.25

#: What getaddrinfo gives: family, type, protocol, canonical name, address.
Address: TypeAlias = tuple[int, int, int, str, Any]


def known_address(host: str, port: int) -> Address | None:
    """The address, if it is an IPv4 one already and nothing has to be looked up."""
    with contextlib.suppress(ValueError):
        if isinstance(ipaddress.ip_address(host), ipaddress.IPv4Address):
            return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
    return None


def lookup_flags(host: str) -> int:
    """Flags for getaddrinfo: what is an address is not asked for in the network."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return int(socket.AI_NUMERICHOST)
    return 0


def in_turn(addresses: Iterable[Address]) -> list[Address]:
    """IPv6 and IPv4 in turn, the first stays first (RFC 8305 section 4).

    Raises:
        socket.gaierror: there is none.
    """
    found = list(addresses)
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
    first = found[0][0]
    pairs = zip_longest(
        [address for address in found if address[0] == first],
        [address for address in found if address[0] != first],
    )
    return [address for address in chain.from_iterable(pairs) if address is not None]


def joined(errors: list[OSError]) -> OSError:
    """What the attempts at all addresses came to: the error, if they agree."""
    if len({(type(error), error.errno) for error in errors}) == 1:
        return errors[0]
    return OSError("; ".join(str(error) for error in errors))


def default_tls() -> ssl.SSLContext:
    """The system's certificates, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def words(exc: BaseException) -> str:
    """An exception in one printable line."""
    text = printable(str(exc))
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def failure(exc: Exception) -> tuple[TransportFailure, str]:
    """Why a transport could not be opened, as the engine wants to know it, and in words."""
    reason = words(exc)
    if isinstance(exc, socket.gaierror | UnicodeError):
        return TransportFailure.DNS, reason
    if isinstance(exc, ssl.SSLError):
        return TransportFailure.TLS, reason
    if isinstance(exc, ConnectionRefusedError):
        return TransportFailure.REFUSED, reason
    if isinstance(exc, TimeoutError):
        return TransportFailure.TIMEOUT, reason
    return TransportFailure.OTHER, reason
