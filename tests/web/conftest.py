"""The browser of the tests in this folder: one for each file, a new context for each user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from web.web_kit import FLAGS, PATIENCE, Site, chromium

sync_playwright: Any = None
with suppress(ModuleNotFoundError):
    from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)


class _Without(pytest.Module):
    def collect(self) -> NoReturn:
        pytest.skip("no Playwright: pip install -e '.[dev]'")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    """Without Playwright no file here can even be read."""
    return None if sync_playwright else _Without.from_parent(parent, path=module_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Until the file's end: its event loop would be in the way of other files' tests."""
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server of this test's own."""
    with Site(tmp_path) as site:
        yield site


def _noon() -> str:
    """A time zone where it is about noon: "Today" is the same day until a test has ended."""
    east = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}"  # by POSIX, whose signs are the other way round


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser of its own for a user: no storage is shared with another's."""
    made: list[BrowserContext] = []
    faults: list[str] = []

    def new(**options: Any) -> BrowserContext:
        usual = {"locale": "en-GB", "timezone_id": _noon()}
        context = browser.new_context(**(usual | options))
        context.set_default_timeout(PATIENCE * 1000)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on(
            "console",
            lambda said: faults.append(said.text) if "Content Security" in said.text else None,
        )
        made.append(context)
        return context

    yield new
    for context in made:
        context.close()
    assert not faults, "the page has thrown, or broken its Content-Security-Policy"


@pytest.fixture
def log_in(site: Site, new_context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """Opens the page as a user of `--dev`, in a context of its own or in a given one."""

    def log_in(user: int | str, context: BrowserContext | None = None, **options: Any) -> Page:
        page = (context or new_context(**options)).new_page()
        page.goto(f"{site.url}#token=dev:{user}&user={user}")
        page.get_by_test_id("session-search").wait_for()
        return page

    return log_in
