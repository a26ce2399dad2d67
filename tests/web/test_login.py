"""Who one is: picked, pasted, in the address, refused, expired, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from im_server import make_token
from im_server.tokens import LEEWAY
from web.web_kit import Site
from web.words import banner, conversation, log_in_with, messages, say, write_to

pytestmark = pytest.mark.slow

SECRET: Final = "a secret of the browser's tests, long enough"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """It takes signed tokens only."""
    with Site(tmp_path_factory.mktemp("site"), options=("--secret", SECRET)) as site:
        yield site


@pytest.fixture
def page(site: Site, new_context: Callable[..., BrowserContext]) -> Page:
    """Of somebody who is not logged in."""
    page = new_context().new_page()
    page.goto(site.url)
    return page


def _token(user: int, expires_in: float = 600.0) -> str:
    return make_token(user, SECRET, expires_in=expires_in)


def _kept(page: Page) -> str:
    """All that the page has put into the browser's storages, and its address."""
    stored: str = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, document.cookie])"
    )
    return stored


def test_on_a_server_for_development_a_user_is_picked_and_stays_over_a_reload(
    tmp_path_factory: pytest.TempPathFactory, new_context: Callable[..., BrowserContext]
) -> None:
    with Site(tmp_path_factory.mktemp("dev")) as site:
        page = new_context().new_page()
        page.goto(site.url)
        page.get_by_test_id("login-user-2").click()
        write_to(page, 1)
        say(page, "it is me")
        expect(messages(page, "sent")).to_have_count(1)
        assert site.contents(2) == ["it is me"]
        page.reload()
        expect(conversation(page, 1)).to_contain_text("it is me")
        page.get_by_test_id("log-out").click()
        expect(page.get_by_test_id("login-user-2")).to_be_visible()
        page.reload()
        expect(page.get_by_test_id("login-user-2")).to_be_visible()
        assert "dev:2" not in _kept(page)


def test_the_one_that_a_pasted_token_names_is_logged_in_and_logging_out_forgets_the_token(
    site: Site, page: Page
) -> None:
    token = _token(11)
    log_in_with(page, f"  {token}\n")
    write_to(page, 12)
    say(page, "by a token")
    expect(messages(page, "sent")).to_have_count(1)
    assert site.contents(11) == ["by a token"]
    expect(banner(page)).to_have_count(0)
    assert token in _kept(page)
    page.get_by_test_id("log-out").click()
    expect(page.get_by_test_id("login-token")).to_have_value("")
    assert token not in _kept(page)
    page.reload()
    expect(page.get_by_test_id("login-token")).to_be_visible()


def test_a_token_that_the_server_refuses_says_so_and_a_good_one_goes_on(
    site: Site, page: Page
) -> None:
    log_in_with(page, make_token(13, "another secret, of the same length or so"))
    expect(banner(page)).to_have_attribute("data-state", "expired")
    expect(banner(page)).to_contain_text("Your log-in has expired, or was refused.")
    page.get_by_test_id("renew-token").fill(_token(13))
    page.get_by_test_id("renew-submit").click()
    expect(banner(page)).to_have_count(0)
    write_to(page, 12)
    say(page, "refused at first")
    expect(messages(page, "sent")).to_have_count(1)
    assert site.contents(13) == ["refused at first"]


def test_a_token_that_names_nobody_asks_who_it_is_and_is_refused(page: Page) -> None:
    expect(page.get_by_test_id("login-user-id")).to_have_count(0)
    page.get_by_test_id("login-token").fill("no token at all")
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("login-user-id").fill("14")
    page.get_by_test_id("login-submit").click()
    expect(banner(page)).to_have_attribute("data-state", "expired")
    banner(page).get_by_role("button", name="Log in").click()
    expect(page.get_by_test_id("login-token")).to_be_visible()


def test_what_is_written_with_an_expired_log_in_goes_out_with_a_new_one(
    site: Site, page: Page
) -> None:
    # good for two or three seconds: the clock of who has signed it may be slow
    log_in_with(page, _token(15, expires_in=3.0 - LEEWAY))
    write_to(page, 16)
    expect(banner(page)).to_have_attribute("data-state", "expired")
    say(page, "still here?", "I shall wait")
    expect(banner(page)).to_have_attribute("data-queued", "2")
    assert site.contents(15) == []
    page.get_by_test_id("renew-token").fill(_token(15))
    page.get_by_test_id("renew-submit").click()
    expect(banner(page)).to_have_count(0)
    expect(messages(page, "sent")).to_have_count(2)
    assert site.contents(15) == ["still here?", "I shall wait"]


def test_a_token_of_the_address_logs_in_and_is_gone_from_it_at_once(
    site: Site, new_context: Callable[..., BrowserContext]
) -> None:
    token = _token(17)
    asked: list[str] = []
    page = new_context().new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}#token={token}")
    write_to(page, 18)
    say(page, "by a link")
    expect(messages(page, "sent")).to_have_count(1)
    assert page.evaluate("location.href") == site.url
    assert asked and not any(token in url for url in asked)
    page.go_back()
    assert token not in page.url
