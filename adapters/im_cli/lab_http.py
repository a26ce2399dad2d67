"""The lab's HTTP: its page, and the guard before what the page can do.

The lab listens on this machine alone, but any page in the same browser can send requests there,
and any program here. So a request counts only with the secret that `im lab` prints as a part of
the page's address, under our own name (else a page could have its name lead here: DNS rebinding),
and from our own page if it comes from one.
"""

from __future__ import annotations

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from im_web.files import BUILT, answer, read
from im_web.headers import security

from . import lab_api
from .lab_world import WINDOWS, World

_INDEX: Final = "index.html"
_HINT: Final = "open the address that `im lab` has printed: it holds the key"


class LabApp:
    """The ASGI application.

    Args:
        world: what the page acts on.
        place: "127.0.0.1:PORT", where this is served.

    Raises:
        NotBuiltError: the page is not built.
    """

    def __init__(self, world: World, place: str) -> None:
        self._world = world
        self._place = place
        self._files = read(BUILT / "lab")
        self._key = secrets.token_urlsafe(24)
        # cookies of one name are shared by all ports of a machine
        self._cookie = f"im-lab-{place.rpartition(':')[2]}"

    @property
    def url(self) -> str:
        """What whoever may use the lab opens."""
        return f"http://{self._place}/?key={self._key}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if request.headers.get("host") != self._place:
            return lab_api.to_json({"error": "this is asked for by another name (Host)"}, 403)
        if request.headers.get("origin") not in (None, f"http://{self._place}"):
            return lab_api.to_json({"error": "a page of another site has no say (Origin)"}, 403)
        if path.startswith("/api/"):
            if not self._has_key(request):
                return lab_api.to_json({"error": _HINT}, 403)
            return await lab_api.serve(self._world, request)
        return self._page(path.removeprefix("/") or _INDEX, request)

    def _page(self, name: str, request: Request) -> Response:
        headers = security(self._world.url(window) for window in WINDOWS)
        if request.method not in ("GET", "HEAD"):
            return Response("read it", 405, {**headers, "allow": "GET, HEAD"}, "text/plain")
        if name not in self._files:
            return Response("there is no such file", 404, headers, "text/plain")
        if name != _INDEX:  # nothing of anybody's
            return answer(self._files[name], request, headers)
        if not self._has_key(request):
            return Response(_HINT, 403, headers, "text/plain")
        response = answer(self._files[name], request, headers)
        response.set_cookie(self._cookie, self._key, httponly=True, samesite="strict")
        return response

    def _has_key(self, request: Request) -> bool:
        given = (request.query_params.get("key", ""), request.cookies.get(self._cookie, ""))
        return any(secrets.compare_digest(key.encode(), self._key.encode()) for key in given)
