"""Takes the pictures of the page and of the fault lab, docs/images/*.png.

    python docs/make_screenshots.py [page | lab]

A real server, a real browser (Chromium, or the one that IM_TEST_BROWSER names), two users. Clock,
language and conversation are given, so the page's pictures change only with the page and the
machine's fonts; the lab's has a minute of chaos behind it, whose numbers are never quite the same.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "adapters"), str(ROOT / "tests")]

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright  # noqa: E402

from web.web_kit import DESKTOP, FLAGS, PHONE, Site, Written, chromium, write_history  # noqa: E402
from web.words import composer, conversation  # noqa: E402

IMAGES: Final = Path(__file__).with_name("images")
#: Each picture, and what it shows.
PICTURES: Final = {
    "page.png": "the page",
    "page-dark.png": "in the dark",
    "page-phone.png": "on a phone",
    "lab.png": "the fault lab after a minute of chaos",
}
#: The most bytes of a picture: the README loads two of them.
LARGEST: Final = 150_000
#: The page's clock: a Thursday evening.
NOW: Final = datetime(2026, 3, 12, 19, 46, tzinfo=UTC)
LAB: Final[ViewportSize] = {"width": 1600, "height": 1240}
#: A minute of chaos, the time until all is quiet, and some more.
PATIENCE: Final = 240_000.0

ALICE, BOB, CAROL, MING = 1, 2, 3, 4
#: Who said what, how many minutes before NOW.
TALK: Final = (
    (BOB, ALICE, 1590, "Hello! Is the atlas still for sale? And how is the binding?"),
    (ALICE, BOB, 1572, "It is 🙂 The Stieler, 1907, all hundred plates."),
    (
        ALICE,
        BOB,
        1566,
        "Half leather, a bit rubbed at the corners. The hinges are tight, and no plate is loose. "
        "I have put photos here: https://books.example/atlas/stieler-1907",
    ),
    (BOB, ALICE, 1560, "They look good, thank you. I shall sleep on it."),
    (MING, ALICE, 190, "书已经收到了，谢谢！"),
    (BOB, ALICE, 31, "I have slept on it."),
    (BOB, ALICE, 30, "Would you take 180 for it?"),
    (ALICE, BOB, 26, "195, and I bring it to you on Saturday.\nIt weighs six kilos …"),
    (BOB, ALICE, 22, "📚"),
    (BOB, ALICE, 21, "Deal! Saturday at eleven?"),
    (ALICE, BOB, 3, "Saturday at eleven it is. I shall be at your door."),
)
UNREAD: Final = (
    (CAROL, ALICE, 65, "Good evening! Is Faust I gone?"),
    (CAROL, ALICE, 64, "If not, could you hold it until Monday?"),
)


def main() -> int:
    """Take those that are asked for, or all."""
    wanted = sys.argv[1:] or ["page", "lab"]
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="im-") as directory:
        flags = [*FLAGS, "--font-render-hinting=none", "--hide-scrollbars"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        if "page" in wanted:
            take_page(browser, Path(directory))
        if "lab" in wanted:
            take_lab(browser)
        browser.close()
    for name in PICTURES:
        size = (IMAGES / name).stat().st_size
        if size > LARGEST:
            raise SystemExit(f"{name} has {size} bytes, more than {LARGEST}")
    return 0


def take_page(browser: Browser, directory: Path) -> None:
    """The page in its three looks. Alice's pictures, while Bob writes to her."""
    site = Site(directory, "first_login=latest", "session_lifetime=none")
    with site:
        seller = _open(browser, site, ALICE)
        about = {BOB: 1907, CAROL: 1808}
        for user, book in about.items():
            _begin_session(seller, user, book)
        seller.close()
        site.stop()
        sessions = {user: number for number, user in enumerate(about, 1)}
        for talk in (TALK, UNREAD):
            history = [
                Written(
                    sender,
                    to,
                    text,
                    int((NOW - timedelta(minutes=before)).timestamp()) * 1000,
                    sessions.get(sender, sessions.get(to)),
                )
                for sender, to, before, text in talk
            ]
            write_history(site.database, history, read=talk is TALK)
        site.start()
        alice, bob, _ = (_open(browser, site, user) for user in (ALICE, BOB, CAROL))
        conversation(bob, ALICE).click()
        conversation(alice, BOB).click()
        for user in (BOB, CAROL):
            expect(conversation(alice, user).get_by_text("Online")).to_have_count(1)
        for name, size, colours in (
            ("page.png", DESKTOP, "light"),
            ("page-dark.png", DESKTOP, "dark"),
            ("page-phone.png", PHONE, "light"),
        ):
            alice.set_viewport_size(size)
            alice.emulate_media(color_scheme="dark" if colours == "dark" else "light")
            alice.get_by_test_id("log").evaluate("e => e.scrollTo(0, e.scrollHeight)")
            composer(bob).press_sequentially("I shall have")
            alice.get_by_test_id("typing").wait_for()
            _take(alice, name)


def take_lab(browser: Browser) -> None:
    """The lab, when the chaos is over and nothing is lost."""
    with _lab() as url:
        page = browser.new_context(locale="en-GB", viewport=LAB, reduced_motion="reduce").new_page()
        page.goto(url)
        page.get_by_label("Write to").first.wait_for()
        page.get_by_label("seed").fill("7")
        page.get_by_role("button", name="chaos", exact=True).click()
        page.locator(".news b").wait_for(timeout=PATIENCE)
        tally = page.get_by_label("Tally")
        tally.locator(".verdict.sure").wait_for(timeout=PATIENCE)
        said = tally.locator(".faults dd").all_inner_texts()
        if said != ["0", "0", "0"]:
            raise SystemExit(f"lost, duplicated, out of order: {said}")
        _take(page, "lab.png")
        page.context.close()  # the lab waits for who still listens


@contextmanager
def _lab() -> Iterator[str]:
    """`im lab`; gives the address of its page."""
    command = [sys.executable, "-m", "im_cli", "lab", "--no-open", "--json"]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    with subprocess.Popen(  # noqa: S603 - our own
        command, stdout=subprocess.PIPE, text=True, env=os.environ | path
    ) as lab:
        assert lab.stdout is not None
        told: dict[str, Any] = json.loads(lab.stdout.readline())
        try:
            yield str(told["url"])
        finally:
            lab.terminate()


def _open(browser: Browser, site: Site, user: int) -> Page:
    """The page of a user, at NOW, in London."""
    context = browser.new_context(
        locale="en-GB", timezone_id="UTC", viewport=DESKTOP, reduced_motion="reduce"
    )
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto(f"{site.url}#token=dev:{user}&user={user}")
    page.get_by_test_id("session-search").wait_for()
    return page


def _begin_session(page: Page, user: int, book: int) -> None:
    """A conversation about a book, as its seller."""
    page.get_by_test_id("new-session").click()
    page.get_by_test_id("new-session-user").fill(str(user))
    page.get_by_test_id("new-session-book").fill(str(book))
    page.get_by_label("seller").check()
    page.get_by_test_id("new-session-start").click()
    composer(page).wait_for()


def _take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=IMAGES / name, animations="disabled", caret="hide")
    if (IMAGES / name).stat().st_size > LARGEST:
        (IMAGES / name).write_bytes(with_palette((IMAGES / name).read_bytes()))


def with_palette(png: bytes) -> bytes:
    """The same picture in its 256 most frequent colours; all others take the nearest of them.

    Reads what Chromium writes: 8 bits, RGB or RGBA, without interlacing.
    """
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert depth == 8 and kind in (2, 6) and rest == [0, 0, 0]
    step = 3 if kind == 2 else 4
    raw = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    rows = _unfiltered(raw, width * step, step)
    pixels = [[row[i : i + 3] for i in range(0, len(row), step)] for row in rows]
    palette = [c for c, _ in Counter(itertools.chain.from_iterable(pixels)).most_common(256)]
    known = {colour: number for number, colour in enumerate(palette)}

    def nearest(colour: bytes) -> int:
        if colour not in known:
            far = [sum((a - b) ** 2 for a, b in zip(colour, c, strict=True)) for c in palette]
            known[colour] = far.index(min(far))
        return known[colour]

    packed = b"".join(b"\0" + bytes(map(nearest, row)) for row in pixels)
    written = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(packed, 9)),
        (b"IEND", b""),
    )
    return png[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in written
    )


def _unfiltered(raw: bytes, line: int, step: int) -> Iterator[bytes]:
    """The rows of a picture, as RFC 2083 section 6 filters them."""
    above = bytearray(line)
    for start in range(0, len(raw), line + 1):
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + line])
        for i in range(line) if how else ():
            left, up = (row[i - step] if i >= step else 0), above[i]
            corner = above[i - step] if i >= step else 0
            if how == 4:
                guess = left + up - corner
                said = min((left, up, corner), key=lambda value: abs(guess - value))
            else:
                said = (0, left, up, (left + up) // 2)[how]
            row[i] = (row[i] + said) & 255
        above = row
        yield bytes(row)


if __name__ == "__main__":
    sys.exit(main())
