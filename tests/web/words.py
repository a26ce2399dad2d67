"""What a user does on the page, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Locator, Page, expect

#: Are there so many in a journal of this browser? A bubble is drawn before it is in there.
_KEPT: Final = """
async (count) => {
  const answer = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  for (const { name } of await indexedDB.databases()) {
    const database = await answer(indexedDB.open(name))
    const kept = await answer(database.transaction('outgoing').objectStore('outgoing').count())
    database.close()
    if (kept === count) return true
  }
  return false
}
"""
#: Who was told of another size may draw anew, so of two frames.
_PAINTED: Final = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
  await frame()
  await frame()
}
"""


def write_to(page: Page, user: int | str) -> None:
    """Open the conversation with somebody, new or not."""
    item = conversation(page, user)
    if item.count():
        item.click()
    else:
        page.get_by_test_id("new-session").click()
        page.get_by_test_id("new-session-user").fill(str(user))
        page.get_by_test_id("new-session-start").click()
    expect(item).to_have_attribute("aria-current", "true")  # else the composer is another's


def conversation(page: Page, user: int | str) -> Locator:
    """Somebody's line in the list."""
    return page.locator(f'[data-testid="session-item"][data-user="{user}"]')


def say(page: Page, *texts: str) -> None:
    """Write into the open conversation."""
    for text in texts:
        page.get_by_test_id("composer").fill(text)
        page.get_by_test_id("composer").press("Enter")


def messages(page: Page, state: str | None = None) -> Locator:
    """The bubbles that are drawn, or those in that state."""
    return page.locator(
        '[data-testid="message"]' + (f'[data-state="{state}"]' if state is not None else "")
    )


def banner(page: Page) -> Locator:
    """What is said about the connection; absent while all is well."""
    return page.get_by_test_id("banner")


def composer(page: Page) -> Locator:
    """Where a message is written."""
    return page.get_by_test_id("composer")


def log_in_with(page: Page, token: str) -> None:
    """Paste a token into the form of a page that asks for one."""
    page.get_by_test_id("login-token").fill(token)
    page.get_by_test_id("login-submit").click()


def wait_until_kept(page: Page, count: int) -> None:
    """Wait until so many messages that wait to be sent would outlive the page."""
    page.wait_for_function(_KEPT, arg=count)


def painted(page: Page) -> None:
    """Wait until what the page does in its next frames is done and to be seen."""
    page.evaluate(_PAINTED)


@contextlib.contextmanager
def looking_elsewhere(page: Page) -> Iterator[None]:
    """Another window is in front of the page; at the end the page is in front again."""
    protocol = page.context.new_cdp_session(page)
    # else Playwright tells each page that it has the focus
    protocol.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    other = page.context.new_page()
    other.bring_to_front()
    page.wait_for_function("!document.hasFocus()")
    yield
    other.close()
    page.bring_to_front()
    page.wait_for_function("document.hasFocus()")
    protocol.detach()
