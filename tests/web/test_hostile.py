"""Text is text, wherever it comes from: names, messages, links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from web.web_kit import Site
from web.words import conversation, messages, say, write_to

pytestmark = pytest.mark.slow

#: Each would call alert() where it is taken for HTML, a URL or code.
LIST: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>here</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    'https://example.com/"onmouseover="alert(1)',
    "https://example.com/'><script>alert(1)</script>",
    "http://user:password@example.com/",
    "{{ constructor.constructor('alert(1)')() }}",
    "${alert(1)}",
    "</div></body><script>alert(1)</script>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "\u202egnp.exe <b>reversed</b>",
    "&lt;b&gt; &amp; &#x3c;",
    "a\u0000b".replace("\u0000", "\ufffd"),
    "<style>*{display:none}</style>",
    "<template><script>alert(1)</script></template>",
    "x" * 900,
)


def test_no_text_of_a_peer_becomes_more_than_text(site: Site, log_in: Callable[..., Page]) -> None:
    name = "<img src=x onerror=alert(1)>"
    first, second = log_in(1), log_in(name)
    said: list[str] = []
    for page in (first, second):
        page.on("dialog", lambda dialog: said.append(dialog.message))
    write_to(second, 1)
    say(second, *LIST)
    expect(messages(second, "sending")).to_have_count(0)
    item = conversation(first, name.replace('"', '\\"'))
    expect(item).to_contain_text(name)
    item.click()
    for text in LIST:
        expect(messages(first).filter(has_text=text).first).to_be_visible()
    assert first.locator("script:not([src])").count() == 0
    elements = messages(first).locator("script, img, svg, iframe, math, style, template, b")
    assert elements.count() == 0
    links = messages(first).locator("a").evaluate_all("all => all.map(a => a.href)")
    assert all(link.startswith(("http://", "https://")) for link in links)
    rels = messages(first).locator("a").evaluate_all("all => all.map(a => a.rel)")
    assert set(rels) <= {"noopener noreferrer"}
    assert not said
    assert site.contents() == list(LIST)
