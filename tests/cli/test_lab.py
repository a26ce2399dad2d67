"""`im lab` over real sockets: what its page is told, what it can do, and who can do it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

import im_cli.lab_http
from adapters.adapter_kit import run, until
from im_asyncio import ClientConfig, IMClient
from im_asyncio.message import Message
from im_cli import lab_proxy
from im_cli.lab_events import Events
from im_cli.lab_serving import running
from im_cli.lab_tally import tally
from im_cli.lab_world import World
from im_server.app import listen
from server.server_kit import im_here, spawn


@pytest.fixture(autouse=True)
def _a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one may not be built."""
    folder = tmp_path / "built" / "lab"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>the lab</title>")
    (folder / "assets" / "lab.js").write_text("export {}")
    monkeypatch.setattr(im_cli.lab_http, "BUILT", tmp_path / "built")


@dataclass
class Lab:
    """A lab in this loop, and its page."""

    url: str
    world: World
    page: httpx.AsyncClient

    @property
    def origin(self) -> str:
        return self.url.partition("/?")[0]

    async def get(self, path: str) -> Any:
        answer = await self.page.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.page.post(path, json=body, headers={"origin": self.origin})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def order(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.post("/api/server", do=what))["server"]
        return found


@contextlib.asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    async with running() as (app, world):
        origin = app.url.partition("/?")[0]
        async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=30.0) as page:
            assert (await page.get(app.url)).status_code == 200  # and here is its cookie
            yield Lab(app.url, world, page)


class Window:
    """A client that sits in one of the windows."""

    def __init__(self, of: Lab, window: str) -> None:
        self._lab, self._window = of, window
        self.heard: list[str] = []
        self.tokens: list[str] = []
        self._ear: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        async def token() -> str:
            told = await self._lab.get(f"/api/token?window={self._window}")
            self.tokens.append(told["token"])
            return self.tokens[-1]

        info = await self._lab.get("/api/lab")
        (user,) = (user["id"] for user in info["users"] if user["window"] == self._window)
        self.client = IMClient(
            ClientConfig(
                ws_url=info["wsUrls"][self._window],
                token=token,
                user_id=user,
                reconnect={"initial_delay": 0.05, "max_delay": 0.2},  # type: ignore[arg-type]
            )
        )
        await self.client.connect(10.0)
        self._ear = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()
        assert self._ear is not None
        await self._ear

    async def _hear(self) -> None:
        message: Message
        async for message in self.client.messages():
            self.heard.append(message.content)


async def events(page: httpx.AsyncClient, told: list[tuple[str, Any]]) -> None:
    """Write down what the stream of events says."""
    async with page.stream("GET", "/api/events", timeout=None) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in stream.aiter_lines():
            kind, _, rest = line.partition(": ")
            if kind == "event":
                name = rest
            elif kind == "data":
                told.append((name, json.loads(rest)))


@contextlib.asynccontextmanager
async def listening(to: Lab) -> AsyncIterator[list[tuple[str, Any]]]:
    """Somebody who hears all events from now on."""
    told: list[tuple[str, Any]] = []
    ear = asyncio.create_task(events(to.page, told))
    try:
        await until(lambda: len(told) >= 3)
        yield told
    finally:
        ear.cancel()
        await asyncio.gather(ear, return_exceptions=True)


def untidied(of: Lab) -> bool:
    """Has the last server left its log, which one that ends in good order copies and removes?"""
    return of.world._database.with_name("im.db-wal").exists()


# ---------------------------------------------------------------- the page


@run
async def test_the_page_is_told_all_that_it_needs() -> None:
    async with lab() as it:
        page = await it.page.get("/")
        told = await it.get("/api/lab")
        policy = page.headers["content-security-policy"]
        assert policy.endswith(f"connect-src 'self' {' '.join(told['wsUrls'].values())}")
        assert (await it.page.get("/assets/lab.js")).text == "export {}"
    assert page.text == "<title>the lab</title>"
    assert [(user["window"], user["id"]) for user in told["users"]] == [("a", 1), ("b", 2)]
    assert told["server"]["state"] == "running"
    assert told["server"]["starts"] == 1
    good = {"latency": 0.0, "jitter": 0.0, "loss": 0.0, "blackhole": False}
    assert told["faults"] == {"a": good, "b": good}
    # a meaning for whatever can be done
    faults, cuts = [*good], [cut.value for cut in lab_proxy.Cut]
    orders = ["start", "stop", "kill", "restart", "expire"]
    assert sorted(told["meanings"]) == sorted([*faults, *cuts, *orders])


@run
async def test_nobody_without_the_key_gets_in() -> None:
    async with lab() as it, httpx.AsyncClient(base_url=it.origin, trust_env=False) as stranger:
        for path in ("/", "/?key=", "/?key=guessed", "/api/lab", "/api/lab?key=guessed"):
            answer = await stranger.get(path)
            assert answer.status_code == 403, path
            assert "im lab" in answer.text
            assert "set-cookie" not in answer.headers
        order = await stranger.post("/api/server", json={"do": "kill"})
        assert order.status_code == 403
        assert it.world.server.state == "running"
        # of a lab on another port; its cookies come here as well
        port = it.origin.rpartition(":")[2]
        stranger.cookies.set(f"im-lab-{port}", "of another")
        assert (await stranger.get("/api/lab")).status_code == 403
        opened = await stranger.get(it.url)
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert f"im-lab-{port}=" in cookie


@run
async def test_no_other_name_and_no_other_page_gets_in_with_the_key_either() -> None:
    async with lab() as it:
        port = it.origin.rpartition(":")[2]
        for host in (f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", "127.0.0.1:1"):
            for path in ("/", "/assets/lab.js", "/api/lab"):
                answer = await it.page.get(path, headers={"host": host})
                assert answer.status_code == 403, (host, path)
        pages = ("https://evil.example", "http://127.0.0.1:1", f"https://127.0.0.1:{port}", "null")
        for origin in pages:
            headers = {"origin": origin}
            for path in ("/api/lab", "/api/token?window=a", "/api/events", "/"):
                assert (await it.page.get(path, headers=headers)).status_code == 403
            order = await it.page.post("/api/server", json={"do": "kill"}, headers=headers)
            assert order.status_code == 403
        # what a form can send without asking for leave
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            order = await it.page.post(
                "/api/server", content='{"do": "kill"}', headers={"content-type": kind}
            )
            assert order.status_code == 400
        assert it.world.server.state == "running"
        asked = await it.page.options("/api/server", headers={"origin": "https://evil.example"})
        assert not [name for name in asked.headers if name.startswith("access-control-")]


@run
async def test_what_makes_no_sense_is_refused_in_words() -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("/api/faults", {}, "window"),
        ("/api/faults", {"window": "c"}, "window"),
        ("/api/faults", {"window": ["a"]}, "window"),
        ("/api/faults", {"window": "a", "latency": "1"}, "latency"),
        ("/api/faults", {"window": "a", "latency": -0.1}, "latency"),
        ("/api/faults", {"window": "a", "latency": 11}, "latency"),
        ("/api/faults", {"window": "a", "jitter": True}, "jitter"),
        ("/api/faults", {"window": "a", "loss": 1.1}, "loss"),
        ("/api/faults", {"window": "a", "blackhole": 1}, "blackhole"),
        ("/api/cut", {"window": "a", "how": "softly"}, "how"),
        ("/api/server", {"do": "format"}, "do"),
        ("/api/server", {}, "do"),
        ("/api/token", {"window": "a"}, "do"),
        ("/api/token", {"window": "both", "do": "expire"}, "window"),
    ]
    async with lab() as it:
        before = await it.get("/api/lab")
        for path, body, named in wrong:
            answer = await it.post(path, status=400, **body)
            assert answer["error"].startswith(f"{named}: ")
        bodies = (b"", b"[]", b"{", b'{"window": "a", "latency": NaN}', b"[" * 4000)
        for text in bodies:
            kind = {"content-type": "application/json"}
            answer = await it.page.post("/api/faults", content=text, headers=kind)
            assert (answer.status_code, "error" in answer.json()) == (400, True)
        huge = await it.page.post("/api/faults", json={"window": "a" * 5000})
        assert huge.status_code == 413
        for method, path, status in (
            ("GET", "/api/none", 404),
            ("POST", "/api/lab", 405),
            ("GET", "/api/cut", 405),
            ("POST", "/api/events", 405),
            ("POST", "/", 405),
            ("GET", "/assets/none", 404),
            ("GET", "/assets/%2e%2e/%2e%2e/secret", 404),
            ("GET", "/api/token", 400),
        ):
            answer = await it.page.request(method, path, json={})
            assert answer.status_code == status, path
        after = await it.get("/api/lab")
    assert after["faults"] == before["faults"]
    assert after["server"] == before["server"]


# ---------------------------------------------------------------- what can be done


@run
async def test_what_is_accepted_survives_a_kill_and_arrives_once() -> None:
    async with lab() as it, Window(it, "a") as alice, Window(it, "b") as bob:
        texts = [f"message {n}" for n in range(20)]
        for text in texts[:10]:
            await alice.client.send_message(2, text)
        pid = (await it.get("/api/lab"))["server"]["pid"]
        killed = await it.order("kill")
        assert killed == {"state": "killed", "pid": None, "starts": 1}
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert untidied(it)  # SIGKILL, nothing less
        # counted in what the killed server has left
        assert (await it.get("/api/tally"))["accepted"] == 10
        for text in texts[10:]:
            alice.client.queue_message(2, text)
        assert await it.order("kill") == killed  # there is nothing to kill
        started = await it.order("start")
        assert (started["state"], started["starts"]) == ("running", 2)
        assert started["pid"] != pid
        assert await it.order("start") == started
        await until(lambda: len(bob.heard) >= 20)
        await bob.client.send_message(1, "all of it")
        await until(lambda: alice.heard == ["all of it"])
        assert bob.heard == texts
        told = await it.get("/api/tally")
    assert told["accepted"] == 21
    to_bob, to_alice = told["perConversation"]
    assert (to_bob["from"], to_bob["to"], to_bob["accepted"]) == (1, 2, 20)
    assert (to_alice["from"], to_alice["to"], to_alice["accepted"]) == (2, 1, 1)
    assert len(set(to_bob["msgIds"])) == 20


@pytest.mark.slow
@run
async def test_a_server_ends_in_good_order_and_starts_again() -> None:
    async with lab() as it, listening(it) as told, Window(it, "a") as alice:
        await alice.client.send_message(2, "before")
        assert (await it.order("stop"))["state"] == "stopped"
        assert not untidied(it)
        refused = await it.post("/api/token", status=409, window="a", do="expire")
        assert refused == {"error": "the server does not run"}
        assert (await it.order("restart"))["state"] == "running"
        assert (await it.order("restart"))["starts"] == 3
        await alice.client.send_message(2, "behind")
        assert (await it.get("/api/tally"))["accepted"] == 2
    states = [data["state"] for name, data in told if name == "server"]
    assert states == [
        "running",
        *("stopped", "starting", "running"),
        *("stopped", "starting", "running"),
    ]


@pytest.mark.slow
@run
async def test_a_server_that_dies_by_itself_is_told() -> None:
    async with lab() as it, listening(it) as told:
        os.kill((await it.get("/api/lab"))["server"]["pid"], signal.SIGKILL)
        dead = {"state": "killed", "pid": None, "starts": 1}
        await until(lambda: told[-1] == ("server", dead))
        assert (await it.order("start"))["state"] == "running"


@run
async def test_a_token_that_was_made_bad_is_replaced_by_the_pages_function() -> None:
    async with lab() as it, Window(it, "a") as alice, Window(it, "b") as bob:
        old = alice.tokens[-1]
        assert await it.post("/api/token", window="a", do="expire") == {"ended": 1}
        await until(lambda: len(alice.tokens) == 2)
        await alice.client.send_message(2, "with another one")
        await until(lambda: bob.heard == ["with another one"])
        assert len(bob.tokens) == 1  # is nobody else's
        late = IMClient(
            ClientConfig(ws_url=it.world.url("a"), token=old, user_id=1, device_id="late")
        )
        with pytest.raises(Exception, match="revoked"):
            await late.connect(10.0)
        await late.disconnect()
        fresh = await it.get("/api/token?window=a")
        assert fresh["user"] == 1
        assert fresh["expiresIn"] == 300.0


@pytest.mark.slow
@run
async def test_each_window_has_a_network_of_its_own() -> None:
    async with lab() as it, listening(it) as told, Window(it, "a") as alice, Window(it, "b") as bob:
        changed = await it.post("/api/faults", window="a", latency=0.2, jitter=0.1, loss=0.0)
        slow = {"latency": 0.2, "jitter": 0.1, "loss": 0.0, "blackhole": False}
        assert changed["faults"]["a"] == slow
        assert changed["faults"]["b"]["latency"] == 0.0
        loop = asyncio.get_running_loop()
        started = loop.time()
        await alice.client.send_message(2, "slow")
        assert loop.time() - started >= 0.4  # there and back
        await it.post("/api/faults", window="both", blackhole=True)
        lost = alice.client.queue_message(2, "into the hole")
        await until(lambda: lost.status == "in_flight")
        back = await it.post("/api/faults", window="both", blackhole=False, latency=0)
        assert back["faults"]["a"] == {**slow, "latency": 0.0}  # what isn't said stays
        await until(lambda: bob.heard == ["slow", "into the hole"])
        assert await it.post("/api/cut", window="b", how="reset") == {"cut": 1}
        assert await it.post("/api/cut", window="a", how="fin") == {"cut": 1}
        await until(lambda: ("link", {"window": "b", "what": "reset"}) in told)
        await until(lambda: any(data["b"]["cuts"] == 1 for name, data in told if name == "links"))
        await until(lambda: ("link", {"window": "a", "what": "fin"}) in told)


@run
async def test_who_listens_is_told_how_things_stand_first() -> None:
    async with lab() as it:
        await it.post("/api/faults", window="a", loss=0.5)
        async with listening(it) as told:
            info = await it.get("/api/lab")
            assert told == [(name, info[name]) for name in ("server", "faults", "links")]


@run
async def test_who_falls_far_behind_is_sent_away_and_nobody_listens_to_what_has_ended() -> None:
    stream = Events(lambda: {"present": 1})
    slow, quick = stream.listen(), stream.listen()
    assert [await anext(each) for each in (slow, quick)] == ["event: present\ndata: 1\n\n"] * 2
    for n in range(1_500):
        stream.tell("count", n)
        assert await anext(quick) == f"event: count\ndata: {n}\n\n"
    heard = [event async for event in slow]
    assert 900 < len(heard) < 1_500
    stream.close()
    assert [event async for event in quick] == []
    assert [event async for event in stream.listen()] == ["event: present\ndata: 1\n\n"]


def test_a_tally_without_a_database_is_nothing_and_reads_only(tmp_path: Path) -> None:
    assert tally(tmp_path / "im.db") == {"accepted": 0, "perConversation": []}
    assert not (tmp_path / "im.db").exists()
    with contextlib.closing(sqlite3.connect(tmp_path / "im.db")) as database:
        database.execute("CREATE TABLE messages (id INTEGER, sender, recipient, msg_id INTEGER)")
        rows = [(2, "1", "bob", 20), (1, "1", "bob", 30), (3, "bob", "1", 10)]
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
        database.commit()
    assert tally(tmp_path / "im.db") == {
        "accepted": 3,
        "perConversation": [
            {"from": 1, "to": "bob", "accepted": 2, "msgIds": [30, 20]},
            {"from": "bob", "to": 1, "accepted": 1, "msgIds": [10]},
        ],
    }


# ---------------------------------------------------------------- the command


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def directories(below: Path) -> list[Path]:
    """What a lab has put there."""
    return list(below.glob("im-lab-*"))


@contextlib.asynccontextmanager
async def command(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """`im lab` as a process, and what it has printed; its directories are below `tmp_path`."""
    process = await spawn("lab", "--no-open", "--json", TMPDIR=str(tmp_path))
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@run
async def test_it_ends_in_good_order_and_leaves_nothing(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with command(tmp_path) as (process, told):
        child = told["server"]["pid"]
        assert lives(child) and len(directories(tmp_path)) == 1
        async with httpx.AsyncClient(trust_env=False) as page:
            assert (await page.get(told["url"])).status_code == 200
            base = told["url"].partition("/?")[0]
            # somebody who listens holds nothing up
            async with page.stream("GET", f"{base}/api/events") as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                process.send_signal(how)
                async for _ in lines:  # to its proper end
                    pass
                out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"")
        assert not lives(child)
        assert directories(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@run
async def test_the_server_goes_with_a_lab_that_is_killed(tmp_path: Path) -> None:
    async with command(tmp_path) as (process, told):
        child = told["server"]["pid"]
        process.kill()
        await process.wait()
        await until(lambda: not lives(child))


def test_its_help_and_its_mistakes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = im_here("lab", "--help")
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.out).split())
    assert ended.code == 0
    assert "two chat windows" in words and "Ctrl-C" in words
    with listen("127.0.0.1", 0) as taken:
        ended = im_here("lab", "--no-open", "--port", str(taken.getsockname()[1]))
    assert ended.code == 1
    assert "can't listen on 127.0.0.1" in ended.err
    monkeypatch.setattr(im_cli.lab_http, "BUILT", Path("/nowhere"))
    ended = im_here("lab", "--no-open")
    assert ended.code == 1
    assert "npm run build" in ended.err
