"""The example of a site with the server in it, run by a real uvicorn; and its page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import uvicorn

from adapters.adapter_kit import run, until
from docs.test_examples import ROOT, blocks, load
from im_asyncio import ClientConfig, IMClient
from im_server.app import listen, url_of

EXAMPLE = ROOT / "examples" / "fastapi_site.py"


def test_the_page_quotes_the_example_and_all_of_it() -> None:
    quoted = blocks(ROOT / "docs" / "how-to" / "embed-the-server.md", "python")[0]
    assert EXAMPLE.read_text("utf-8").partition('"""\n\n')[2] == quoted
    assert sum(bool(line.strip()) for line in quoted.splitlines()) <= 25


@run
async def test_a_site_writes_to_its_users_and_they_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    site = load(EXAMPLE)
    with listen("127.0.0.1", 0) as sock:
        server = uvicorn.Server(uvicorn.Config(site.app, log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        url = url_of(sock)
        ws_url = url.replace("http", "ws") + "/ws"
        ann = ClientConfig(ws_url=ws_url, token="token-of-ann", user_id=2)
        shop = ClientConfig(ws_url=ws_url, token="token-of-shop", user_id=1)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
            await until(lambda: server.started)
            away = (await browser.post("/orders/2")).json()
            async with IMClient(ann) as client, IMClient(shop) as clerk:
                messages = aiter(client.messages())
                first = await anext(messages)
                assert (first.content, first.from_user) == ("Thank you for your order!", 1)
                assert first.msg_id == away["msgId"] and away["reads it now"] is False
                there = (await browser.post("/orders/2")).json()
                assert there["reads it now"] is True
                assert (await anext(messages)).msg_id == there["msgId"]
                await client.send_message(1, "When will it come?")
                questions = aiter(clerk.messages())
                while (question := await anext(questions)).from_user != 2:
                    pass
                assert question.content == "When will it come?"
            assert (await browser.get("/healthz")).json()["status"] == "ok"
        server.should_exit = True
        await serving
    assert (tmp_path / "chat.db").exists()
    assert capsys.readouterr().out == "send a mail to 2\n"
