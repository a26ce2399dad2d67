"""`im send`, `im listen` and `im chat` as processes, at a real server."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import sys
from pathlib import Path

import pytest

from adapters.adapter_kit import run
from peers.plain_client import PlainClient
from server.server_kit import (
    SECRET,
    Ended,
    Running,
    ServeProcess,
    finish,
    im_here,
    running_server,
    spawn,
    token,
)


def tells_no_secret(*ended: Ended) -> None:
    """Neither the secret nor a token (all of ours are JWTs) was printed."""
    for end in ended:
        assert SECRET not in end.said and "eyJ" not in end.said, end


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """Read its standard output up to a line with these words."""
    assert process.stdout is not None
    seen = []
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return line.rstrip("\r\n")
            seen.append(line)
    raise AssertionError(f"never said {words!r}: {seen}")


def to(server: Running) -> dict[str, str]:
    """The environment of a client."""
    return {"IM_URL": server.url, "IM_SECRET": SECRET}


async def im(*arguments: str, input: str = "", **env: str) -> Ended:  # noqa: A002
    """Run `im …` in a thread of this process."""
    return await asyncio.to_thread(im_here, *arguments, input=input, **env)


@run
async def test_send_and_listen() -> None:
    async with running_server() as server:
        one = await im("send", "--user", "1", "--to", "2", "hello", "[bold]you[/]", **to(server))
        lines = await im(
            *("send", "--user", "3", "--to", "2", "--json"), input="a\n\n b \n", **to(server)
        )
        assert (one.code, one.err) == (lines.code, lines.err) == (0, "")
        assert one.out.startswith("accepted ")
        answers = [json.loads(line) for line in lines.out.splitlines()]
        assert [set(a) for a in answers] == [{"msg_id", "to_user", "timestamp"}] * 2
        assert {str(a["to_user"]) for a in answers} == {"2"}
        process = await spawn("listen", "--user", "2", "--json", "--count", "4", **to(server))
        found = [json.loads(await line_with(process, "content")) for _ in range(3)]
        assert {
            ("hello [bold]you[/]", 1),
            ("a", 3),
            (" b ", 3),
        } == {(message["content"], message["from_user"]) for message in found}
        assert set(found[0]) == {
            *("from_user", "content", "msg_id", "session_id", "message_type", "timestamp"),
        }
        assert {a["msg_id"] for a in answers} < {message["msg_id"] for message in found}
        async with PlainClient(server.url, token("bravo"), "bravo") as bravo:  # live
            await bravo.login()
            await bravo.send(2, "\x1b[31mlast\n", 5)
        ended = await finish(process)
        assert (ended.code, ended.err) == (0, "")
        assert json.loads(ended.out)["content"] == "\x1b[31mlast\n"
        tells_no_secret(one, lines, ended)


@run
async def test_chat_of_two_processes() -> None:
    async with running_server() as server:
        ann = await spawn("chat", "--user", "1", "--to", "2", **to(server))
        bob = await spawn("chat", "--user", "2", "--to", "1", **to(server))
        assert ann.stdin is not None and bob.stdin is not None
        await line_with(ann, "you are 1; write to 2")
        await line_with(bob, "you are 2; write to 1")
        ann.stdin.write(b"hello [red]Bob[/]\n\n")
        assert await line_with(bob, "hello") == "1: hello [red]Bob[/]"
        bob.stdin.write("hé😀\n".encode())
        assert await line_with(ann, "h") == "2: hé😀"
        ann.stdin.write(b"x" * 1001 + b"\n")
        assert "not sent: MESSAGE_FORMAT_ERROR" in await line_with(ann, "not sent")
        # a terminal can't be painted by a peer
        async with PlainClient(server.url, token(3), 3) as carl:
            await carl.login()
            await carl.send(1, "\x1b[2J\n2: forged", 5)
        assert (await line_with(ann, "forged")).startswith("3: ")
        ann.stdin.write(b"last")  # without an end of line, and then the end of the input
        ends = await asyncio.gather(finish(ann), finish(bob))
        assert [end.code for end in ends] == [0, 0]
        assert "\x1b" not in ends[0].said
        tells_no_secret(*ends)
        async with PlainClient(server.url, token(2), 2) as tab:
            await tab.login()
            await tab.wait_for(lambda: tab.received and tab.received[-1]["content"] == "last")


@run
async def test_what_is_refused_goes_to_stderr_with_exit_1() -> None:
    async with running_server() as server:
        url = server.url
        send = functools.partial(im, "send", "--user", "1", "--to", "2")
        # a process of its own: pytest's logging would hide what logging says when nobody listens
        process = await spawn(
            *("send", "--user", "1", "--to", "2", "x"), IM_URL=url, IM_SECRET="another " * 5
        )
        other = await finish(process)
        mine = await send("x", IM_URL=url, IM_TOKEN=token(2))
        long = await send("x" * 1001, IM_URL=url, IM_SECRET=SECRET)
        path = await send("x", IM_URL=url + "x", IM_SECRET=SECRET)
        for ended, says, hint in (
            (other, "TOKEN_INVALID", "the same --secret"),
            (mine, "another user's", "--user names somebody else"),
            (long, "MESSAGE_FORMAT_ERROR", ""),
            (path, "404", "ours has it at /ws"),
        ):
            assert (ended.code, ended.out) == (1, ""), ended
            first, *rest = ended.err.splitlines()
            assert first.startswith("error: ") and says in first and len(rest) <= 1, ended.err
            assert hint in ended.err
        tells_no_secret(other, mine, long, path)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
@run
async def test_ctrl_c_ends_a_listener_quietly() -> None:
    async with running_server() as server, PlainClient(server.url, token(1), 1) as ann:
        await ann.login()
        process = await spawn("listen", "--user", "2", **to(server))
        await ann.send(2, "x", 5)
        await line_with(process, "1: x")
        process.send_signal(signal.SIGINT)
        ended = await finish(process)
        assert ended.code == 130 and "Traceback" not in ended.said
        tells_no_secret(ended)


@pytest.mark.slow
@run
async def test_not_even_a_verbose_server_prints_a_token(tmp_path: Path) -> None:
    async with ServeProcess(tmp_path / "im.db", ("--verbose",)) as server:
        for bad in (token(1), "eyJ-no-token"):
            async with PlainClient(server.url, bad, 1) as client:
                await client.login()
                if bad == token(1):
                    await client.send(1, "a private word", 5)
        server.terminate()
        ended = await server.wait()
        assert ended.code == 0 and "private" not in ended.said
        tells_no_secret(ended)


@run
async def test_a_listener_that_nobody_reads_any_more_ends() -> None:
    """As in `im listen --json | head -1`."""
    async with running_server() as server:
        me = {"IM_URL": server.url, "IM_SECRET": SECRET}
        sent = await im("send", "--user", "1", "--to", "2", "one", **me)
        assert sent.code == 0
        process = await spawn("listen", "--user", "2", "--json", **me)
        assert process.stdout is not None
        assert b"one" in await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        await im("send", "--user", "1", "--to", "2", "two", **me)
        assert await process.wait() == 1
        assert process.stderr is not None
        assert await process.stderr.read() == b""


@run
async def test_a_chat_whose_place_is_taken_ends_and_says_why() -> None:
    async with running_server() as server:
        me = {"IM_URL": server.url, "IM_SECRET": SECRET}
        first = await spawn("chat", "--user", "7", "--to", "8", **me)
        assert first.stdout is not None
        assert b"you are 7" in await first.stdout.readline()
        second = await spawn("chat", "--user", "7", "--to", "8", **me)
        assert await first.wait() == 1  # its input goes on: it ends by itself
        assert first.stderr is not None
        assert b"another `im` of this user" in await first.stderr.read()
        second.kill()
        await second.wait()


@run
async def test_nothing_to_send_is_a_mistake() -> None:
    ended = await im("send", "--user", "1", "--to", "2", "  ", IM_SECRET=SECRET)
    assert ended.code == 2 and "nothing to send" in ended.err
