"""Two users chat in two browsers: what the second one sees, and what is in the server's tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from web.web_kit import Site
from web.words import conversation, messages, say, write_to

pytestmark = pytest.mark.slow


def test_what_one_writes_the_other_sees_and_the_server_has(
    site: Site, log_in: Callable[..., Page]
) -> None:
    first, second = log_in(1), log_in(2)
    write_to(first, 2)
    say(first, "hello", "are the maps still there?")
    own = messages(first)
    expect(own).to_have_count(2)
    expect(own.last).to_have_attribute("data-state", "delivered")
    item = conversation(second, 1)
    expect(item).to_contain_text("are the maps still there?")
    item.click()
    expect(messages(second)).to_contain_text(["hello", "are the maps still there?"])
    say(second, "yes 📚")
    expect(messages(first).last).to_contain_text("yes 📚")
    expect(own.nth(1)).to_have_attribute("data-state", "read")
    assert site.contents() == ["hello", "are the maps still there?", "yes 📚"]
    assert site.contents(2) == ["yes 📚"]
