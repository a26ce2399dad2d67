"""What the documentation shows, run: the README's client, the bot, the other event loop."""

from __future__ import annotations

import ast
import asyncio
import os
import re
from pathlib import Path

import pytest

from adapters.adapter_kit import Connection, Peer, Script, closed_port, plain, run, until
from im_asyncio import ClientConfig, IMClient, IMError
from im_proto.config import HttpConfig, ReconnectConfig
from im_proto.wire import AuthRequest, AuthResponse, ChatAck, ChatSendResponse, ChatSendToOne
from peers.session_server import Rules, SessionServer
from script_kit import load
from server.server_kit import running_server, token

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "README.zh-CN.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


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
    source = blocks(ROOT / page, "python")[0]
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


# ------------------------------------------------------------ the original README's examples

ORIGINAL = ROOT / "examples" / "original_readme.py"


def test_the_page_about_typescript_quotes_the_example_and_all_of_it() -> None:
    source = ORIGINAL.read_text("utf-8")
    quoted = blocks(ROOT / "docs" / "how-to" / "from-typescript.md", "python")
    assert quoted
    for block in quoted:
        assert f"\n{block}\n" in source, block
    for node in ast.parse(source).body[1:]:
        is_main = isinstance(node, ast.AsyncFunctionDef) and node.name == "main"
        if not (is_main or isinstance(node, ast.Import | ast.ImportFrom | ast.If)):
            shown = f"{ast.get_source_segment(source, node)}\n"
            assert shown in quoted, shown


def test_the_originals_options_are_taken_over() -> None:
    original = load(ORIGINAL)
    assert original.config.user_id == 123
    for config in (original.config, original.with_heartbeat):
        assert (config.heartbeat.interval, config.heartbeat.timeout) == (30, 5)
    for config in (original.config, original.with_reconnect):
        reconnect = config.reconnect
        assert (reconnect.max_retries, reconnect.initial_delay, reconnect.max_delay) == (5, 1, 30)


@run
async def test_the_originals_first_message_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    original = load(ORIGINAL)
    async with running_server() as server:
        config = original.config.model_copy(update={"ws_url": server.url, "token": token(123)})
        im_client = original.create(config)
        original.set_callbacks(im_client)
        await original.connect_and_send(im_client)
        async with IMClient(ClientConfig(ws_url=server.url, token=token(456), user_id=456)) as to:
            message = await anext(aiter(to.messages()))
    assert (message.content, message.from_user) == ("Hello, World!", 123)
    assert capsys.readouterr().out.split() == ["connected", "authenticated", "disconnected"]


@run
async def test_the_originals_client_logs_in_and_out() -> None:
    original = load(ORIGINAL)
    async with Peer(plain) as peer:
        config = original.config.model_copy(update={"ws_url": peer.url})
        await original.from_login_to_logout(config)
        await peer.idle()
        assert peer.count == 1


async def refuse_messages(connection: Connection) -> None:
    """A server that takes no message."""
    await connection.login()
    message = await connection.next(ChatSendToOne)
    connection.send(ChatSendResponse(msg_id=message.msg_id, code=403))
    await connection.until_gone()


async def refuse_the_login(connection: Connection) -> None:
    """A server that knows no token."""
    await connection.accept()
    await connection.next(AuthRequest)
    connection.send(AuthResponse(code=401))
    await connection.until_gone()


@pytest.mark.parametrize(
    ("code", "script", "words"),
    [
        ("CONNECTION_FAILED", None, "no connection"),
        ("AUTH_FAILED", refuse_the_login, "the log-in was refused"),
        ("MESSAGE_SEND_FAILED", refuse_messages, "the message was refused"),
    ],
)
@run
async def test_the_originals_error_handling_tells_each_code(
    code: str, script: Script | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    original = load(ORIGINAL)
    async with Peer(script or refuse_messages) as peer:
        url = peer.url if script else f"ws://127.0.0.1:{closed_port()}/ws"
        im_client = IMClient(original.config.model_copy(update={"ws_url": url}))
        original.handle_errors(im_client)
        with pytest.raises(IMError) as caught:
            await im_client.connect()
            await original.send_test_message(im_client)
        await im_client.disconnect()
        await peer.idle()
    assert caught.value.code == code
    assert capsys.readouterr().out == f"{words}\n"


@run
async def test_the_originals_best_practice_tells_errors_and_counts_messages(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    original = load(ORIGINAL)

    async def push(connection: Connection) -> None:
        await connection.login_with_seq()
        connection.push("hi", msg_id=1, seq=1)
        await connection.next(ChatAck)
        connection.reset()

    async with Peer(push, refuse_the_login) as peer:
        reconnect = ReconnectConfig(initial_delay=0.01)
        update = {"ws_url": peer.url, "reconnect": reconnect}
        im_client = IMClient(original.config.model_copy(update=update))
        original.handle_all_errors(im_client)
        chat = original.Chat()
        chat.listen(im_client)
        await im_client.connect()
        await until(lambda: "AUTH_FAILED" in str(im_client.connection_state.last_error))
        await im_client.disconnect()
        await peer.idle()
    assert ([message.content for message in chat.shown], chat.unread) == (["hi"], 1)
    assert [line for line in caplog.messages if line.startswith("IM error: CONNECTION_LOST")]
    assert "Please check your network." in capsys.readouterr().out


@run
async def test_the_originals_sessions_are_made_and_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = load(ORIGINAL)
    with SessionServer(Rules(tokens={"dev:123": 123})) as server:
        http = HttpConfig(base_url=server.url)
        im_client = IMClient(original.config.model_copy(update={"http": http}))
        await original.sessions(im_client, book_id=5, buyer_id=123, seller_id=456)
        await im_client.disconnect()
        (made,) = server.sessions
    assert capsys.readouterr().out.startswith(f"session: id={made} book_id=5 ")


@run
async def test_the_originals_debugging_shows_state_log_and_a_test_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = load(ORIGINAL)
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("IM_LOG", "")
    original.detailed_log()
    assert os.environ["IM_LOG"] == ""
    monkeypatch.setenv("APP_ENV", "development")
    original.detailed_log()
    assert os.environ["IM_LOG"] == "debug"
    async with running_server() as server:
        config = original.config.model_copy(update={"ws_url": server.url, "token": token(123)})
        async with IMClient(config) as im_client:
            watching = asyncio.ensure_future(original.watch_state(im_client, seconds=0))
            await original.send_test_message(im_client)
            watching.cancel()
            await asyncio.wait([watching])
            message = await anext(aiter(im_client.messages()))
    assert (message.content, message.from_user) == ("test message", 123)
    assert "connection state: AUTHENTICATED logged in\n" in capsys.readouterr().out


@run
async def test_the_originals_examples_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = load(ORIGINAL)
    monkeypatch.delenv("APP_ENV", raising=False)
    async with running_server() as server:
        with SessionServer(Rules(tokens={(mine := token(123)): 123})) as session_server:
            update = {
                "ws_url": server.url,
                "token": mine,
                "http": HttpConfig(base_url=session_server.url),
            }
            await original.main(original.config.model_copy(update=update))
    out = capsys.readouterr().out
    assert out.count("authenticated\n") == out.count("disconnected\n") == 2
    assert "connection state: AUTHENTICATED" in out
    assert "session: id=" in out
    assert "error" not in out
