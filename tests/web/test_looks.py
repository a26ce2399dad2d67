"""At the sizes, colours and languages that people have: nothing sticks out, nothing is covered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from web.web_kit import DESKTOP, PHONE, Site, Written, write_history
from web.words import banner, composer, conversation, messages, painted, say

pytestmark = pytest.mark.slow

#: 3 March 2025, 08:00 UTC.
_AT: Final = 1_740_988_800_000
#: What is hard to lay out.
TEXTS: Final = (
    "x" * 900,
    "https://example.com/" + "path/" * 60,
    "word " * 150,
    "一二三四五六七八九十" * 40,
    "שלום עולם " * 30,
    "😀" * 3,
    "\n".join("abc"),
    "ok",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With what is hard to lay out, and more conversations than there is room for."""
    made = Site(tmp_path_factory.mktemp("site"), "retention_age=none", "first_login=latest")
    long = [
        Written(1 + n % 2, 2 - n % 2, text, _AT + n * 60_000)
        for n, text in enumerate(TEXTS + TEXTS)
    ]
    many = [Written(user, 1, f"from {user}", _AT + user * 60_000_000) for user in range(60, 80)]
    write_history(made.database, [*long, *many])
    with made:
        yield made


def _all_within(page: Page) -> list[str]:
    """What sticks out of the window, or can be scrolled to the side."""
    painted(page)
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth
          const name = (e) => `${e.tagName}.${e.className}`
          const out = []
          for (const e of document.querySelectorAll('body *')) {
            const { left, right, width: own } = e.getBoundingClientRect()
            const shown = own > 1 && getComputedStyle(e).visibility === 'visible'
            if (shown && (left < -0.5 || right > width + 0.5)) out.push(`${name(e)} is outside`)
            const { overflowX } = getComputedStyle(e)
            const room = e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1
            if (room && ['auto', 'scroll', 'visible'].includes(overflowX) && shown &&
                getComputedStyle(e).display !== 'inline' && e.tagName !== 'svg')
              out.push(`${name(e)} is wider inside than outside`)
          }
          if (document.scrollingElement.scrollWidth > width) out.push('the page scrolls sideways')
          if (document.scrollingElement.scrollHeight > innerHeight) out.push('the page scrolls')
          return out
        }"""
    )
    return found


def _on_top(thing: Locator) -> bool:
    """Is it in view, and nothing over it: in the middle, and at its corners?"""
    painted(thing.page)
    top: bool = thing.evaluate(
        """(element) => {
          const { left, right, top, bottom } = element.getBoundingClientRect()
          const places = [[(left + right) / 2, (top + bottom) / 2], [left + 4, top + 8],
            [right - 4, top + 8], [left + 4, bottom - 8], [right - 4, bottom - 8]]
          return places.every(([x, y]) => {
            const hit = document.elementFromPoint(x, y)
            return hit !== null && (element.contains(hit) || hit.contains(element))
          })
        }"""
    )
    return top


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_sticks_out_and_nothing_covers_where_one_writes(
    site: Site,
    new_context: Callable[..., BrowserContext],
    log_in: Callable[..., Page],
    size: Any,
    colours: str,
    locale: str,
) -> None:
    context = new_context(viewport=size, color_scheme=colours, locale=locale)
    page = context.new_page()
    page.goto(site.url)
    page.get_by_test_id("login-user-1").wait_for()
    assert _all_within(page) == []
    page = log_in(1, context)
    expect(conversation(page, 2).get_by_role("time")).to_be_visible()
    assert _all_within(page) == []
    dark = page.locator(".im-page").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (max(_rgb(dark)) < 80) is (colours == "dark")
    conversation(page, 2).click()
    for part in (0, 0.25, 0.5, 0.75, 1):
        page.get_by_test_id("log").evaluate("(e, p) => e.scrollTo(0, p * e.scrollHeight)", part)
        assert _all_within(page) == []
    expect(page.get_by_test_id("jump-newest")).to_have_count(0)
    composer(page).fill("line\n" * 40 + "x" * 900)
    assert _all_within(page) == []
    assert _on_top(composer(page)) and _on_top(page.get_by_test_id("send"))
    assert _above(messages(page).last, composer(page))
    composer(page).fill("")
    context.set_offline(True)
    say(page, "waits")
    expect(banner(page)).to_be_visible()
    expect(messages(page).last).to_contain_text("waits")
    assert _all_within(page) == []
    assert _on_top(banner(page)) and _on_top(composer(page)) and _on_top(messages(page).last)
    if size is PHONE:
        page.get_by_test_id("back").click()
    page.get_by_test_id("new-session").click()
    page.get_by_test_id("new-session-book").fill("1")
    assert _on_top(page.get_by_test_id("new-session-start"))
    assert _all_within(page) == []


def _rgb(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def _above(upper: Locator, lower: Locator) -> bool:
    one, other = upper.bounding_box(), lower.bounding_box()
    assert one is not None and other is not None
    return one["y"] + one["height"] <= other["y"] + 0.5


def test_where_it_is_narrow_the_list_and_the_conversation_take_turns(
    log_in: Callable[..., Page],
) -> None:
    page = log_in(1, viewport=PHONE)
    item, back = conversation(page, 2), page.get_by_test_id("back")
    item.scroll_into_view_if_needed()
    expect(composer(page)).to_be_hidden()
    expect(page.get_by_test_id("log")).to_be_hidden()
    item.click()
    expect(composer(page)).to_be_visible()
    expect(item).to_be_hidden()
    expect(page.get_by_test_id("session-search")).to_be_hidden()
    back.click()
    expect(item).to_be_focused()
    expect(composer(page)).to_be_hidden()
    item.click()
    page.keyboard.press("Escape")
    expect(item).to_be_visible()
    page.set_viewport_size(DESKTOP)
    item.click()
    for thing in (item, composer(page), page.get_by_test_id("log")):
        expect(thing).to_be_visible()
    expect(back).to_be_hidden()
    page.set_viewport_size(PHONE)
    expect(composer(page)).to_be_visible()
    expect(item).to_be_hidden()


def test_colours_follow_the_system_until_others_are_chosen(log_in: Callable[..., Page]) -> None:
    page = log_in(1, color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_test_id("theme").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
