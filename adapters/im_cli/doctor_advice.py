"""What helps, for each thing that the doctor finds wrong."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

from im_proto.wire import Outcome, outcome

__all__ = ["of_close", "of_code", "of_connect", "of_resolve", "of_status", "of_tls"]

_STATUS: Final = {
    200: "a web page answers here: is the path right? im serve has its WebSocket at /ws",
    400: "a proxy in between may not pass the headers Upgrade and Connection on",
    401: "something in front of the server wants a log-in of its own",
    403: "the server's check of Origin and Host: is the name in this URL one of its `hosts`? With "
    "--dev only localhost is",
    404: "there is a server, but no WebSocket at this path: im serve has it at /ws (setting path)",
    426: "a proxy in between may not pass the headers Upgrade and Connection on",
    429: "too many requests: wait, then try again",
    431: "a proxy in between wants shorter headers",
    502: "the proxy in front doesn't reach the server: is it running? does the proxy use the right "
    "port, and http:// or https:// as the server has it?",
    503: "the server is full, or goes down: try again later",
    504: "the proxy in front gets no answer from the server",
}
_REDIRECT: Final = "nothing is followed: give the address that it names, with ws:// or wss://"
_CLOSE: Final = {
    1008: "the server refuses what was sent: is it one of ours, of the same version?",
    1012: "the server restarts: try again",
    1013: "the server is overloaded: try again later",
    4001: "the log-in was refused: is the token for this server?",
    4002: "the server waited for the log-in in vain",
    4003: "the token has expired or was revoked: get a new one",
    4009: "this user has too many connections, or sends too fast: close some, wait, try again",
}
#: Of OpenSSL, x509_vfy.h.
_VERIFY: Final = {
    9: "the certificate is not good yet: is the clock of this machine right?",
    10: "renew the server's certificate; is the clock of this machine right?",
    18: "nobody vouches for this certificate: give the server one of a known authority, or trust "
    "it here with --ca FILE",
    19: "its authority is not known here: --ca FILE trusts it",
    20: "the server must send the certificates between its own and the root too (fullchain.pem); "
    "or its authority is not known here: --ca FILE trusts it",
    21: "the server must send the certificates between its own and the root too (fullchain.pem)",
    23: "the certificate was revoked: get a new one",
    62: "use a name that the certificate is for, or get one for this name",
    64: "use a name that the certificate is for: this one has no such address",
}


def of_status(status: int) -> str:
    """An HTTP status in answer to the upgrade."""
    if 300 <= status < 400:
        return _REDIRECT
    return _STATUS.get(status, "the server, or a proxy in front of it, failed: see its log")


def of_close(code: int) -> str:
    """A close code."""
    return _CLOSE.get(code, "see the server's log")


def of_code(code: int, words: str) -> str:
    """The code of an AUTH_RESPONSE."""
    if "--dev" in words:
        return "leave --token and --secret out, or start the server with --secret-file"
    if "another user" in words:
        return "--user names somebody else than the token does"
    if outcome(code) is Outcome.AUTH:
        return (
            "sign one with the server's secret: im token USER; a server with --dev takes dev:USER"
        )
    if outcome(code) is Outcome.SERVER_ERROR:
        return "the server failed: see its log, try again later"
    return "a strict server may not like what im-proto adds: try --plain"


def of_resolve(error: Exception) -> str:
    """A name without an address."""
    if isinstance(error, TimeoutError):
        return "the name server doesn't answer: is there a network?"
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return "is the name spelled right? does it exist in the DNS that this machine asks?"
    return "is there a network? is the name spelled right?"


def of_connect(error: OSError) -> str:
    """An address that can't be connected to."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: is the server running (im serve), at this port?"
    if isinstance(error, TimeoutError):
        return "no answer at all: a firewall in between, or the wrong address"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "there is no way to that address from here"
    return "is the address right?"


def of_tls(error: Exception) -> str:
    """A handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, "clients will refuse it too")
    reason = getattr(error, "reason", "") or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "there is no TLS at this port: ws:// instead of wss://, or another port"
    if "PROTOCOL" in reason or "VERSION" in reason:
        return "the server must speak TLS 1.2 or 1.3"
    if isinstance(error, TimeoutError):
        return "it takes connections and says nothing: no TLS at this port, or a server that hangs"
    return "is there TLS at this port? else ws:// instead of wss://"
