"""Ten thousand messages: all of them are there, few of them are in the page, and none jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from web.web_kit import Site, Written, write_history
from web.words import messages, write_to

pytestmark = pytest.mark.slow

COUNT: Final = 10_000
DAYS: Final = 5
#: 3 March 2025, 08:00 UTC, a Monday.
BEGIN: Final = 1_740_988_800_000
_DAY: Final = 86_400_000

#: Goes up to the beginning, each time by what is in view and drawn above it, so all are seen.
#: Notes what is drawn after each frame, and how far the first one in view has moved meanwhile.
CLIMB: Final = """
async () => {
  const log = document.querySelector('[data-testid=log]')
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
  const drawn = () => [...log.querySelectorAll('[data-testid=message]')]
  const seen = new Set(), days = new Map()
  const told = { pages: 0, most: 0, jump: 0, disorder: [] }
  const numberOf = (bubble) => parseInt(bubble.querySelector('.im-text').textContent)
  const look = () => {
    const bubbles = drawn()
    told.most = Math.max(told.most, bubbles.length)
    const numbers = bubbles.map(numberOf)
    numbers.forEach((number, i) => {
      seen.add(number)
      if (i > 0 && number !== numbers[i - 1] + 1) told.disorder.push([numbers[i - 1], number])
    })
    for (const bubble of bubbles) {
      const day = bubble.parentElement.querySelector('[data-testid=day-separator]')
      // the first that is loaded has one, until those before it are there
      if (day) days.set(numberOf(bubble), day.textContent)
      else days.delete(numberOf(bubble))
    }
    return bubbles
  }
  const over = () => log.getAttribute('aria-busy') !== 'true' && log.scrollTop < 1
  look()
  while (!over()) {
    log.scrollTop = Math.max(log.scrollTop - log.clientHeight - 1200, 0)
    await painted()
    const top = log.getBoundingClientRect().top
    const anchor = look().find((bubble) => bubble.getBoundingClientRect().bottom > top)
    const number = numberOf(anchor), place = anchor.getBoundingClientRect().top
    const height = log.scrollHeight
    do {
      await painted()
      const same = look().find((bubble) => numberOf(bubble) === number)
      const moved = same ? Math.abs(same.getBoundingClientRect().top - place) : Infinity
      told.jump = Math.max(told.jump, moved)
    } while (log.getAttribute('aria-busy') === 'true')
    if (log.scrollHeight > height) told.pages++
  }
  look()
  const byNumber = (a, b) => a[0] - b[0]
  return { ...told, seen: [...seen].sort((a, b) => a - b), days: [...days].sort(byNumber) }
}
"""


def _content(n: int) -> str:
    """Of different heights: what is out of view is guessed, and turns out otherwise."""
    words = " word" * (60 if n % 13 == 0 else n % 7)
    return f"{n}{words}" + "\n." * (n % 11 == 0)


def _history() -> Iterator[Written]:
    of_a_day = COUNT // DAYS
    for n in range(COUNT):
        day, of_it = divmod(n, of_a_day)
        sender, to = ((1, 2), (2, 1))[n // 3 % 2]
        yield Written(sender, to, _content(n), BEGIN + day * _DAY + of_it // 4 * 60_000)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With the history, for good, which is no news for who logs in."""
    limits = ("retention_age=none", "first_login=latest", "messages_per_second=10000")
    made = Site(tmp_path, *limits)
    write_history(made.database, _history())
    with made:
        yield made


def test_ten_thousand_messages_are_climbed_to_the_first_without_a_jump(
    log_in: Callable[..., Page],
) -> None:
    page = log_in(1, timezone_id="UTC", viewport={"width": 1280, "height": 1600})
    write_to(page, 2)
    expect(messages(page).last).to_contain_text(f"{COUNT - 1}")
    told: dict[str, Any] = page.evaluate(CLIMB)
    assert told["seen"] == list(range(COUNT))
    assert told["disorder"] == []
    assert told["most"] < 300
    assert told["jump"] <= 2
    assert told["pages"] > COUNT / 100 / 2
    of_a_day = COUNT // DAYS
    assert told["days"] == [
        [n * of_a_day, f"{name} {3 + n} March 2025"]
        for n, name in enumerate(("Mon,", "Tue,", "Wed,", "Thu,", "Fri,"))
    ]
    page.get_by_test_id("jump-newest").click()
    expect(messages(page).last).to_contain_text(f"{COUNT - 1}")
    expect(messages(page).last).to_be_in_viewport()
    expect(page.get_by_test_id("jump-newest")).to_have_count(0)
    assert messages(page).count() < 300
