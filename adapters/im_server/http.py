"""The calls of docs/protocol.md section 3 over HTTP, and `/healthz`.

Every answer is {"code", "data", "message"} with the HTTP status 200, whatever its code, as clients
of the family expect; other statuses say that there was no call: 400 and 413 for its form, 429 for
more calls than the user may make, or more bad tokens than an address may show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.origins import forwarded, refusal
from im_proto.wire import UserId, codes
from im_proto.wire.session import SessionOp

from .answers import (
    NotRead,
    RefusedError,
    TooManyError,
    answer,
    read_params,
    refused,
    to_json,
)
from .runner import Runner
from .tokens import Identity, TokenRefusedError

#: method, path, call
_CALLS: Final = (
    ("POST", "/im/session/create", SessionOp.CREATE),
    ("GET", "/im/session/get", SessionOp.GET),
    ("POST", "/im/session/startChat", SessionOp.START_CHAT),
    ("POST", "/im/session/getCurrent", SessionOp.GET_CURRENT),
    ("POST", "/im/message/history", SessionOp.HISTORY),
)


def routes(runner: Runner) -> list[Route]:
    """What is served beside the WebSocket."""

    async def healthz(_: Request) -> Response:
        # for whoever asks: how many are online is for admins
        if runner.going_down:
            return to_json({"status": "going down"}, 503)
        return to_json({"status": "ok"})

    return [
        Route("/healthz", healthz, methods=["GET"]),
        *(Route(path, _Call(runner, op), methods=[method]) for method, path, op in _CALLS),
    ]


async def call(
    runner: Runner, user: UserId, op: str, params: Mapping[str, Any], *, trusted: bool = False
) -> act.Answered:
    """Make a call of section 3 as a user; `trusted`: for the site, which is not asked about it.

    Raises:
        RuntimeError: the server doesn't run in this event loop, or goes down.
    """
    return await runner.ask(
        lambda request: inp.CallAsked(
            request=request, user=user, op=op, params=params, trusted=trusted
        )
    )


class _Call:
    """One of the calls, as an ASGI application."""

    def __init__(self, runner: Runner, op: SessionOp) -> None:
        self._runner = runner
        self._op = op

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            identity = await identify(self._runner, request)
            params = await read_params(request)
            answered = await call(self._runner, identity.user, self._op, params)
        except (RefusedError, NotRead) as error:
            return refused(error)
        return answer(answered.code, answered.data, answered.text)


async def identify(runner: Runner, request: Request) -> Identity:
    """Whose token does a request carry, in `satoken` or as Bearer?

    Raises:
        RefusedError: it has none, or none that is good, or asks for a host that isn't ours: a
            page of another name that leads here (DNS rebinding) may set every header but that.
        TooManyError: too many came from that address that were not good: it isn't looked at.
    """
    elsewhere = refusal(runner.config, request.headers.get("host"), None)
    if elsewhere is not None:
        raise RefusedError(codes.FORBIDDEN, elsewhere)
    token = request.headers.get("satoken", "")
    if not token:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
    if not token:
        raise RefusedError(codes.NOT_LOGGED_IN, "a token is needed, in the header satoken")
    peer = request.client.host if request.client is not None else ""
    place = runner.bad_tokens.counted(peer, forwarded(request.headers.getlist("x-forwarded-for")))
    now = asyncio.get_running_loop().time
    wait = runner.bad_tokens.wait(place, now())
    if wait:
        raise TooManyError("too many bad tokens from this address", wait)
    try:
        async with asyncio.timeout(runner.config.auth_timeout):
            return await runner.identify(token)
    except TokenRefusedError as error:
        if error.code != codes.SERVER_ERROR:  # which says nothing of the token
            runner.bad_tokens.add(place, now())
        raise RefusedError(error.code, error.reason) from None
    except TimeoutError:
        raise RefusedError(codes.SERVER_ERROR, "the authenticator took too long") from None
