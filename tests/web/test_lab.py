"""`im lab`: everything that goes wrong on its page leaves nothing lost and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from web.web_kit import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture
def lab() -> Iterator[str]:
    """Where it is. At the end Ctrl-C has to be enough."""
    process = subprocess.Popen(
        [sys.executable, "-m", "im_cli", "lab", "--no-open", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    yield told["url"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def side(page: Page, name: str) -> Locator:
    """One of the two windows."""
    return page.get_by_role("region", name=name, exact=True)


def both_are(page: Page, status: str) -> None:
    """Wait until both clients say so of themselves."""
    expect(page.locator(f".status-{status}")).to_have_count(2)


def tally(page: Page) -> Locator:
    """Its numbers, with their names."""
    return page.get_by_role("region", name="Tally").locator("div:has(> dt)")


def tallied(page: Page, name: str) -> Locator:
    """A number of the tally."""
    return tally(page).filter(has=page.get_by_text(name, exact=True)).locator("dd")


def all_tallied(page: Page) -> dict[str, str]:
    """All numbers, of one moment."""
    read = "all => Object.fromEntries(all.map(one => [...one.children].map(e => e.textContent)))"
    found: dict[str, str] = tally(page).evaluate_all(read)
    return found


def press(where: Page | Locator, name: str) -> None:
    """Press a button by its name."""
    where.get_by_role("button", name=name, exact=True).click()


def test_whatever_is_done_to_the_two_nothing_is_lost_and_nothing_comes_twice(
    lab: str, new_context: Callable[..., BrowserContext]
) -> None:
    page = new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.goto(lab)
    both_are(page, "authenticated")
    press(page, "100 messages each way")
    press(page, "kill")
    press(page, "100 messages each way")
    both_are(page, "reconnecting")
    press(page, "start")
    both_are(page, "authenticated")
    press(side(page, "Alice"), "reset")
    press(side(page, "Bob"), "half")
    press(side(page, "Bob"), "expire")
    press(side(page, "Alice"), "+60 s")
    press(side(page, "Bob"), "sleep")
    press(page, "100 messages each way")
    press(page, "restart")
    expect(tallied(page, "sent")).to_have_text("600")
    expect(tallied(page, "accepted")).to_have_text("600", timeout=4 * PATIENCE * 1000)
    expect(tallied(page, "received")).to_have_text("600", timeout=2 * PATIENCE * 1000)
    for name in ("lost", "duplicated", "out of order"):
        expect(tallied(page, name)).to_have_text("0")
    numbers = all_tallied(page)
    assert int(numbers["reconnects"]) >= 2
    assert numbers["resumed"] == numbers["reconnects"]


def test_the_states_of_an_engine_are_lit_and_its_deadlines_count_down(
    lab: str, new_context: Callable[..., BrowserContext]
) -> None:
    page = new_context().new_page()
    page.goto(lab)
    alice = side(page, "Alice")
    diagram = alice.get_by_label("The states of reconnect; now: established")
    expect(diagram).to_be_visible()
    expect(alice).to_contain_text("the next heartbeat")
    press(page, "kill")
    expect(alice.get_by_label("The states of reconnect; now: waiting")).to_be_visible()
    expect(alice).to_contain_text("the next attempt")
    press(page, "start")
    expect(diagram).to_be_visible()
