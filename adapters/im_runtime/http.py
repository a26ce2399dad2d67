"""HTTP calls for any client: each in a thread of its own, on a connection of its own, with httpx.

No redirect is followed, no proxy or certificate comes from the environment, no cookie is kept, and
an answer is read only as far as the engine wants it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from im_proto.client.actions import CallHttp
from im_proto.client.inputs import HttpAnswered, HttpFailed

from .net import words

#: A server can't send a client away for longer than this, in seconds.
_LONGEST_RETRY: Final = 86_400
#: After one of these there is a socket; TLS comes later, on the same.
_CONNECTED: Final = ("connect_tcp.complete", "connect_unix_socket.complete")


def check_httpx() -> None:
    """Can HTTP calls be made?

    Raises:
        ModuleNotFoundError: httpx is not installed; the text says how to get it.
    """
    if importlib.util.find_spec("httpx") is None:
        raise ModuleNotFoundError(
            'sessions over HTTP need httpx: pip install "im-proto[http]"', name="httpx"
        )


class HttpCalls:
    """Carries out CallHttp and CancelHttp.

    Args:
        tls: gives the TLS context, the one of the WebSocket; called in another thread, for https.
        answer: takes the answer, in another thread; not called for what was cancelled.
    """

    def __init__(
        self,
        *,
        tls: Callable[[], ssl.SSLContext],
        answer: Callable[[HttpAnswered | HttpFailed], None],
    ) -> None:
        self._tls = tls
        self._answer = answer
        self._running: dict[int, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, call: CallHttp) -> None:
        """Make a call; it has its end when `ended` says so."""
        running = self._running[call.request] = _Running(call, self._tls, self._answer)
        try:
            check_httpx()  # what was to go over a connection may have lost it
            # Not of a pool: it may hang in a look-up, and must not hold up the end of the program.
            threading.Thread(target=running.run, name="im_http", daemon=True).start()
        # RuntimeError: too many threads, or the program is about to end
        except (ModuleNotFoundError, RuntimeError) as exc:
            self._answer(HttpFailed(request=call.request, reason=words(exc)))

    def ended(self, request: int) -> bool:
        """The answer is there; False if nobody waits for it any more."""
        return self._running.pop(request, None) is not None

    def cancel(self, request: int) -> None:
        """Nobody waits for it; its connection ends, and its thread soon after."""
        running = self._running.pop(request, None)
        if running is not None:
            running.cancel()

    def cancel_all(self) -> None:
        """Nobody waits for any."""
        for request in list(self._running):
            self.cancel(request)


class _Running:
    """One call."""

    def __init__(
        self,
        call: CallHttp,
        tls: Callable[[], ssl.SSLContext],
        answer: Callable[[HttpAnswered | HttpFailed], None],
    ) -> None:
        self._call = call
        self._tls = tls
        self._answer = answer
        self._lock = threading.Lock()
        self._cancelled = False
        #: the connection under another name, for whoever cancels: httpx may wrap or close its own
        self._socket: socket.socket | None = None

    def cancel(self) -> None:
        """Wake up the thread, wherever it waits for the connection."""
        with self._lock:
            self._cancelled = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Make the call and tell its answer."""
        try:
            answer = self._perform()
        finally:
            with self._lock:
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
        if not self._cancelled:
            self._answer(answer)

    def _perform(self) -> HttpAnswered | HttpFailed:
        import httpx

        call = self._call
        try:
            secure = call.url.startswith("https:")
            # httpx wants a context for http as well: this one trusts nobody
            tls = self._tls() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            transport = httpx.HTTPTransport(
                verify=tls, trust_env=False, proxy=call.proxy, uds=call.unix_path
            )
            with (
                httpx.Client(
                    transport=transport, trust_env=False, follow_redirects=False
                ) as client,
                client.stream(
                    call.method,
                    call.url,
                    headers=list(call.headers),
                    content=call.body or None,
                    timeout=call.timeout,
                    extensions={"trace": self._trace},
                ) as response,
            ):
                body = bytearray()
                for chunk in response.iter_raw():  # as it came: nothing is inflated
                    body += chunk
                    if len(body) > call.limit:
                        break
                return HttpAnswered(
                    request=call.request,
                    status=response.status_code,
                    body=bytes(body[: call.limit + 1]),
                    retry_after=_retry_after(response.headers),
                )
        except Exception as exc:
            # The text of the rest may quote a header of ours, or whatever the peer has sent.
            told = isinstance(exc, httpx.NetworkError | httpx.TimeoutException)
            reason = words(exc) if told else type(exc).__name__
            return HttpFailed(request=call.request, reason=reason)

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        """httpx says what it does."""
        if not name.endswith(_CONNECTED):
            return
        with self._lock:
            self._socket = info["return_value"].get_extra_info("socket").dup()
        if self._cancelled:
            self.cancel()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    given = headers.get("retry-after", "")
    if not (given.isascii() and given.isdigit()):
        return None
    return float(min(int(given[:20]), _LONGEST_RETRY))
