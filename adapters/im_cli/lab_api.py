"""What the lab's page asks for and orders: JSON over HTTP, and a stream of events."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from im_web.headers import security

from .demo_server import DemoError
from .lab_proxy import Cut
from .lab_server import NotRunningError, Order
from .lab_world import LIMITS, WINDOWS, World

#: Bytes of a request's body: none of ours has a tenth of it.
_MAX_BODY: Final = 4_096

_Body = dict[str, Any]
_Work = Callable[[World, Request, _Body], Awaitable[Any]]


class NotDoneError(Exception):
    """What was asked for isn't done.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def _lab(world: World, _: Request, __: _Body) -> Any:
    return world.as_dict()


async def _faults(world: World, _: Request, body: _Body) -> Any:
    changes: dict[str, Any] = {}
    for name, most in (*LIMITS.items(), ("loss", 1.0)):
        if name in body:
            changes[name] = _number(body, name, most)
    if "blackhole" in body:
        changes["blackhole"] = _one_of(body, "blackhole", (True, False))
    world.set_faults(_windows(body), changes)
    return {"faults": world.faults()}


async def _cut(world: World, _: Request, body: _Body) -> Any:
    how = Cut(_one_of(body, "how", tuple(Cut)))
    return {"cut": await world.cut(_windows(body), how)}


async def _server(world: World, _: Request, body: _Body) -> Any:
    order: Order = _one_of(body, "do", get_args(Order))
    await world.server.order(order)
    return {"server": world.server.as_dict()}


async def _token(world: World, request: Request, _: _Body) -> Any:
    return world.token(_one_of(dict(request.query_params), "window", WINDOWS))


async def _expire(world: World, _: Request, body: _Body) -> Any:
    _one_of(body, "do", ("expire",))
    return {"ended": await world.expire(_one_of(body, "window", WINDOWS))}


async def _tally(world: World, _: Request, __: _Body) -> Any:
    return await world.tally()


_WORKS: Final[dict[tuple[str, str], _Work]] = {
    ("GET", "/api/lab"): _lab,
    ("POST", "/api/faults"): _faults,
    ("POST", "/api/cut"): _cut,
    ("POST", "/api/server"): _server,
    ("GET", "/api/token"): _token,
    ("POST", "/api/token"): _expire,
    ("GET", "/api/tally"): _tally,
}
_EVENTS: Final = "/api/events"


async def serve(world: World, request: Request) -> Response:
    """Answer a request whose path begins with `/api/`; whose it is was looked at before."""
    path, method = request.url.path, request.method
    try:
        if (method, path) == ("GET", _EVENTS):
            return StreamingResponse(
                world.events.listen(),
                headers={**security(), "cache-control": "no-store"},
                media_type="text/event-stream",
            )
        work = _WORKS.get((method, path))
        if work is None:
            known = any(path == other for _, other in _WORKS) or path == _EVENTS
            raise NotDoneError(405 if known else 404, "there is no such call")
        return to_json(await work(world, request, await _read(request)))
    except NotDoneError as error:
        return to_json({"error": str(error)}, error.status)
    except (DemoError, NotRunningError) as error:
        return to_json({"error": str(error)}, 409)


def to_json(content: Any, status: int = 200) -> Response:
    """An answer that nobody keeps."""
    headers = {**security(), "cache-control": "no-store"}
    return Response(json.dumps(content).encode(), status, headers, "application/json")


async def _read(request: Request) -> _Body:
    if request.method != "POST":
        return {}
    # of another type a page of another site could send it without asking for leave
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise NotDoneError(400, "the body has to be application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise NotDoneError(413, "the body is too large")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NotDoneError(400, "the body is no JSON object")
    return found


def _windows(body: _Body) -> tuple[str, ...]:
    which = _one_of(body, "window", (*WINDOWS, "both"))
    return WINDOWS if which == "both" else (which,)


def _one_of(fields: _Body, name: str, values: tuple[Any, ...]) -> Any:
    given = fields.get(name)
    for value in values:
        if given == value and type(given) in (str, bool):
            return given
    words = ", ".join(json.dumps(value) for value in values)
    raise NotDoneError(400, f"{name}: one of {words}")


def _number(fields: _Body, name: str, most: float) -> float:
    given = fields[name]
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise NotDoneError(400, f"{name}: a number from 0 to {most:g}")
    if not 0 <= given <= most:
        raise NotDoneError(400, f"{name}: a number from 0 to {most:g}")
    return float(given)
