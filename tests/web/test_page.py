"""What the page does beside sending and showing: drafts, limits, failures, marks, who is there."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from web.web_kit import Site
from web.words import (
    banner,
    composer,
    conversation,
    looking_elsewhere,
    messages,
    say,
    write_to,
)

pytestmark = pytest.mark.slow

#: The server's limit of a content, in UTF-16 units.
LIMIT: Final = 1000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all: each test has users of its own. Who has gone is soon known to be offline."""
    with Site(tmp_path_factory.mktemp("site"), "offline_after=0.2") as site:
        yield site


def _start(page: Page, user: int, book: int) -> None:
    """A conversation about a book, as its buyer."""
    page.get_by_test_id("new-session").click()
    page.get_by_test_id("new-session-user").fill(str(user))
    page.get_by_test_id("new-session-book").fill(str(book))
    page.get_by_test_id("new-session-start").click()
    expect(conversation(page, user)).to_have_attribute("aria-current", "true")
    expect(composer(page)).to_be_visible()


# ------------------------------------------------------------ what is written


def test_a_draft_is_kept_over_a_reload_and_gone_once_it_is_sent(
    log_in: Callable[..., Page],
) -> None:
    page = log_in(101)
    write_to(page, 102)
    composer(page).fill("not yet\nfinished")
    write_to(page, 103)
    expect(composer(page)).to_have_value("")
    expect(conversation(page, 102)).to_contain_text("Draft: not yet finished")
    say(page, "something else")
    expect(messages(page, "sent")).to_have_count(1)
    page.reload()
    write_to(page, 102)
    expect(composer(page)).to_have_value("not yet\nfinished")
    composer(page).press("Enter")
    expect(messages(page, "sent")).to_have_text(re.compile("not yet\nfinished"))
    page.reload()
    conversation(page, 102).click()
    expect(composer(page)).to_have_value("")


def test_the_limit_has_a_counter_and_what_is_above_it_is_not_sent(
    site: Site, log_in: Callable[..., Page]
) -> None:
    page = log_in(111)
    counter, send = page.get_by_test_id("counter"), page.get_by_test_id("send")
    write_to(page, 112)
    expect(send).to_be_disabled()
    composer(page).fill("x" * 799)
    expect(counter).to_have_count(0)
    composer(page).fill("  " + "x" * 800)
    expect(counter).to_contain_text(f"800/{LIMIT}")
    composer(page).fill("x" * (LIMIT - 1) + "😀")
    expect(counter).to_contain_text(f"{LIMIT + 1}/{LIMIT} 1 character too many")
    expect(send).to_be_disabled()
    composer(page).press("Enter")
    expect(messages(page)).to_have_count(0)
    composer(page).fill("x" * (LIMIT - 2) + "😀")
    expect(counter).to_contain_text(f"{LIMIT}/{LIMIT}")
    expect(counter.get_by_role("status")).to_be_empty()
    send.click()
    expect(messages(page, "sent")).to_have_count(1)
    assert site.contents(111) == ["x" * (LIMIT - 2) + "😀"]


def test_shift_and_enter_breaks_the_line_and_spaces_alone_are_no_message(
    site: Site, log_in: Callable[..., Page]
) -> None:
    page = log_in(121)
    write_to(page, 122)
    composer(page).press_sequentially("first")
    composer(page).press("Shift+Enter")
    composer(page).press_sequentially("  second")
    composer(page).press("Enter")
    say(page, " \n ", "after")
    expect(messages(page, "sent")).to_have_count(2)
    expect(messages(page).first.locator(".im-text")).to_have_css("white-space", "pre-wrap")
    assert site.contents(121) == ["first\n  second", "after"]


def test_enter_that_ends_the_input_of_a_word_does_not_send(
    site: Site, log_in: Callable[..., Page]
) -> None:
    page = log_in(131, locale="zh-CN")
    write_to(page, 132)
    composer(page).focus()
    keyboard = page.context.new_cdp_session(page)
    keyboard.send(
        "Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5}
    )
    # 229: the key was for the input method, which has taken it
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    expect(messages(page)).to_have_count(0)
    keyboard.send("Input.insertText", {"text": "你好"})
    expect(composer(page)).to_have_value("你好")
    composer(page).press("Enter")
    expect(messages(page, "sent")).to_have_count(1)
    assert site.contents(131) == ["你好"]


def test_links_lead_out_and_only_what_is_one_is_one(log_in: Callable[..., Page]) -> None:
    page = log_in(141)
    write_to(page, 142)
    say(page, "see https://example.com/a_(b)?c=d#e, and ftp://example.com or example.com.")
    link = messages(page).get_by_role("link")
    expect(link).to_have_count(1)
    expect(link).to_have_attribute("href", "https://example.com/a_(b)?c=d#e")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_each_message_is_written_in_its_own_direction(log_in: Callable[..., Page]) -> None:
    page = log_in(151)
    write_to(page, 152)
    say(page, "שלום, מה שלומך?", "hello", "مرحبا (123)")
    texts = messages(page).locator(".im-text")
    expect(texts).to_have_count(3)
    assert [text.evaluate("e => getComputedStyle(e).direction") for text in texts.all()] == [
        "rtl",
        "ltr",
        "rtl",
    ]


# ------------------------------------------------------------ how messages stand


def test_a_message_is_sending_then_sent_then_delivered_then_read(
    log_in: Callable[..., Page],
) -> None:
    first = log_in(201)
    write_to(first, 202)
    first.context.set_offline(True)
    say(first, "a long way")
    mark = messages(first).last
    expect(mark).to_have_attribute("data-state", "sending")
    first.context.set_offline(False)
    expect(mark).to_have_attribute("data-state", "sent")
    second = log_in(202)
    expect(mark).to_have_attribute("data-state", "delivered")
    conversation(second, 201).click()
    expect(mark).to_have_attribute("data-state", "read")
    expect(mark.locator(".im-mark")).to_have_text("Read")


def test_what_nobody_looks_at_is_not_read(log_in: Callable[..., Page]) -> None:
    first, second = log_in(211), log_in(212)
    write_to(second, 211)
    write_to(first, 212)
    say(first, "seen at once")
    expect(messages(first).last).to_have_attribute("data-state", "read")
    title = second.title()
    with looking_elsewhere(second):
        say(first, "one", "two", "three")
        expect(messages(second)).to_have_count(4)
        expect(second).to_have_title(f"(3) {title}")
        expect(conversation(second, 211).get_by_test_id("unread")).to_contain_text("3")
        expect(messages(first, "delivered")).to_have_count(3)
    expect(messages(first, "read")).to_have_count(4)
    expect(second).to_have_title(title)
    expect(second.get_by_test_id("unread")).to_have_count(0)
    divider = second.get_by_test_id("divider-new")
    expect(divider).to_have_text("New messages")
    below = divider.locator("xpath=following::*[@data-testid='message']")
    expect(below).to_contain_text(["one", "two", "three"])
    expect(below).to_have_count(3)
    say(second, "all of it")
    expect(divider).to_have_count(0)


def test_messages_wait_without_a_network_and_all_go_out_with_it(
    site: Site, log_in: Callable[..., Page]
) -> None:
    first, second = log_in(221), log_in(222)
    write_to(first, 222)
    first.context.set_offline(True)
    texts = [f"on the train {n}" for n in range(7)]
    say(first, *texts)
    expect(banner(first)).to_have_attribute("data-state", "offline")
    expect(banner(first)).to_have_attribute("data-queued", "7")
    expect(banner(first)).to_contain_text("You are offline.")
    expect(banner(first)).to_contain_text("7 messages wait to be sent.")
    first.context.set_offline(False)
    expect(banner(first)).to_have_count(0)
    expect(messages(first, "delivered")).to_have_count(7)
    assert site.contents(221) == texts
    conversation(second, 221).click()
    expect(messages(second)).to_contain_text(texts)


def test_a_message_into_a_closed_session_fails_and_goes_into_a_new_one(
    site: Site, log_in: Callable[..., Page]
) -> None:
    page = log_in(231)
    for user in (232, 233):
        _start(page, user, 5)
        say(page, "in time")
        expect(messages(page, "sent")).to_have_count(1)
    site.kill()
    say(page, "too late")
    expect(messages(page, "sending")).to_have_count(1)
    with closing(sqlite3.connect(site.database)) as database, database:
        database.execute("UPDATE sessions SET status = 3 WHERE seller = '233'")
        database.execute("UPDATE sessions SET expires_at = 1 WHERE seller = '232'")
    site.start()
    expect(messages(page, "failed")).to_contain_text("too late")
    expect(conversation(page, 233)).to_have_attribute("data-status", "closed")
    expect(conversation(page, 233)).to_contain_text("Closed")
    expect(composer(page)).to_have_count(0)
    page.get_by_test_id("renew").click()
    expect(conversation(page, 233)).to_have_attribute("data-status", "active")
    messages(page, "failed").get_by_test_id("retry").click()
    expect(messages(page, "failed")).to_have_count(0)
    expect(messages(page, "sent")).to_contain_text(["in time", "too late"])
    assert site.contents(231) == ["in time", "in time", "too late"]
    expect(conversation(page, 232)).to_have_attribute("data-status", "expired")
    expect(conversation(page, 232)).to_contain_text("Expired")


# ------------------------------------------------------------ who is there, and what is sought


def test_who_is_there_and_who_writes_is_shown_and_gone_again(
    log_in: Callable[..., Page], new_context: Callable[..., BrowserContext]
) -> None:
    first, context = log_in(301), new_context()
    write_to(first, 302)
    say(first, "are you there?")
    second = log_in(302, context)
    presence, typing = first.get_by_test_id("presence"), first.get_by_test_id("typing")
    expect(presence).to_have_text("Online")
    conversation(second, 301).click()
    composer(second).press_sequentially("ye")
    # both at once: who presses no key for some seconds does not write any more
    places = first.locator('[data-testid="typing"], [data-testid="session-item"]')
    expect(places.filter(has_text="is writing…")).to_have_count(2)
    composer(second).fill("")
    expect(typing).to_have_count(0)
    composer(second).press_sequentially("yes")
    expect(typing).to_be_visible()
    composer(second).press("Enter")
    expect(messages(first).last).to_contain_text("yes")
    expect(typing).to_have_count(0)
    second.close()
    expect(presence).to_contain_text("Last seen: ")
    expect(presence).to_have_attribute("data-online", "false")


def test_conversations_are_found_by_name_text_and_book(log_in: Callable[..., Page]) -> None:
    page = log_in(311)
    write_to(page, 2)
    say(page, "about maps")
    expect(messages(page, "sent")).to_have_count(1)
    _start(page, 312, 77)
    say(page, "about stars")
    items, search = page.get_by_test_id("session-item"), page.get_by_test_id("session-search")
    expect(items).to_have_count(2)
    for sought, user in (("bob", 2), ("312", 312), ("STARS", 312), ("book 77", 312)):
        search.fill(sought)
        expect(items).to_have_count(1)
        expect(conversation(page, user)).to_be_visible()
    search.fill("nobody")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    search.press("Escape")
    expect(items).to_have_count(2)


def test_a_chinese_browser_is_spoken_to_in_chinese_until_another_language_is_chosen(
    log_in: Callable[..., Page],
) -> None:
    page = log_in(321, locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.get_by_placeholder("搜索会话")).to_be_visible()
    write_to(page, 322)
    say(page, "你好")
    expect(page.get_by_test_id("day-separator")).to_have_text("今天")
    expect(messages(page).locator(".im-mark")).to_contain_text("已发送")
    page.get_by_test_id("lang").click()
    expect(page.get_by_placeholder("Search conversations")).to_be_visible()
    page.reload()
    expect(page.get_by_placeholder("Search conversations")).to_be_visible()
