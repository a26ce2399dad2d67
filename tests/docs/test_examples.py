"""What the documentation shows, run: the README's client, the bot, the other event loop."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from adapters.adapter_kit import run
from im_asyncio import ClientConfig, IMClient
from server.server_kit import running_server, token

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "README.zh-CN.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def load(path: Path) -> ModuleType:
    """A script as a module, without running its main()."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_shown_as_python_is_python(page: Path) -> None:
    if page.name != "reference.md":  # signatures without bodies
        for block in blocks(page, "python"):
            ast.parse(block.replace("…", "..."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
@run
async def test_the_readmes_client_works_as_it_stands(page: str) -> None:
    (source,) = blocks(ROOT / page, "python")
    assert len(source.strip().splitlines()) == 12
    async with running_server() as server:
        source = source.replace("ws://127.0.0.1:8080/ws", server.url)
        source = source.replace("dev:1", token(1)).replace("asyncio.run(main())", "")
        names: dict[str, object] = {}
        exec(compile(source, page, "exec"), names)
        main = names["main"]
        assert callable(main)
        shown = asyncio.ensure_future(main())
        config = ClientConfig(ws_url=server.url, token=token(2), user_id=2)
        async with IMClient(config) as other:
            question = await anext(aiter(other.messages()))
            assert question.from_user == 1
            await other.send_message(1, "yes")
        shown.cancel()
        await asyncio.wait([shown])


@run
async def test_the_bot_answers_each_message_once() -> None:
    bot = load(ROOT / "examples" / "echo_bot.py")
    async with running_server() as server:
        config = ClientConfig(ws_url=server.url, token=token(9), user_id=9, device_id="echo-bot")
        me = ClientConfig(ws_url=server.url, token=token(1), user_id=1)
        async with IMClient(me) as client:
            answers = aiter(client.messages())
            for text in ("one", "two"):  # a new process each time, with one place in the mailbox
                life = asyncio.ensure_future(bot.echo(config))
                await client.send_message(9, text)
                assert (await anext(answers)).content == f"You said: {text}"
                life.cancel()
                await asyncio.wait([life])
