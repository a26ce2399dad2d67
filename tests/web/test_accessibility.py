"""For everybody: axe-core finds nothing serious, and a keyboard is enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

import im_web
from web.web_kit import DESKTOP, PHONE, Site
from web.words import banner, composer, conversation, messages, say, write_to

pytestmark = pytest.mark.slow

AXE: Final = Path(im_web.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
BAD: Final = ("serious", "critical")


@pytest.fixture(scope="module")
def axe() -> str:
    """The program, as text."""
    if not AXE.is_file():
        pytest.skip("no axe-core: make test-web installs it (npm ci in adapters/im_web)")
    return AXE.read_text("utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With a conversation that has all that there is to show."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize(
    ("colours", "size", "locale"),
    [
        ("light", DESKTOP, "en-GB"),
        ("dark", DESKTOP, "zh-CN"),
        ("light", PHONE, "zh-CN"),
        ("dark", PHONE, "en-GB"),
    ],
)
def test_axe_finds_nothing_serious(
    site: Site,
    axe: str,
    new_context: Callable[..., BrowserContext],
    log_in: Callable[..., Page],
    colours: str,
    size: Any,
    locale: str,
) -> None:
    me = 10 + ["light", "dark"].index(colours) * 2 + (size is PHONE)
    options = {"color_scheme": colours, "viewport": size, "locale": locale}
    context = new_context(**options)
    found: list[str] = []

    def look(page: Page, where: str) -> None:
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found.extend(
            f"{where}: {one['id']}: {node['html']}: {node['failureSummary']}"
            for one in result["violations"]
            if one["impact"] in BAD
            for node in one["nodes"]
        )

    entrance = context.new_page()
    entrance.goto(site.url)
    entrance.get_by_test_id("login-user-1").wait_for()
    entrance.locator("summary").click()
    look(entrance, "log-in")
    entrance.close()
    other = log_in(f"other of {me}")
    write_to(other, me)
    say(other, "hello", "see https://example.com/")
    expect(messages(other, "sent")).to_have_count(2)
    page = log_in(me, context)
    expect(conversation(page, f"other of {me}").get_by_test_id("unread")).to_be_visible()
    look(page, "list")
    write_to(page, f"other of {me}")
    expect(page.get_by_test_id("divider-new")).to_be_visible()
    say(page, "an answer")
    expect(messages(page).last).to_have_attribute("data-state", "read")
    composer(page).fill("x" * 1001)
    look(page, "chat")
    composer(page).fill("")
    context.set_offline(True)
    say(page, "waits")
    expect(banner(page)).to_be_visible()
    look(page, "banner")
    context.set_offline(False)
    expect(banner(page)).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_test_id("new-session").click()
    page.get_by_test_id("new-session-book").fill("x")
    page.get_by_test_id("new-session-user").fill(str(me))
    page.get_by_test_id("new-session-start").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "new conversation")
    expired = context.new_page()
    expired.goto(f"{site.url}#token=bad&user=9")
    expect(banner(expired)).to_have_attribute("data-state", "expired")
    look(expired, "expired")
    assert found == []


def test_a_keyboard_is_enough(site: Site, new_context: Callable[..., BrowserContext]) -> None:
    page = new_context().new_page()
    keyboard = page.keyboard
    page.goto(site.url)
    page.get_by_test_id("login-user-1").wait_for()

    def tab_to(test_id: str, key: str = "Tab") -> None:
        target = page.get_by_test_id(test_id)
        for _ in range(12):
            keyboard.press(key)
            assert _shows_focus(page), page.evaluate("document.activeElement.outerHTML")
            if target.evaluate("e => e === document.activeElement"):
                return
        raise AssertionError(f"{test_id} is not reached")

    tab_to("login-user-1")
    keyboard.press("Enter")
    page.get_by_test_id("session-search").wait_for()
    for user in ("21", "22", "23"):
        tab_to("new-session", "Shift+Tab" if user != "21" else "Tab")
        keyboard.press("Enter")
        expect(page.get_by_test_id("new-session-user")).to_be_focused()
        keyboard.type(user)
        keyboard.press("Enter")
        expect(composer(page)).to_be_focused()
        keyboard.type(f"to {user}")
        keyboard.press("Shift+Enter")
        keyboard.type("two lines")
        keyboard.press("Enter")
        expect(messages(page)).to_contain_text([f"to {user}\ntwo lines"])
        keyboard.press("Escape")
        expect(conversation(page, user)).to_be_focused()
    expect(page.get_by_test_id("session-item")).to_contain_text(["to 23", "to 22", "to 21"])
    keyboard.press("ArrowDown")
    expect(conversation(page, 22)).to_be_focused()
    assert _shows_focus(page)
    keyboard.press("End")
    expect(conversation(page, 21)).to_be_focused()
    keyboard.press("Home")
    expect(conversation(page, 23)).to_be_focused()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(messages(page)).to_contain_text(["to 22"])
    expect(composer(page)).to_be_focused()
    tab_to("log", "Shift+Tab")
    tab_to("session-search", "Shift+Tab")
    keyboard.type("21")
    keyboard.press("ArrowDown")
    expect(conversation(page, 21)).to_be_focused()
    keyboard.press("Enter")
    expect(messages(page)).to_contain_text(["to 21"])


def _shows_focus(page: Page) -> bool:
    """Is it to be seen where the keyboard is, on it or on what is around it?"""
    shown: bool = page.evaluate(
        """() => {
          const focused = document.activeElement
          if (focused === document.body) return true  // at the end of the page
          const look = () => [focused, focused.parentElement].map((element) => {
            const { outline, boxShadow, borderColor } = getComputedStyle(element)
            return outline + boxShadow + borderColor
          }).join()
          const now = look()
          focused.blur()
          const then = look()
          focused.focus()
          return now !== then
        }"""
    )
    return shown


def test_a_screen_reader_is_told_of_what_comes_and_who_says_it(
    log_in: Callable[..., Page],
) -> None:
    page, other = log_in(31), log_in(32)
    write_to(page, 32)
    say(page, "hello")
    log = page.get_by_role("log", name="Messages with 32")
    expect(log).to_have_attribute("aria-live", "polite")
    write_to(other, 31)
    say(other, "good evening")
    expect(messages(page).last).to_contain_text("good evening")
    expect(messages(page).first).to_contain_text("Read")  # the receipt comes on its own way
    said = re.sub(r"\d\d:\d\d", "TIME", log.aria_snapshot())
    assert said.splitlines()[1:] == [
        "  - paragraph: This is where the conversation begins.",
        '  - text: "Today You: hello"',
        "  - time: TIME",
        '  - text: "Read 32: good evening"',
        "  - time: TIME",
    ]
    expect(page.get_by_role("region", name="Messages with 32")).to_be_visible()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    expect(page.get_by_role("textbox", name="Write to 32")).to_be_visible()
    expect(page.get_by_role("main")).to_be_visible()
