"""What `im admin` asks for: HTTP under /im/admin/, for a token with the role `admin`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from im_proto.server import inputs as inp
from im_proto.server.records import Entry, MailboxEntry, ReceiptEntry
from im_proto.wire import UserId, codes, user_id
from im_proto.wire.session import SessionOp

from .answers import NotRead, RefusedError, answer, read_params, refused
from .http import call, identify
from .runner import Runner

ROLE: Final = "admin"
#: Entries of a mailbox in one answer.
MAX_ENTRIES: Final = 1000

_Params = dict[str, Any]
_Work = Callable[[Runner, _Params], Awaitable[Any]]


async def _online(runner: Runner, _: _Params) -> Any:
    return [
        {"user": user, "connections": connections}
        for user, connections in sorted(runner.online().items(), key=lambda item: str(item[0]))
    ]


async def _mailbox(runner: Runner, params: _Params) -> Any:
    user = _user(params)
    read = await runner.read(
        user,
        after=_number(params, "after", 0),
        limit=min(_number(params, "limit", 50), MAX_ENTRIES),
    )
    return {"user": user, "head": read.head, "entries": [_entry(entry) for entry in read.entries]}


async def _sessions(runner: Runner, params: _Params) -> Any:
    user = _user(params)
    answered = await call(runner, user, SessionOp.GET_CURRENT, {"userId": user}, trusted=True)
    if answered.code != codes.OK:
        raise RefusedError(answered.code, answered.text)
    return answered.data


async def _kick(runner: Runner, params: _Params) -> Any:
    device, reason = params.get("device"), params.get("reason") or "kicked"
    if not isinstance(device, str | None) or not isinstance(reason, str):
        raise RefusedError(codes.BAD_REQUEST, "device and reason are texts")
    kicked = runner.kick(
        inp.KickAsked(
            user=_user(params),
            device=device or None,
            reason=reason,
            reconnect=params.get("reconnect") is True,
        )
    )
    return {"kicked": kicked}


async def _revoke(runner: Runner, params: _Params) -> Any:
    answered = await runner.revoke(_user(params))
    if answered.code != codes.OK:
        raise RefusedError(answered.code, answered.text)
    return answered.data


#: method, path, what it does
_WORKS: Final[tuple[tuple[str, str, _Work], ...]] = (
    ("GET", "/im/admin/online", _online),
    ("GET", "/im/admin/mailbox", _mailbox),
    ("GET", "/im/admin/sessions", _sessions),
    ("POST", "/im/admin/kick", _kick),
    ("POST", "/im/admin/revoke", _revoke),
)


def routes(runner: Runner) -> list[Route]:
    """The routes of all of it."""
    return [Route(path, _endpoint(runner, work), methods=[method]) for method, path, work in _WORKS]


def _endpoint(runner: Runner, work: _Work) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            identity = await identify(runner, request)
            if ROLE not in identity.roles:
                raise RefusedError(codes.FORBIDDEN, f"this needs the role {ROLE!r} in the token")
            return answer(codes.OK, await work(runner, await read_params(request)), "")
        except (RefusedError, NotRead) as error:
            return refused(error)

    return endpoint


def _entry(entry: Entry) -> dict[str, Any]:
    """One entry, without what was written: whoever runs a server need not read it."""
    if isinstance(entry, MailboxEntry):
        return {
            "seq": entry.seq,
            "kind": "message",
            "fromUser": entry.from_user,
            "toUser": entry.to_user,
            "msgId": entry.msg_id,
            "sessionId": entry.session_id,
            "messageType": entry.message_type,
            "characters": len(entry.content),
            "timestamp": entry.timestamp,
        }
    if isinstance(entry, ReceiptEntry):
        return {
            "seq": entry.seq,
            "kind": entry.status,
            "fromUser": entry.user,
            "sessionId": entry.session_id,
            "messages": len(entry.msg_ids),
            "timestamp": entry.timestamp,
        }
    return {
        "seq": entry.seq,
        "kind": "read here",
        "fromUser": entry.from_user,
        "msgId": entry.msg_id,
    }


def _user(params: _Params) -> UserId:
    try:
        return user_id(params.get("user"))
    except ValueError as error:
        raise RefusedError(codes.BAD_REQUEST, f"user: {error}") from None


def _number(params: _Params, name: str, default: int) -> int:
    given = str(params.get(name, default))
    if not (given.isascii() and given.isdigit()) or len(given) > 18:
        raise RefusedError(codes.BAD_REQUEST, f"{name}: a whole number is needed")
    return int(given)
