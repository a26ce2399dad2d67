"""Who may ask for a WebSocket, by what its upgrade request says: pages of which sites, under which
names of ours, and from which address the request really comes.

Pure functions of the request's headers. Only a browser's headers prove anything: a browser lets no
page choose Origin and Host, while any other program writes there what it likes. So this protects
users from the pages that they visit (cross-site WebSocket hijacking, RFC 6455 section 10.2), not
the server from other programs; those have to log in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from ..config import ServerConfig
from ..config.origins import OWN_PORTS

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Of X-Forwarded-For, so many addresses from the right are looked at: no chain of proxies is so
#: long, and whoever writes more only makes work.
_LONGEST_CHAIN: Final = 16
#: An address of X-Forwarded-For; some proxies add the port: "192.0.2.1:80", "[2001:db8::1]:80".
_SAID: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)"
)


def upgrade_refusal(
    config: ServerConfig, target: str, host: str | None, origin: str | None
) -> tuple[int, str] | None:
    """How an upgrade request with this target and these headers is refused, as an HTTP status and
    a reason; None: it is not. See `refusal`."""
    if target.partition("?")[0] != config.path:
        return 404, f"no WebSocket at this path; it is at {config.path}"
    reason = refusal(config, host, origin)
    # also for a wrong Host: of 421 many clients would try again, which doesn't help
    return None if reason is None else (403, reason)


def refusal(config: ServerConfig, host: str | None, origin: str | None) -> str | None:
    """Why a request with these headers is refused; None: it is not.

    Hosts: if `config.hosts` is set, the name in `host`, without its port, must be one of them. A
    page that has its own name resolve to this server (DNS rebinding) still asks under that name.

    Origins (RFC 6454 section 7, RFC 6455 section 4.2.2):

    - None passes: what sends no Origin is no browser.
    - "null" is refused, also with "*": a page that hides its origin (a sandboxed frame, a file)
      can be anybody's, and no list can name it.
    - What is in `config.origins` passes, and anything if "*" is.
    - A page of the server itself passes: its host and port are those of `host`. The scheme's own
      port, 80 or 443, is the same as none. Whether a page came by http or https is not compared:
      behind a proxy that ends TLS the server doesn't know which of the two it is.
    - Anything else is refused, so several origins in one header, one with a path, or none in it.

    Upper and lower case are the same, as in all names and schemes (RFC 3986 section 6.2.2).

    Args:
        config: `hosts` and `origins`.
        host: the Host header.
        origin: the Origin header; None: there was none.
    """
    host = _folded(host or "")
    if config.hosts is not None and _without_port(host) not in config.hosts:
        return "the server is not asked for by this name (Host)"
    if origin is None:
        return None
    origin = _folded(origin)
    if origin == "null":
        return "a page that hides its origin may not connect"
    if "*" in config.origins or origin in config.origins or _own(origin, host):
        return None
    return "a page of another site may not connect (Origin)"


def _folded(text: str) -> str:
    """In lower case. What is not ASCII is no name as a browser writes it, and some of it becomes
    ASCII in lower case."""
    return text.lower() if text.isascii() else ""


def _own(origin: str, host: str) -> bool:
    """Is this origin the place that was asked?"""
    scheme, _, place = origin.partition("://")
    port = OWN_PORTS.get(scheme)
    if port is None:  # pages in an app or an extension are not ours
        return False
    place = place.removesuffix(port)
    return bool(place) and place == host.removesuffix(port)


def _without_port(host: str) -> str:
    """ "[::1]:80" is "[::1]"; what is no host stays what it is, and is in no list."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def forwarded(values: Sequence[str]) -> tuple[str, ...]:
    """The last addresses that X-Forwarded-For names, in its order.

    Args:
        values: of each such header, in the order in which they stand in the request; together they
            are one list (RFC 9110 section 5.3).
    """
    if not values:
        return ()
    parts = ",".join(values).rsplit(",", _LONGEST_CHAIN)[-_LONGEST_CHAIN:]
    return tuple(part.strip() for part in parts)


def networks(proxies: Iterable[str]) -> tuple[Network, ...]:
    """Those of `ServerConfig.trusted_proxies`, for `real_address`."""
    return tuple(map(ipaddress.ip_network, proxies))


def real_address(peer: str, chain: Sequence[str], proxies: Sequence[Network]) -> str:
    """Where a request comes from: the nearest address that is no proxy of ours.

    Each proxy adds, at the right, the address that it was asked from. So the list is true from the
    right up to the first address that isn't trusted; all before that its sender may have made up.
    If it names something else than an address there, the last proxy that is known is the answer,
    and the leftmost one if all of them are ours.

    Args:
        peer: the transport's peer. The list is believed only if it is one of the proxies.
        chain: what `forwarded` has found.
        proxies: those that are trusted.

    Returns:
        An address in its shortest form, IPv4 also where IPv6 maps it; `peer` as it is if that is
        none, as of a local socket.
    """
    if not proxies and _is_plain(peer):
        return peer
    address = _parsed(peer)
    if address is None:
        return peer
    for said in reversed(chain):
        if not any(address in network for network in proxies):
            break
        found = _SAID.fullmatch(said)
        before = _parsed(found[1] or found[2] or found[3]) if found else None
        if before is None:
            break
        address = before
    return str(address)


def place(address: str, proxies: Sequence[Network]) -> str | None:
    """What counts as one address: of IPv6 a network of 64 bits, since whoever has one address
    there has all of them; of IPv4 the address itself, also where IPv6 maps it ("::ffff:192.0.2.1").
    What is no address stays as it is. None: it counts as none, as it is empty (a local socket) or
    stands for many (one of the proxies).
    """
    if not proxies and _is_plain(address):
        return address or None
    parsed = _parsed(address)
    if parsed is None:
        return address or None
    if any(parsed in network for network in proxies):
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _is_plain(text: str) -> bool:
    """Does it stay as it is? These are asked eight times of each connection: of IPv4 there is one
    form, and what is no address stays too."""
    return ":" not in text and "%" not in text


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # without the zone of a local one
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
