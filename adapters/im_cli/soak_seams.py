"""Where the points of `im soak` lie: the seams of client and server, wrapped from outside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from .demo_frames import Splitter, payload
from .soak_points import Points

_SEND: Final = b"CHAT_SEND_TO_ONE_REQUEST"
_ACK: Final = b"CHAT_ACK_REQUEST"
_ANSWER: Final = b"CHAT_SEND_RESPONSE"
_PUSH: Final = b"CHAT_REDIRECT_TO_USER_REQUEST"

#: Told the arguments of a call, it says what the call is about: the first part of a point's name.
_About = Callable[..., list[str]]


def watch_client(points: Points) -> None:
    """Give the clients of this process their points."""
    from im_asyncio.link import Link
    from im_runtime import Journal
    from im_runtime.transaction import Transaction

    splitters: WeakKeyDictionary[Link, Splitter] = WeakKeyDictionary()

    def written(link: Link, data: bytes) -> list[str]:
        frames = splitters.setdefault(link, Splitter()).feed(data)
        texts = [payload(frame) for frame in frames if not frame.startswith(b"GET ")]
        about = [("send", _SEND), ("ack", _ACK)]
        return [name for name, kind in about if any(kind in text for text in texts)]

    def read(_: Link, data: bytes) -> list[str]:
        return [name for name, kind in (("answer", _ANSWER), ("push", _PUSH)) if kind in data]

    _around(points, Journal, "write", lambda *_: ["journal"])
    _around(points, Link, "write", written)
    _around(points, Link, "data_received", read, after=False)
    _around(points, Transaction, "commit", lambda *_: ["handle"], before=False)


def watch_server(points: Points) -> None:
    """Give the server of this process its points."""
    from im_proto.server.actions import SendBytes
    from im_server import Store, writing
    from im_server.websocket import IMProtocol

    def committed(_: Store, request: Any) -> list[str]:
        about = [("commit", request.submissions), ("cursor", request.cursors)]
        return [name for name, items in about if items]

    def said(_: IMProtocol, action: Any) -> list[str]:
        data = action.data if isinstance(action, SendBytes) else b""
        return [name for name, kind in (("answer", _ANSWER), ("push", _PUSH)) if kind in data]

    _around(points, Store, "commit", committed)
    _around(points, Store, "login", lambda *_: ["login"], before=False)
    _around(points, IMProtocol, "carry_out", said)

    write = writing.write

    @functools.wraps(write)
    def write_and_reach(connection: Any, plan: Any, known: Any) -> None:
        write(connection, plan, known)
        if plan.results:
            points.reach("commit-inside")

    _replace(writing, "write", write_and_reach)


def _around(
    points: Points,
    owner: type,
    name: str,
    about: _About,
    *,
    before: bool = True,
    after: bool = True,
) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        names = about(*arguments, **more)
        for each in names if before else ():
            points.reach(f"{each}-before")
        result = function(*arguments, **more)
        for each in names if after else ():
            points.reach(f"{each}-after")
        return result

    _replace(owner, name, wrapped)


def _replace(owner: Any, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)
