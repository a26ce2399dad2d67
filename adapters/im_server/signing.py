"""The signature of a webhook: made by the server, checked by whoever receives it."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

#: `IM-Signature: t=1700000000,v1=<64 hex digits>`
SIGNATURE_HEADER: Final = "IM-Signature"
#: Digits of a time that is none of ours.
_MAX_DIGITS: Final = 12


class SignatureError(ValueError):
    """A request is not from our server, or is an old one that somebody sends again."""


def sign(secret: str, body: bytes, at: int) -> str:
    """The header for a body that is sent `at`, in seconds since 1970."""
    return f"t={at},v1={_digest(secret, body, at)}"


def verify_webhook(
    secret: str, header: str, body: bytes, tolerance: float = 300.0, *, now: float | None = None
) -> None:
    """Check the signature of a webhook.

    Args:
        secret: what the server signs with.
        header: the value of `IM-Signature`; "" if there was none.
        body: of the request, byte by byte as it came.
        tolerance: seconds that the clocks may differ, and that a request may have taken.
        now: seconds since 1970; None: now.

    Raises:
        SignatureError: don't believe it.
    """
    if not secret:
        raise ValueError("the secret is empty")
    at: int | None = None
    given = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            at = int(value)
        elif name == "v1":
            # as bytes: of texts only ASCII can be compared in constant time, and any may come
            given.append(value.encode(errors="replace"))
    if at is None or not given:
        raise SignatureError(f"there is no {SIGNATURE_HEADER} in the form t=…,v1=…")
    expected = _digest(secret, body, at).encode()
    if not any(hmac.compare_digest(expected, one) for one in given):
        raise SignatureError("the signature is not of this body and this secret")
    if abs((time.time() if now is None else now) - at) > tolerance:
        raise SignatureError(f"it was signed more than {tolerance:g} s from now")


def _digest(secret: str, body: bytes, at: int) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
