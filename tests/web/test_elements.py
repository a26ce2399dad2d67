"""The custom elements, on a page of another site that allows very little."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from web.web_kit import Site
from web.words import composer, conversation, messages, say, write_to

pytestmark = pytest.mark.slow

#: What docs/how-to/the-page.md tells such a site to allow, and nothing else but its own.
POLICY: Final = (
    "default-src 'none'; script-src 'self' {site}; style-src 'self'; connect-src 'self' {socket}; "
    "require-trusted-types-for 'script'; trusted-types vue"
)
STYLE: Final = """
im-chat-page { display: block; height: 600px; --im-bubble-own: rgb(1, 2, 3); }
#parts { display: grid; grid-template-columns: 300px 1fr; height: 600px; }
"""
WHOLE: Final = """<!doctype html><html lang="en"><title>A shop</title>
<link rel="stylesheet" href="style.css">
<script type="module" src="{site}/lib/im-elements.js"></script>
<im-chat-page ws-url="{socket}/ws" user-id="41" lang="en"></im-chat-page>
<script type="module" src="whole.js"></script>
"""
WHOLE_JS: Final = """
await customElements.whenDefined('im-chat-page')
globalThis.asked = 0
document.querySelector('im-chat-page').token = async () => {
  asked++
  return (await fetch('token')).text()
}
"""
PARTS: Final = """<!doctype html><html lang="en"><title>A shop</title>
<link rel="stylesheet" href="style.css">
<div id="parts"><im-session-list></im-session-list><im-chat-window></im-chat-window></div>
<script type="module" src="{script}.js"></script>
"""
SHARED_JS: Final = """
import {{ IMClient }} from '{site}/lib/im-client.js'
import '{site}/lib/im-elements.js'

const client = new IMClient({{ wsUrl: '{socket}/ws', userId: 43, token: 'dev:43' }})
const list = document.querySelector('im-session-list')
const chat = document.querySelector('im-chat-window')
list.client = chat.client = client
list.addEventListener('session-select', (event) => (chat.session = event.detail))
await client.connect()
"""
ALONE_JS: Final = """
import '{site}/lib/im-elements.js'

const session = (id, sellerId) => ({{ id, bookId: 7, buyerId: 45, sellerId, sessionStatus: 1 }})
const list = document.querySelector('im-session-list')
const chat = document.querySelector('im-chat-window')
globalThis.events = []
list.userId = chat.userId = 45
list.sessions = [session(1, 46), session(2, 47)]
list.addEventListener('session-select', (event) => {{
  events.push(['session-select', event.detail.id])
  chat.session = event.detail
}})
chat.addEventListener('send-message', (event) => events.push(['send-message', event.detail]))
"""


class _Shop:
    """Another site, on a port of its own."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.policy = ""
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = shop.files.get(self.path)
                self.send_response(404 if body is None else 200)
                kinds = {".js": "text/javascript", ".css": "text/css", "": "text/html"}
                kind = kinds[Path(self.path).suffix]
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Security-Policy", shop.policy)
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, **names: str) -> None:
        """Fill the addresses into the files."""
        self.policy = POLICY.format(**names)
        self.files = {
            "/whole": WHOLE.format(**names),
            "/whole.js": WHOLE_JS,
            "/token": "dev:41",
            "/shared": PARTS.format(script="shared"),
            "/shared.js": SHARED_JS.format(**names),
            "/alone": PARTS.format(script="alone"),
            "/alone.js": ALONE_JS.format(**names),
            "/style.css": STYLE,
            "/favicon.ico": "",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def shop() -> Iterator[_Shop]:
    """The other site."""
    with _Shop() as shop:
        yield shop


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shop: _Shop) -> Iterator[Site]:
    """The server that lets its pages connect."""
    options = ("--dev", "--origin", shop.origin)
    with Site(tmp_path_factory.mktemp("site"), options=options) as site:
        address = site.url.rstrip("/")
        shop.serve(site=address, socket=address.replace("http", "ws", 1))
        yield site


@pytest.fixture
def open_page(
    site: Site, shop: _Shop, new_context: Callable[..., BrowserContext]
) -> Callable[[str], Page]:
    """Opens a page of the shop; that nothing breaks its policy is seen to by `new_context`."""

    def open_page(name: str) -> Page:
        page = new_context().new_page()
        page.goto(f"{shop.origin}/{name}")
        return page

    return open_page


def test_the_whole_chat_works_in_a_page_of_another_site(
    site: Site, open_page: Callable[[str], Page], log_in: Callable[..., Page]
) -> None:
    page, other = open_page("whole"), log_in(42)
    write_to(page, 42)
    say(page, "from the shop")
    expect(messages(page).last).to_have_attribute("data-state", "delivered")
    conversation(other, 41).click()
    say(other, "from the page")
    expect(messages(page)).to_contain_text(["from the shop", "from the page"])
    assert site.contents(41) == ["from the shop"]
    assert page.evaluate("asked") == 1
    assert page.locator("im-chat-page").get_attribute("token") is None


def test_an_element_has_its_styles_and_takes_the_colours_of_the_page_around_it(
    site: Site, open_page: Callable[[str], Page]
) -> None:
    page = open_page("whole")
    write_to(page, 44)
    say(page, "is it blue?")
    bubble = messages(page).last.locator(".im-bubble")
    expect(bubble).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(bubble).not_to_have_css("border-top-left-radius", "0px")
    element, window = page.locator("im-chat-page"), page.locator(".im-page")
    assert element.bounding_box() == window.bounding_box()
    assert page.evaluate("document.querySelectorAll('style').length") == 0
    button = page.get_by_test_id("send").bounding_box()
    assert button is not None and button["width"] >= 24 and button["height"] >= 24


def test_a_list_and_a_window_share_a_client_of_the_page(
    site: Site, open_page: Callable[[str], Page], log_in: Callable[..., Page]
) -> None:
    other = log_in(44)
    write_to(other, 43)
    say(other, "anybody there?")
    page = open_page("shared")
    conversation(page, 44).click()
    expect(messages(page)).to_contain_text(["anybody there?"])
    say(page, "yes")
    expect(messages(other)).to_contain_text(["anybody there?", "yes"])
    assert site.contents(43) == ["yes"]


def test_without_a_client_they_show_what_they_are_given_and_tell_what_is_done(
    site: Site, open_page: Callable[[str], Page]
) -> None:
    page = open_page("alone")
    expect(page.get_by_test_id("session-item")).to_contain_text(["46", "47"])
    conversation(page, 47).click()
    expect(page.get_by_role("heading", name="47")).to_be_visible()
    expect(messages(page)).to_have_count(0)
    say(page, "told, not sent")
    expect(composer(page)).to_have_value("")
    assert page.evaluate("events") == [["session-select", 2], ["send-message", "told, not sent"]]
    page.evaluate(
        """() => {
          document.querySelector('im-chat-window').messages = [
            { id: 'a', mine: true, from: 45, msgId: 1, content: '<b>told</b>', messageType: 'text',
              time: Date.now(), state: 'read', seen: null, key: null, error: null },
          ]
        }"""
    )
    expect(messages(page)).to_contain_text(["<b>told</b>"])
    expect(messages(page)).to_have_attribute("data-state", "read")
