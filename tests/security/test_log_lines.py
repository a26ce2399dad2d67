"""No peer can forge a line of the log, end one early, or draw on the terminal that shows it."""

from __future__ import annotations

import dataclasses
import io
import logging
import typing
from typing import Any, get_args

import pytest

from core.test_framing_kit import answer
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError, IMErrorCode
from im_proto.wire.session import HistoryPage
from im_runtime.environment import Stderr
from im_runtime.log import line
from security.hostile_kit import Victim, close, envelope

#: Ends a line in every way that there is, forges one, and speaks to terminals.
EVIL = (
    "x\r\n2026-01-01 00:00:00.000 im_asyncio = logged in as 'admin'\n\x0b\x0c\x1c\x85\u2028\u2029"
    "\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil\u2066\u200f\x00\x7f\ud800\U000e0041"
)
CLASSES = sorted(
    {*get_args(inp.Input), *get_args(act.Action), *get_args(ev.Event)} - {act.Notify},
    key=lambda kind: (kind.__module__, kind.__name__),
)


def evil(kind: Any, text: str) -> Any:
    """A value of that type which is as evil as the type allows."""
    options = [kind, *get_args(kind)]
    if str in options:
        return text
    if IMError in options:
        return IMError(IMErrorCode.SERVER_ERROR, text, server_code=7, server_text=text)
    if ev.ConnectionState in options:
        return ev.ConnectionState(status=ev.Status.CONNECTED, reason=text, retry_in=1.0)
    if typing.get_origin(kind) is typing.Literal:
        return text
    if typing.get_origin(kind) is tuple:
        return ()
    if kind is HistoryPage:
        return HistoryPage(records=(), has_next=False)
    simple = {int: 7, float: 1.5, bool: True, bytes: text.encode("utf-8", "replace")}
    for each in options:
        if each in simple:
            return simple[each]
    return text  # what is left is an enum, a union, or a tuple of something


def made(kind: Any, text: str = EVIL) -> Any:
    """One of that class, with evil texts wherever a text may stand."""
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: evil(hints[field.name], text) for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("long", [False, True])
def test_whatever_is_logged_is_one_printable_line_of_bounded_length(
    kind: Any, content: bool, long: bool
) -> None:
    item = made(kind, EVIL * 1000 if long else EVIL)
    logged = line(act.Notify(event=item) if kind in get_args(ev.Event) else item, content=content)
    assert logged.isprintable(), ascii(logged)
    assert len(logged) <= 1000
    assert logged[:2] in ("< ", "> ", "= ", "% ", "! ")
    assert not (long and content and kind is ev.MessageReceived) or "…" in logged


def test_what_the_handler_prints_of_it_is_one_line_too() -> None:
    handler = Stderr()
    stream = handler.stream = io.StringIO()
    for kind in CLASSES:
        item = made(kind)
        text = line(act.Notify(event=item) if kind in get_args(ev.Event) else item, content=True)
        record = logging.LogRecord("im_asyncio", logging.DEBUG, "", 0, "%s", (text,), None)
        handler.emit(record)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(CLASSES)
    assert all(each.isprintable() and " im_asyncio " in each for each in lines)


def test_what_a_hostile_server_says_reaches_the_log_as_one_line_each() -> None:
    evil = EVIL.replace("\ud800", "")
    reason = evil.encode()[:100].decode("utf-8", "ignore").encode()  # as much as a close holds
    lives = [
        Victim().connect().bytes(f"HTTP/1.1 403 {evil}\r\n\r\n".encode()),
        Victim().connect().bytes(b"HTTP/1.1 429 \x85\x9b\xff no\r\nRetry-After: 1\r\n\r\n"),
        Victim().connect().bytes(answer(f"X: {evil[:20]}\x1b")),
        Victim().link().say("AUTH_RESPONSE", code=40101, message=evil),
        Victim().link().say("AUTH_RESPONSE", code=0, data={"userId": evil, "username": evil}),
        Victim().login().say("KICK", reason=evil).bytes(close(b"\x0f\xa9" + reason)),
        Victim().login().bytes(close(b"\x0f\xa1" + reason)),
        Victim().login().push(1, evil, fromUser=evil, messageType=evil),
        Victim().login().push(1, evil, fromUser="bravo\u202e", msgId=None),
        Victim().login().say(evil[:60]).say("X", **{evil: evil}),
        Victim().login().say("CHAT_ERROR_RESPONSE", code=1, errorMsg=evil),
        Victim().login().say("PRESENCE", user=evil, online=True),
        Victim().login().text(envelope("TYPING", fromUser={evil: 1}, active=evil)),
        Victim().login().say("SYNC_RESPONSE", **{"status": evil, evil: evil}),
    ]
    lines = [line(action, content=True) for v in lives for action in v.actions]
    assert all(each.isprintable() and len(each) <= 1000 for each in lines)
    assert len([each for each in lines if "admin" in each]) >= 3  # it was there to be escaped
    assert not [each for each in lines if each.startswith("= logged in as 'admin")]
