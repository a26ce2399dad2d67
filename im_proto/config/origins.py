"""The form of origins, hosts and networks in a configuration."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

#: What a browser writes into Origin (RFC 6454 section 6.2), in lower case, without a port that is
#: the scheme's own. Pages in an app or an extension have schemes of their own: "capacitor://…".
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?"
)
_HOST: Final = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")
#: The port that a scheme has where none is written.
OWN_PORTS: Final = {"http": ":80", "https": ":443"}


def check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Is each what a browser would write?

    Raises:
        ValueError: one is not; no page would ever match it.
    """
    for origin in origins:
        found = _ORIGIN.fullmatch(origin)
        if origin != "*" and (found is None or found[3] == OWN_PORTS.get(found[1], "")):
            raise ValueError(
                f"{origin!r} is no origin: https://host, with :port only if it isn't the "
                "scheme's own, in lower case and without a path"
            )
    return origins


def check_hosts(hosts: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Is each a name or an address, without a port?

    Raises:
        ValueError: one is not.
    """
    for host in hosts or ():
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is no host: a name in lower case or an address, no port")
    return hosts


def check_proxies(proxies: tuple[str, ...]) -> tuple[str, ...]:
    """Is each an address or a network?

    Raises:
        ValueError: one is not.
    """
    for proxy in proxies:
        ipaddress.ip_network(proxy)
    return proxies
