"""What every answer tells the browser to forbid, whatever a page of ours may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: A Host as it may be put into a policy; of an address of IPv6 the grammar knows nothing.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?")
#: `connect-src` is put in by `security`. Vue makes the one policy for trusted types.
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "media-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types vue",
)
_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
}


def security(connect: Iterable[str] = ()) -> dict[str, str]:
    """The headers of a page of ours and of all that belongs to it.

    Args:
        connect: what the page may connect to beside its own origin.
    """
    allowed = " ".join(("connect-src 'self'", *connect))
    return {
        **_ALWAYS,
        "content-security-policy": "; ".join((*_POLICY, allowed)),
        "cross-origin-resource-policy": "same-origin",
    }


def library() -> dict[str, str]:
    """Those of what pages of other sites may load: it holds nothing of anybody's."""
    return {
        **security(),
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
    }


def websockets_of(host: str) -> tuple[str, ...]:
    """The WebSockets of the host that was asked, which older Safari doesn't count as 'self'. The
    server can't know whether a proxy before it speaks TLS."""
    return (f"ws://{host}", f"wss://{host}") if _NAME.fullmatch(host) else ()
