"""The routes of the page that a server shows, and of what other sites load from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from im_proto.config import ServerConfig
from im_proto.server.origins import refusal

from .files import BUILT, File, answer, read
from .headers import library, security, websockets_of

INDEX: Final = "index.html"
_LIBRARY: Final = "lib/"
#: Whom a developer can be at once; `dev:1` is the token of the first.
_DEV_USERS: Final = (
    {"id": 1, "name": "Alice"},
    {"id": 2, "name": "Bob"},
    {"id": 3, "name": "Carol"},
    {"id": 4, "name": "小明"},
)


def routes(config: ServerConfig, *, dev: bool = False) -> list[BaseRoute]:
    """The page at `/`, with all that it needs.

    Args:
        config: of the server: where its WebSocket is, and under which names (`hosts`) it answers.
        dev: `dev:USER` is a token: the page offers some users to be.

    Raises:
        NotBuiltError: the page is not built.
    """
    page = read(BUILT / "page")
    files = {**page, **{f"{_LIBRARY}{name}": f for name, f in read(BUILT / "lib").items()}}
    served = _Served(config, files, dev)
    tops = ["", *(name for name in page if "/" not in name and name != INDEX)]
    # routes of their own, and not one for all: what is no file here stays what it was
    return [
        Route("/im/page.json", served),
        *(Route(f"/{name}", served) for name in tops),
        *(Route(f"/{part}/{{_:path}}", served) for part in ("assets", "lib")),
    ]


class _Served:
    """All of it, as an ASGI application behind its routes."""

    def __init__(self, config: ServerConfig, files: Mapping[str, File], dev: bool) -> None:
        self._config = config
        self._files = files
        self._dev = dev

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(Request(scope, receive))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path, root = request.scope["path"], request.scope.get("root_path", "")
        name = path.removeprefix(root).removeprefix("/") or INDEX
        host = request.headers.get("host", "")
        elsewhere = refusal(self._config, host, None)
        if elsewhere is not None:
            return Response(elsewhere, 403, security(), "text/plain")
        loadable = name.startswith(_LIBRARY)
        headers = library() if loadable else security(websockets_of(host))
        if request.method not in ("GET", "HEAD"):
            return Response("read it", 405, {**headers, "allow": "GET, HEAD"}, "text/plain")
        if name == "im/page.json":
            return self._told(root, headers)
        if name in self._files:
            return answer(self._files[name], request, headers)
        return Response("there is no such file", 404, headers, "text/plain")

    def _told(self, root: str, headers: dict[str, str]) -> Response:
        told = {
            "path": root + self._config.path,
            "dev": self._dev,
            "users": _DEV_USERS if self._dev else [],
        }
        text = json.dumps(told, ensure_ascii=False)
        headers = {**headers, "cache-control": "no-store"}
        return Response(text.encode(), 200, headers, "application/json")
