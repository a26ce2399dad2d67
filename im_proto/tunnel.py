"""A tunnel through an HTTP proxy (RFC 9110 section 9.3.6): CONNECT, and its answer.

The proxy sees host and port of the server and the proxy's own credentials; never a token.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit

import h11

from im_proto.handshake import Heads, Refused, parse, plain
from im_proto.limits import FrameLimits

__all__ = ["Tunnel"]


class Tunnel:
    """One CONNECT and its answer, bounded as a handshake is.

    Args:
        proxy: "http://[user:password@]host[:port]".
        host: of the server behind it.
        port: of the server behind it.
    """

    def __init__(self, proxy: str, host: str, port: int) -> None:
        parts = urlsplit(proxy)
        self.proxy_host = parts.hostname or ""
        self.proxy_port = parts.port or 80
        self._target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._credentials = ""
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._credentials = base64.b64encode(user.encode()).decode("ascii")
        self._http = h11.Connection(h11.CLIENT)
        #: CONNECT is out
        self.asked = False
        #: the proxy has said yes
        self.open = False
        self._heads = Heads(FrameLimits())

    def request(self) -> bytes:
        """The CONNECT, once."""
        headers = [("Host", self._target)]
        if self._credentials:
            headers.append(("Proxy-Authorization", f"Basic {self._credentials}"))
        self.asked = True
        request = h11.Request(method="CONNECT", target=self._target, headers=headers)
        return self._http.send(request) or b""

    def receive(self, data: bytes) -> bool:
        """Take what the proxy says; True: the tunnel is there, and the server is at its end.

        Raises:
            Refused: the proxy won't, or what it says can't be taken; never in the proxy's words
                but for its reason phrase, made printable.
        """
        if self.open or not self.asked:
            raise Refused(400, "the proxy speaks out of turn")
        self._heads.buffer += data
        while (head := self._heads.next()) is not None:
            answer = parse(self._http, head)
            if isinstance(answer, h11.InformationalResponse):
                continue  # another head follows (RFC 9110 section 15.2)
            if not isinstance(answer, h11.Response):
                raise Refused(400, "the proxy's answer is none")
            if not 200 <= answer.status_code < 300:
                raise Refused(answer.status_code, _refusal(answer))
            if self._heads.buffer:
                # nobody behind the proxy speaks before we have
                raise Refused(400, "the proxy said more than its answer")
            self.open = True
            return True
        return False


def _refusal(answer: h11.Response) -> str:
    status = answer.status_code
    words = f"the proxy answered {status} {plain(answer.reason.decode('latin-1'))}".rstrip()
    if status == 407:
        words += "; give it a user and a password: proxy='http://user:password@host:port'"
    return words
