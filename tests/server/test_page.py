"""The page that a server shows, on real sockets: what is served, to whom, and under which rules."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

import im_web.page
from adapters.adapter_kit import run, until
from docs.test_examples import ROOT
from im_server import DevAuthenticator, IMServer, JWTAuthenticator
from im_web.files import NotBuiltError, read
from im_web.headers import security, websockets_of
from server.server_kit import SECRET, Running, ServeProcess, im_here, running_server, serve_asgi

SCRIPT = "".join(f"console.log({n})\n" for n in range(20_000)).encode()
FILES = {
    "page/index.html": b'<!doctype html><div id="app"></div>' + b" " * 100,
    "page/icon.svg": b"<svg/>",
    "page/assets/app.js": SCRIPT,
    "page/assets/app.css": b"#app { color: red }" + b"\n" * 100,
    "page/assets/photo.png": bytes(2000),
    "page/assets/odd.thing": b"?",
    "lib/im-client.js": b"export {}",
    "secret.txt": b"not for you",
}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another page than the real one, whose files are known."""
    folder = tmp_path / "built"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    monkeypatch.setattr(im_web.page, "BUILT", folder)
    return folder


@asynccontextmanager
async def visited(
    *, dev: bool = False, **config: Any
) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server with a page, and somebody who asks for it."""
    who = DevAuthenticator() if dev else JWTAuthenticator(SECRET)
    async with (
        running_server(site={"page": True, "authenticate": who}, **config) as server,
        browser(server.http) as client,
    ):
        yield server, client


def browser(url: str) -> httpx.AsyncClient:
    """Asks for what it is told to, through no proxy."""
    return httpx.AsyncClient(base_url=url, trust_env=False)


async def raw(server: Running, request: str, *more: str) -> tuple[int, bytes]:
    """Status and body of what a client without manners asks for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = "".join(f"{line}\r\n" for line in (request, *more, "Host: x", "Connection: close"))
    writer.write(f"{lines}\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


# ---------------------------------------------------------------- what is served


@run
async def test_the_real_page_is_there() -> None:
    async with visited() as (_, client):
        page = await client.get("/")
        library = await client.get("/lib/im-client.js")
    assert page.status_code == library.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'id="app"' in page.text
    assert library.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.usefixtures("built", "served")
@run
async def test_each_file_is_served_as_what_it_is() -> None:
    kinds = {
        "/": ("page/index.html", "text/html; charset=utf-8"),
        "/icon.svg": ("page/icon.svg", "image/svg+xml"),
        "/assets/app.js": ("page/assets/app.js", "text/javascript; charset=utf-8"),
        "/assets/app.css": ("page/assets/app.css", "text/css; charset=utf-8"),
        "/assets/photo.png": ("page/assets/photo.png", "image/png"),
        "/assets/odd.thing": ("page/assets/odd.thing", "application/octet-stream"),
        "/lib/im-client.js": ("lib/im-client.js", "text/javascript; charset=utf-8"),
    }
    async with visited() as (_, client):
        for path, (name, kind) in kinds.items():
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (200, FILES[name]), path
            assert answer.headers["content-type"] == kind


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip; q=1.000", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, br", False),
        ("identity", False),
        ("", False),
    ],
)
@run
async def test_text_is_packed_for_who_takes_it(accepted: str, packed: bool) -> None:
    async with visited() as (_, client):
        headers = {"accept-encoding": accepted}
        async with client.stream("GET", "/assets/app.js", headers=headers) as answer:
            body = b"".join([piece async for piece in answer.aiter_raw()])
        photo = await client.get("/assets/photo.png", headers=headers)
        short = await client.get("/lib/im-client.js", headers=headers)
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(body)
    assert (gzip.decompress(body) if packed else body) == SCRIPT
    for unpacked in (photo, short):  # is packed already, would be longer
        assert "content-encoding" not in unpacked.headers


@pytest.mark.usefixtures("built", "served")
@run
async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with visited() as (_, client):
        first = await client.get("/assets/app.js", headers={"accept-encoding": "gzip"})
        plain = await client.get("/assets/app.js", headers={"accept-encoding": "identity"})
        tag = first.headers["etag"]
        assert tag != plain.headers["etag"]  # they are different bytes
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await client.get(
                "/assets/app.js", headers={"accept-encoding": "gzip", "if-none-match": known}
            )
            assert (again.status_code, again.content) == (304, b""), known
            assert again.headers["etag"] == tag
            assert again.headers["cache-control"] == "no-cache"
        for unknown in ('"other"', plain.headers["etag"], tag.strip('"'), ""):
            again = await client.get(
                "/assets/app.js", headers={"accept-encoding": "gzip", "if-none-match": unknown}
            )
            assert (again.status_code, again.content) == (200, SCRIPT), unknown
            assert again.headers["cache-control"] == "no-cache"


@run
async def test_a_new_build_has_new_tags(built: Path) -> None:
    async with visited() as (_, client):
        before = (await client.get("/")).headers["etag"]
    (built / "page" / "index.html").write_bytes(FILES["page/index.html"] + b"!")
    async with visited() as (_, client):
        assert (await client.get("/")).headers["etag"] != before


@pytest.mark.usefixtures("built", "served")
@run
async def test_head_tells_the_same_without_the_body() -> None:
    async with visited() as (_, client):
        for path in ("/", "/assets/app.js", "/lib/im-client.js", "/im/page.json", "/lib/none"):
            got, told = await client.get(path), await client.head(path)
            assert (told.status_code, told.content) == (got.status_code, b"")
            assert told.headers == got.headers


@pytest.mark.usefixtures("built", "served")
@run
async def test_other_methods_are_405_and_calls_stay_what_they_were() -> None:
    async with visited() as (_, client):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = await client.request(method, "/lib/im-client.js")
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/im/session/create")).status_code == 405
        assert (await client.post("/im/session/create")).json()["code"] == 40100
        assert (await client.get("/nothing")).status_code == 404


# ---------------------------------------------------------------- what the page is told


@pytest.mark.usefixtures("served")
@run
async def test_a_page_is_told_where_the_websocket_is_and_a_developer_whom_to_be() -> None:
    async with visited(path=None) as (_, client):
        told = await client.get("/im/page.json")
    assert told.json() == {"path": "/ws", "dev": False, "users": []}
    assert told.headers["cache-control"] == "no-store"
    async with visited(dev=True) as (_, client):
        told = await client.get("/im/page.json")
        assert told.json()["dev"] is True
        users = told.json()["users"]
        assert users[0] == {"id": 1, "name": "Alice"}
        for user in users:  # each can log in
            asked = await client.post(
                "/im/session/getCurrent",
                json={"userId": user["id"]},
                headers={"satoken": f"dev:{user['id']}"},
            )
            assert asked.json()["code"] == 0


def mounted(page: bool) -> tuple[IMServer, Starlette]:
    """A site with the chat in a part of it."""

    async def home(_: Request) -> Response:
        return PlainTextResponse("the site's own")

    server = IMServer(store="sqlite:///unused.db", authenticate=lambda _: None, page=page)  # type: ignore[arg-type,return-value]
    return server, Starlette(routes=[Route("/", home), Mount("/chat", server.asgi())])


@pytest.mark.usefixtures("built")
@run
async def test_mounted_somewhere_all_of_it_is_there() -> None:
    _, site = mounted(page=True)
    async with serve_asgi(site) as (_, url), browser(url) as client:
        assert (await client.get("/")).text == "the site's own"
        assert (await client.get("/chat/")).content == FILES["page/index.html"]
        assert (await client.get("/chat/assets/app.js")).content == SCRIPT
        assert (await client.get("/chat/lib/im-client.js")).content == FILES["lib/im-client.js"]
        assert (await client.get("/chat/im/page.json")).json()["path"] == "/chat/ws"
        assert (await client.get("/assets/app.js")).status_code == 404


@run
async def test_the_real_page_finds_what_it_needs_wherever_it_is_mounted() -> None:
    _, site = mounted(page=True)
    async with serve_asgi(site) as (_, url), browser(f"{url}/chat/") as client:
        page = (await client.get("")).text
        for link in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert (await client.get(urljoin(f"{url}/chat/", link))).status_code == 200, link


@run
async def test_nobodys_site_gets_a_page_unasked() -> None:
    _, site = mounted(page=False)
    async with serve_asgi(site) as (_, url), browser(url) as client:
        for path in ("/chat/", "/chat/lib/im-client.js", "/chat/im/page.json"):
            assert (await client.get(path)).status_code == 404
        assert (await client.get("/chat/healthz")).status_code == 503  # it isn't started
    async with running_server() as server, browser(server.http) as client:
        assert (await client.get("/")).status_code == 404


def test_a_server_without_a_page_does_not_load_it() -> None:
    code = (
        "import sys, im_server\n"
        "server = im_server.IMServer(store='sqlite:///unused.db', authenticate=print)\n"
        "server.asgi(); print('im_web' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---------------------------------------------------------------- im serve


@run
async def test_im_serve_shows_it_and_says_where(tmp_path: Path) -> None:
    async with ServeProcess(tmp_path / "im.db") as server, browser(server.url) as client:
        url = f"http://127.0.0.1:{server.port}/"
        assert 'id="app"' in (await client.get(url)).text
        server.terminate()
        assert (await server.wait()).out.splitlines()[1] == f"the page is at {url}"


@pytest.mark.parametrize("said", [("--no-page",), ("--set", "page=false")])
@run
async def test_im_serve_does_without(tmp_path: Path, said: tuple[str, ...]) -> None:
    async with ServeProcess(tmp_path / "im.db", said) as server, browser(server.url) as client:
        assert (await client.get(f"http://127.0.0.1:{server.port}/")).status_code == 404
        server.terminate()
        assert (await server.wait()).out == server.line


def test_im_serve_says_that_the_page_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotBuiltError):
        read(tmp_path)
    monkeypatch.setattr(im_web.page, "BUILT", tmp_path)
    database = f"sqlite:///{(tmp_path / 'im.db').as_posix()}"
    ended = im_here("serve", "--dev", "--port", "0", "--database", database)
    assert ended.code == 1
    assert "npm run build" in ended.err and "--no-page" in ended.err


# ---------------------------------------------------------------- against attackers


@pytest.mark.usefixtures("built", "served")
@run
async def test_every_answer_has_its_policy() -> None:
    paths = ["/", "/assets/app.js", "/assets/none", "/im/page.json", "/lib/im-client.js"]
    async with visited() as (server, client):
        place = server.http.removeprefix("http://")
        tag = (await client.get("/")).headers["etag"]
        answers = [await client.get(path) for path in [*paths, "/lib/none"]]
        answers.append(await client.post("/"))
        answers.append(await client.get("/", headers={"if-none-match": tag}))
    assert [answer.status_code for answer in answers[-2:]] == [405, 304]
    for answer in answers:
        rules = dict(
            rule.partition(" ")[::2]
            for rule in answer.headers["content-security-policy"].split("; ")
        )
        loadable = answer.url.path.startswith("/lib/")
        own = "'self'" if loadable else f"'self' ws://{place} wss://{place}"
        assert rules == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "font-src": "'self'",
            "media-src": "'self'",
            "manifest-src": "'self'",
            "connect-src": own,
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "vue",
        }
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("built", "served")
@run
async def test_other_sites_may_load_the_library_and_nothing_else() -> None:
    asks = {"origin": "https://shop.example"}
    async with visited() as (_, client):
        library = await client.get("/lib/im-client.js", headers=asks)
        rest = [
            await client.get(path, headers=asks)
            for path in ("/", "/assets/app.js", "/im/page.json", "/healthz")
        ]
    assert library.headers["access-control-allow-origin"] == "*"
    assert library.headers["cross-origin-resource-policy"] == "cross-origin"
    for answer in rest:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers.get("cross-origin-resource-policy", "same-origin") == "same-origin"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt",
        "/lib/../secret.txt",
        "/lib//etc/passwd",
        "/lib/%2fetc%2fpasswd",
        "//secret.txt",
        "/../secret.txt",
        "/secret.txt",
        "/assets/",
        "/lib/",
        "/assets/app.js%00.css",
        "/assets/app.js/",
        "/assets/APP.JS",
        "/assets/%ff",
    ],
)
@run
async def test_there_is_no_way_out_of_the_folder_and_no_list_of_it(path: str) -> None:
    async with visited() as (server, _):
        status, body = await raw(server, f"GET {path} HTTP/1.1")
    assert status == 404
    assert not any(content in body for content in FILES.values() if len(content) > 1)


@pytest.mark.usefixtures("built", "served")
@run
async def test_a_page_by_a_name_that_is_not_ours_gets_none() -> None:
    async with visited(dev=True, hosts=("127.0.0.1",)) as (_, client):
        for path in ("/", "/assets/app.js", "/im/page.json", "/lib/im-client.js"):
            assert (await client.get(path)).status_code == 200
            answer = await client.get(path, headers={"host": "evil.example"})
            assert answer.status_code == 403
            assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "host", ["a;script-src *", "a b", "a'", "[::1]:80", "a, b", "é", "a:b", "*", "x" * 300 + ";"]
)
@run
async def test_no_host_gets_into_the_policy_but_as_a_name(host: str) -> None:
    async with visited() as (_, client):
        answer = await client.get("/", headers={b"host": host.encode("latin-1")})
    if answer.status_code == 200:
        policy = answer.headers["content-security-policy"]
        assert policy.endswith("connect-src 'self'")
        assert policy.count(";") == 12


@pytest.mark.usefixtures("built")
@run
async def test_who_asks_and_does_not_read_holds_one_piece_of_an_answer(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (built / "page" / "assets" / "photo.png").write_bytes(bytes(20_000_000))
    pieces: list[int] = []
    send = RequestResponseCycle.send

    async def watched(self: RequestResponseCycle, message: Any) -> None:
        await send(self, message)
        pieces.append(len(message.get("body", b"")))

    monkeypatch.setattr(RequestResponseCycle, "send", watched)
    async with visited(stall_timeout=0.3) as (server, client):
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(b"GET /assets/photo.png HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(server.state.connections) == 1)
        await until(lambda: not server.state.connections)
        # asyncio holds what the kernel doesn't take, and was given no more
        assert 10_000 < sum(pieces[:-1]) < 19_000_000
        assert max(pieces) == 16_384
        sock.close()
        assert (await client.get("/")).status_code == 200


# ---------------------------------------------------------------- what the how-to says


def test_the_how_to_shows_the_policy_that_is_sent_and_the_variables_that_there_are() -> None:
    page = (ROOT / "docs" / "how-to" / "the-page.md").read_text("utf-8")
    sent = security(websockets_of("HOST"))["content-security-policy"]
    assert sent in " ".join(page.split())
    styles = (ROOT / "adapters/im_web/src/components/styles/base.css").read_text("utf-8")
    (named,) = [line for line in page.split("\n\n") if line.startswith("`--im-")]
    assert set(re.findall(r"`(--im-[a-z-]+)`", named)) == set(
        re.findall(r"var\(\s*(--im-[a-z-]+)", styles)
    )
