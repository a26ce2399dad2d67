"""Telling that one is writing: where it is granted, at a pace, and for the moment only."""

from __future__ import annotations

from typing import Any

import pytest

from core.client_kit import Driver
from im_proto.client import inputs as inp
from im_proto.errors import LocalProtocolError


def online(**config: Any) -> Driver:
    return Driver(**config).login_ours(capabilities=["seq", "batch", "typing"]).forget()


def typing(d: Driver, active: bool = True, to: int | str = 2) -> Driver:
    d.do(inp.SetTyping(to_user=to, active=active))
    return d


def said(d: Driver) -> list[tuple[Any, bool]]:
    return [(m["toUser"], m["active"]) for m in d.said("TYPING")]


def test_it_is_said_at_once() -> None:
    d = typing(online())
    assert said(d) == [(2, True)]


def test_where_it_is_not_granted_it_is_nothing() -> None:
    plain, without = Driver().login().forget(), Driver().login_ours().forget()
    for d in (Driver(), plain, without):
        assert typing(d).actions == []
    without.pass_time(2)
    assert said(without) == []


def test_within_a_second_only_a_change_is_said_and_that_when_it_is_over() -> None:
    d = typing(typing(online()))
    d.pass_time(0.5)
    typing(d, False)
    d.pass_time(0.49)
    assert said(d) == [(2, True)]
    d.pass_time(0.02)
    assert said(d) == [(2, True), (2, False)]
    d.pass_time(5)
    assert len(said(d)) == 2


def test_a_change_that_is_taken_back_is_not_said() -> None:
    d = typing(typing(typing(online()), False))
    d.pass_time(5)
    assert said(d) == [(2, True)]


def test_who_goes_on_writing_says_so_once_a_second() -> None:
    d = online()
    for _ in range(50):
        typing(d)
        d.pass_time(0.1)
    assert said(d) == [(2, True)] * 5


def test_the_pace_holds_for_what_was_delayed_too() -> None:
    d = typing(typing(online()), False)
    d.pass_time(1)
    typing(d, True)
    d.pass_time(0.9)
    assert said(d) == [(2, True), (2, False)]
    d.pass_time(0.1)
    assert said(d) == [(2, True), (2, False), (2, True)]


def test_every_conversation_has_its_own_second() -> None:
    d = typing(typing(online()), to="bravo")
    d.pass_time(0.6)
    typing(d, False, to=3)
    typing(d, False)
    typing(d, False, to="bravo")
    d.pass_time(0.4)
    assert said(d) == [
        (2, True),
        ("bravo", True),
        (3, False),
        (2, False),
        ("bravo", False),
    ]


def test_it_is_forgotten_when_the_link_ends() -> None:
    d = typing(typing(online()), False).lose().forget()
    d.login_ours(capabilities=["typing"], resume="recovered").pass_time(3)
    assert said(d) == []
    typing(d)
    assert said(d) == [(2, True)]


def test_what_is_granted_on_one_link_is_not_used_on_the_next() -> None:
    d = online().lose().login_ours(resume="recovered")
    assert said(typing(d)) == []


def test_without_a_link_it_is_nothing_also_after_one_that_took_it() -> None:
    d = online().lose().forget()
    assert typing(d).actions == []
    d.login_ours(capabilities=["typing"], resume="recovered").pass_time(3)
    assert said(d) == []


def test_a_wake_up_that_comes_late_says_it_late() -> None:
    d = typing(typing(online()), False)
    d.stall(3)
    assert said(d) == [(2, True), (2, False)]


def test_nothing_is_remembered_of_conversations_that_rest() -> None:
    d = online()
    for user in range(2, 200):
        typing(d, to=user)
        d.pass_time(0.1)
    assert len(d.core.life._resting) <= 12


@pytest.mark.parametrize("user", [0, "", None, "\n"])
def test_what_no_user_can_be_is_a_mistake(user: Any) -> None:
    for d in (Driver(), online()):
        with pytest.raises(LocalProtocolError, match="SetTyping"):
            typing(d, to=user)
