"""A server that is really killed, a page really reloaded: nothing is lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Error, Page, WebSocketRoute, expect

from web.web_kit import Site
from web.words import messages, say, wait_until_kept, write_to

pytestmark = pytest.mark.slow


def test_messages_queued_in_the_page_survive_a_killed_server_and_a_reload(
    site: Site, log_in: Callable[..., Page]
) -> None:
    first, second = log_in(1), log_in(2)
    write_to(first, 2)
    say(first, "before")
    write_to(second, 1)
    expect(messages(second)).to_contain_text(["before"])
    site.kill()
    expect(first.get_by_test_id("banner")).to_have_attribute("data-state", "reconnecting")
    queued = [f"while it was down {n}" for n in range(5)]
    say(first, *queued)
    expect(messages(first, "sending")).to_have_count(5)
    wait_until_kept(first, 5)
    with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
        first.reload()  # the page comes from the server that is down: what it had is gone
    site.start()
    first.goto(site.url)
    write_to(first, 2)
    say(first, "after the reload")
    expect(messages(first, "sending")).to_have_count(0)
    everything = ["before", *queued, "after the reload"]
    expect(messages(first)).to_contain_text(everything)
    expect(messages(second)).to_have_count(len(everything))
    expect(messages(second)).to_contain_text(everything)
    assert site.contents() == everything


def test_a_message_whose_answer_was_lost_with_the_server_is_stored_once(
    site: Site, log_in: Callable[..., Page]
) -> None:
    first, second = log_in(1), log_in(2)
    write_to(first, 2)
    say(first, "the first")
    expect(messages(first, "delivered")).to_have_count(1)
    everything = ["the first", *(f"{n}" for n in range(30))]
    say(first, *everything[1:15])
    site.kill()  # some of them are on their way
    say(first, *everything[15:])
    site.start()
    expect(messages(first, "sending")).to_have_count(0)
    write_to(second, 1)
    expect(messages(second)).to_have_count(len(everything))
    assert site.contents() == everything


def test_a_conversation_that_is_opened_before_the_log_in_has_its_history_after_it(
    site: Site,
    log_in: Callable[..., Page],
    new_context: Callable[..., BrowserContext],
) -> None:
    first, second = log_in(1), log_in(2)
    write_to(first, 2)
    write_to(second, 1)
    say(first, "before")
    expect(messages(first, "read")).to_have_count(1)
    first.context.close()
    # what the page says to the server waits: the log-in is the first of that
    held: list[tuple[WebSocketRoute, str | bytes]] | None = []
    routed = 0

    def route(socket: WebSocketRoute) -> None:
        nonlocal routed
        routed += 1
        server = socket.connect_to_server()
        socket.on_message(
            lambda said: server.send(said) if held is None else held.append((server, said))
        )

    context = new_context()
    context.route_web_socket("**/*", route)
    again = log_in(1, context)
    write_to(again, 2)
    waiting, held = held, None
    for server, said in waiting:
        server.send(said)
    expect(messages(again)).to_contain_text(["before"])
    assert routed
