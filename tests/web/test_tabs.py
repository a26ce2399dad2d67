"""Two tabs of one browser: one leads, both show everything, and neither puts the other out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from web.web_kit import Site
from web.words import messages, say, write_to

pytestmark = pytest.mark.slow


def test_two_tabs_share_one_connection_and_show_the_same(
    site: Site, log_in: Callable[..., Page], new_context: Callable[..., BrowserContext]
) -> None:
    sockets: list[WebSocket] = []
    context = new_context()
    context.on("page", lambda page: page.on("websocket", lambda one: sockets.append(one)))
    one, two = log_in(1, context), log_in(1, context)
    other = log_in(2)
    write_to(one, 2)
    say(one, "from the first tab")
    write_to(two, 2)
    expect(messages(two)).to_contain_text(["from the first tab"])
    say(two, "from the second tab")
    expect(messages(one)).to_contain_text(["from the first tab", "from the second tab"])
    write_to(other, 1)
    say(other, "I see both")
    for page in (one, two):
        expect(messages(page)).to_contain_text(["first tab", "second tab", "I see both"])
        expect(messages(page)).to_have_count(3)
    assert len(sockets) == 1
    assert site.contents() == ["from the first tab", "from the second tab", "I see both"]


def test_when_the_leading_tab_closes_the_other_goes_on_and_sends_nothing_twice(
    site: Site, log_in: Callable[..., Page], new_context: Callable[..., BrowserContext]
) -> None:
    context = new_context()
    leader, follower = log_in(1, context), log_in(1, context)
    write_to(follower, 2)
    say(follower, "one")
    expect(messages(follower, "sent")).to_have_count(1)
    site.kill()
    say(follower, "two", "three")  # the leader has them in its outbox
    leader.close()
    say(follower, "four")
    site.start()
    expect(messages(follower, "sent")).to_have_count(4)
    assert site.contents() == ["one", "two", "three", "four"]
