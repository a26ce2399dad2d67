"""TLS between a test's server and its clients: a certificate that nobody else trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

#: For localhost, with its key.
CERTIFICATE = Path(__file__).parent / "certs" / "localhost.pem"


def server_tls() -> ssl.SSLContext:
    """What a server needs for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def trusting() -> ssl.SSLContext:
    """What a client needs to trust that server."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))
