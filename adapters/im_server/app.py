"""`IMServer`: the server as one object, inside of another application or as a process."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp

from im_proto.config import ServerConfig
from im_proto.server import inputs as inp
from im_proto.wire import UserId, check_content, codes, user_id

from . import admin, http
from .answers import RefusedError
from .asgi import DEAD_AFTER, WebSocketApp
from .guarded import GuardedHTTP
from .runner import Runner
from .site import AuthorizeSend, OnMessage, Site
from .store import Durability, Store
from .tls import TLSDoor, server_context
from .tokens import Authenticate, DevAuthenticator
from .webhooks import Webhook, Webhooks
from .websocket import STATE_KEY, IMProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that `IMServer.send` has sent: it is on disk. `timestamp`: accepted at, in
    milliseconds since 1970."""

    msg_id: int
    timestamp: int
    session_id: int | None


class IMServer:
    """A chat server: mounted in an ASGI application (`asgi`, `lifespan`), or by itself (`run`).

    A function given here that is async runs in the event loop; any other in a thread, where it
    may block.

    Args:
        store: `sqlite:///PATH`, or a `Store`; one server at a time uses a file.
        authenticate: who checks tokens: a function from a token to an `Identity`, or an object
            such as `JWTAuthenticator(secret)`. It raises TokenRefusedError.
        authorize_send: may the first user write to the second, and begin a session with them?
            Everybody may if None. What it says is believed for `config.authorization_kept`
            seconds; if it raises, or takes longer than `config.auth_timeout`, the sender is asked
            to come again.
        on_message: is called with each `StoredMessage`, in order, after it is on disk and outside
            of its way: nothing waits for it, and what it raises is logged. A killed server has
            lost the calls that were still to come; webhooks have not.
        on_offline: … with each whose recipient has no device here, after `on_message`.
        webhooks: where new messages are posted to.
        durability: "power": an acknowledged message survives a power cut; "process": it survives
            a killed process, the last moments may be lost at a power cut.
        config: limits and timeouts of the engine.
        page: serve the chat's page at `/` too (docs/how-to/the-page.md).

    Raises:
        StoreError: the URL of the store is none that we can use.
        ValueError: two webhooks have one name.
        ModuleNotFoundError: webhooks need httpx, which is not installed.
    """

    def __init__(
        self,
        *,
        store: str | Store,
        authenticate: Authenticate,
        authorize_send: AuthorizeSend | None = None,
        on_message: OnMessage | None = None,
        on_offline: OnMessage | None = None,
        webhooks: Sequence[Webhook] = (),
        durability: Durability = "power",
        config: ServerConfig | None = None,
        page: bool = False,
    ) -> None:
        self.config = config or ServerConfig()
        self._page = page
        self._dev = isinstance(authenticate, DevAuthenticator)
        kept = Store(store, durability) if isinstance(store, str) else store
        site = Site(authenticate, authorize_send, on_message, on_offline, Webhooks(webhooks))
        self.runner = Runner(self.config, kept, site)

    # ------------------------------------------------------------ inside of an application

    def asgi(self, *, dead_after: float | None = DEAD_AFTER) -> Starlette:
        """The WebSocket and the HTTP calls as an ASGI application, to be mounted in another one.

        Its lifespan starts and stops the server if it stands alone. A mounted application's
        lifespan is run by nobody: give `lifespan` to the outer one.

        Args:
            dead_after: seconds after which the ASGI server has dropped a peer that answers no
                ping, for uvicorn its `ws_ping_interval` + `ws_ping_timeout` and some more; None
                if it doesn't ping. Plain clients depend on it (docs/how-to/embed-the-server.md).

        Raises:
            im_web.NotBuiltError: the page is wanted, and this is a source tree without it.
        """
        return Starlette(
            routes=[
                WebSocketRoute(self.config.path, WebSocketApp(self.runner, dead_after)),
                *http.routes(self.runner),
                *admin.routes(self.runner),
                *self._page_routes(),
            ],
            lifespan=self.lifespan,
        )

    def _page_routes(self) -> list[BaseRoute]:
        if not self._page:
            return []
        import im_web  # some MB that a server without a page does without

        return im_web.routes(self.config, dev=self._dev)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Runs the server: `FastAPI(lifespan=server.lifespan)`, or inside of your own lifespan
        `async with server.lifespan(app): …`.

        Raises:
            StoreError: the store can't be used; says why and what helps.
        """
        await self.runner.start()
        try:
            yield
        finally:
            await self.runner.stop()

    # ------------------------------------------------------------ from a request handler

    async def send(
        self,
        to_user: UserId,
        content: str,
        *,
        from_user: UserId,
        session_id: int | None = None,
        message_type: str = "text",
        msg_id: int | None = None,
    ) -> Sent:
        """Send a message as a user; returns when it is on disk.

        `authorize_send` is not asked: it is your own message.

        Args:
            to_user: who gets it.
            content: what it says.
            from_user: who it is from.
            session_id: the session it goes into; None: the one without a book that the two share.
            message_type: e.g. "text".
            msg_id: the same one with the same recipient and content is stored once, so that you
                may try again; None draws a new one.

        Raises:
            RefusedError: it can't be sent, now or ever; `code` says which.
            ValueError: a user id or the content is none.
            RuntimeError: called from another event loop, or the server isn't started.
        """
        sender, recipient = user_id(from_user), user_id(to_user)
        check_content(content, self.config.content_units)
        answered = await self.runner.ask(
            lambda request: inp.SendAsked(
                request=request,
                from_user=sender,
                to_user=recipient,
                content=content,
                message_type=message_type,
                session_id=session_id,
                msg_id=msg_id,
            )
        )
        if answered.code != codes.OK:
            raise RefusedError(answered.code, answered.text)
        data: Mapping[str, Any] = answered.data
        return Sent(
            msg_id=int(data["msgId"]), timestamp=data["timestamp"], session_id=data["sessionId"]
        )

    async def call(self, user: UserId, op: str, params: Mapping[str, Any]) -> Any:
        """Make a call of docs/protocol.md section 3 as a user: `create`, `get`, `startChat`,
        `getCurrent` or `history`; returns its data. `authorize_send` is not asked.

        Raises:
            RefusedError: there is no such session for that user, or the parameters are wrong.
            RuntimeError: called from another event loop, or the server isn't started.
        """
        answered = await http.call(self.runner, user_id(user), op, params, trusted=True)
        if answered.code != codes.OK:
            raise RefusedError(answered.code, answered.text)
        return answered.data

    async def kick(
        self,
        user: UserId,
        device: str | None = None,
        *,
        reason: str = "kicked",
        reconnect: bool = False,
        retry_after: float | None = None,
    ) -> int:
        """End the connections of a user, or of one of its devices.

        Args:
            user: who.
            device: None: all devices.
            reason: is told to the client.
            reconnect: may the client come back by itself? It may log in anyway while its token is
                good: to keep somebody out, `revoke`.
            retry_after: seconds after which it may.

        Returns:
            How many connections were ended.

        Raises:
            RuntimeError: called from another event loop, or the server isn't started.
        """
        return self.runner.kick(
            inp.KickAsked(
                user=user_id(user),
                device=device,
                reason=reason,
                reconnect=reconnect,
                retry_after=retry_after,
            )
        )

    async def revoke(self, user: UserId) -> int:
        """Refuse all tokens of a user that were made by now, and end the connections; returns when
        it is on disk.

        Tokens that are made later are good; a client that has a function for its token gets one
        and goes on. A token that does not say when it was made (`Identity.issued_at`, `iat`) is
        refused for ever.

        Returns:
            How many connections were ended.

        Raises:
            RefusedError: it is not on disk: until the server starts again it holds all the same.
                Try again.
            ValueError: the user id is none.
            RuntimeError: called from another event loop, or the server isn't started.
        """
        answered = await self.runner.revoke(user_id(user))
        if answered.code != codes.OK:
            raise RefusedError(answered.code, answered.text)
        data: Mapping[str, Any] = answered.data
        return int(data["ended"])

    @overload
    def online(self) -> dict[UserId, int]: ...
    @overload
    def online(self, user: UserId) -> int: ...
    def online(self, user: UserId | None = None) -> dict[UserId, int] | int:
        """Who is logged in here, with how many connections; or how many this user has."""
        online = self.runner.online()
        return online if user is None else online.get(user_id(user), 0)

    # ------------------------------------------------------------ by itself

    def run(
        self,
        app: ASGIApp | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        tls_certificate: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        tls_key_password: str | None = None,
        ready: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Serve until SIGTERM or SIGINT, then go down in good order.

        Args:
            app: your application, e.g. a FastAPI with `asgi()` mounted in it. The chat's WebSocket
                at `config.path` is served without it, past its middleware; everything else,
                its own WebSockets too, is its own. None: `asgi()`.
            host: the address to listen on.
            port: 0 takes a free one.
            tls_certificate: a PEM file with the server's certificate and those between it and the
                root: the port then speaks TLS, 1.2 at least, and nothing else. None: plain text,
                for this machine and behind a proxy that ends TLS.
            tls_key: a PEM file with its private key; None: it is in the file of the certificate.
            tls_key_password: of the key, if it is encrypted.
            ready: called with `http://host:port`, with TLS `https://…`, once connections are
                accepted.

        Raises:
            OSError: the address can't be listened on, or a file can't be read: `filename` says
                which.
            ValueError: certificate and key can't be used. Says which file, and nothing of what is
                in it.
            StoreError: the store can't be used.
        """
        tls = None
        if tls_certificate is not None:
            tls = server_context(tls_certificate, tls_key, tls_key_password)
        elif tls_key is not None or tls_key_password is not None:
            raise ValueError("a TLS key needs its certificate: tls_certificate")
        with listen(host, port) as sock:
            self.runner.open_store()
            url = url_of(sock, tls=tls is not None)
            server = _Server(self._uvicorn_config(app, tls), self.runner, url, ready)
            server.run(sockets=[sock])

    def _uvicorn_config(
        self, app: ASGIApp | None = None, tls: ssl.SSLContext | None = None
    ) -> uvicorn.Config:
        proxies = list(self.config.trusted_proxies)
        http: Any = GuardedHTTP if tls is None else functools.partial(TLSDoor, tls)
        return uvicorn.Config(
            app or self.asgi(),
            http=http,
            # for a site's own pages; uvicorn would trust every program of this machine
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            ws=IMProtocol if app is None else "auto",
            lifespan="on" if app is None else "auto",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=int(
                self.config.drain_timeout + self.config.close_timeout + 1
            ),
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the address is in use, not ours, or not known.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=2048)


def url_of(sock: socket.socket, *, tls: bool = False) -> str:
    """The http:// address that a listening socket is reached at, with TLS https://."""
    host, port = sock.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"http{'s' if tls else ''}://{name}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, that says when it is ready, and ends with 0 after a signal."""

    def __init__(
        self, config: uvicorn.Config, runner: Runner, url: str, ready: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._runner = runner
        self._url = url
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._runner.start()  # whatever the application's lifespan does
        self.lifespan.state[STATE_KEY] = self._runner
        await super().startup(sockets)
        if self.started:
            self._ready(self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._runner.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal once more when it is done, so a graceful end would not be 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGBREAK"):
            signals.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
