"""A session server of the family over plain HTTP, scripted: what it does wrong, it does on purpose.

It stands on http.server alone and runs in threads, so that any client can be held against it.
"""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from peers.wire import UserId, as_id, as_user

PATIENCE = 60.0
Record = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: Record
    body: Any
    headers: dict[str, str]

    @property
    def token(self) -> str | None:
        """What it asked with."""
        return self.headers.get("satoken")


@dataclass
class Rules:
    """What this server is like."""

    prefix: str = "/im"
    create_path: str = "/session/create"
    start_chat: bool = True
    ok_code: int = 0
    string_ids: bool = False
    #: an invalid token is told by the status, not by the code
    http_401: bool = False
    #: create gives the whole session
    create_gives_all: bool = False
    #: pages of the past are lists, without anything around them
    bare_pages: bool = False
    #: … and go on from no message
    one_page: bool = False
    tokens: dict[str, UserId] = field(default_factory=lambda: {"token-of-ann": 1})


#: What a script does in place of an answer; the handler is its connection.
Deed = Callable[["_Handler"], None]


class SessionServer:
    """Serves sessions on 127.0.0.1.

    Args:
        rules: what it is like.
        tls: for https.
    """

    def __init__(self, rules: Rules | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.rules = rules or Rules()
        self.seen: list[Seen] = []
        #: what no client of the family would send
        self.offences: list[str] = []
        self.sessions: dict[int, Record] = {}
        #: the messages of each session, the oldest first
        self.past: dict[int, list[Record]] = {}
        self.released = threading.Event()
        self._arrived = threading.Condition()
        self._deeds: list[Deed] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.peer = self
        self._tls = tls
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket that would stand beside it."""
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/ws"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [seen.path for seen in self.seen]

    def next(self, *deeds: Deed) -> None:
        """Do this with the next requests, in place of an answer."""
        self._deeds.extend(deeds)

    def arrived(self, count: int) -> None:
        """Wait until so many requests have come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.seen) >= count, PATIENCE)

    def add(self, book: int, buyer: UserId, seller: UserId, **more: Any) -> Record:
        """A session that is there already."""
        with self._lock:
            number = 7000 + len(self.sessions)
            record = {
                "id": number,
                "bookId": book,
                "buyerId": buyer,
                "sellerId": seller,
                "sessionStatus": 1,
                "expireTime": "2030-01-02 03:04:05",
                "createTime": "2026-01-02T03:04:05",
                "unknownKey": {"deep": [1]},
            } | more
            self.sessions[number] = record
            return record

    # -- what it answers

    def note(self, seen: Seen) -> Deed | None:
        """A request has come; is there something scripted for it?"""
        with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()
            return self._deeds.pop(0) if self._deeds else None

    def answer(self, seen: Seen) -> tuple[int, Record | None]:
        """Status, and the answer; None where the path is unknown."""
        rules = self.rules
        path = seen.path.removeprefix(rules.prefix) if rules.prefix else seen.path
        calls: dict[str, tuple[str, Callable[[Seen], Record]]] = {
            "/session/get": ("GET", self._get),
            rules.create_path: ("POST", self._create),
            "/session/getCurrent": ("POST", self._current),
            "/message/history": ("POST", self._history),
        }
        if rules.start_chat:
            calls["/session/startChat"] = ("POST", self._start_chat)
        method, call = calls.get(path, ("", self._get))
        if not seen.path.startswith(rules.prefix) or method != seen.method:
            return 404, None
        if "authorization" in seen.headers:
            self.offences.append("the token came twice")
        if seen.token not in rules.tokens:
            if rules.http_401:
                return 401, None
            return 200, {"code": 40101, "data": None, "message": "token invalid"}
        return 200, call(seen)

    def _ok(self, data: Any) -> Record:
        return {"code": self.rules.ok_code, "data": data, "message": "ok"}

    def _told(self, record: Record) -> Record:
        if not self.rules.string_ids:
            return record
        keys = ("id", "bookId", "buyerId", "sellerId", "sessionStatus")
        return record | {key: str(record[key]) for key in keys}

    def _triple(self, given: Record, *, text: bool) -> tuple[int, UserId, UserId]:
        book, buyer, seller = (given.get(key) for key in ("bookId", "buyerId", "sellerId"))
        if not text and any(isinstance(v, int) and v > 2**53 - 1 for v in (book, buyer, seller)):
            self.offences.append("a number above 2^53-1 in JSON")
        number = 0 if book in (0, "0") else as_id(book)
        who = as_user(buyer), as_user(seller)
        if number is None or who[0] is None or who[1] is None or len(given) != 3:
            self.offences.append(f"not book, buyer and seller: {sorted(given)}")
            return 0, 1, 1
        return number, who[0], who[1]

    def _find(self, triple: tuple[int, UserId, UserId]) -> Record | None:
        with self._lock:
            for record in reversed(self.sessions.values()):
                if (record["bookId"], record["buyerId"], record["sellerId"]) == triple:
                    return record
        return None

    def _get(self, seen: Seen) -> Record:
        if "sessionId" in seen.query:
            record = self.sessions.get(as_id(seen.query["sessionId"]) or 0)
        else:
            record = self._find(self._triple(seen.query, text=True))
        if record is None:
            return {"code": 40400, "data": None, "message": "no such session"}
        return self._ok(self._told(record))

    def _create(self, seen: Seen) -> Record:
        record = self.add(*self._triple(seen.query, text=True))
        if seen.body is not None:
            self.offences.append("create has a body")
        if self.rules.create_gives_all:
            return self._ok(self._told(record))
        return self._ok(str(record["id"]) if self.rules.string_ids else record["id"])

    def _start_chat(self, seen: Seen) -> Record:
        triple = self._triple(seen.body, text=False)
        record = self._find(triple)
        if record is None or record["sessionStatus"] != 1:
            record = self.add(*triple)
        return self._ok(self._told(record))

    def _current(self, seen: Seen) -> Record:
        user = as_user(seen.body.get("userId"))
        found = [r for r in self.sessions.values() if user in (r["buyerId"], r["sellerId"])]
        return self._ok([self._told(r) | {"buyerReaded": 2, "sellerReaded": "0"} for r in found])

    def _history(self, seen: Seen) -> Record:
        strange = set(seen.body) - {"sessionId", "startMsgId", "pageSize", "direction"}
        if strange:
            self.offences.append(f"history with {sorted(strange)}")
        number = as_id(seen.body.get("sessionId")) or 0
        if number not in self.sessions:
            return {"code": 40400, "data": None, "message": "no such session"}
        past, size = self.past.get(number, []), seen.body["pageSize"]
        start = None if self.rules.one_page else seen.body.get("startMsgId")
        at = next((i for i, record in enumerate(past) if record["msgId"] == start), None)
        if seen.body.get("direction") == "after":
            begin = 0 if at is None else at + 1
            found, more = past[begin : begin + size], begin + size < len(past)
        else:
            upto = len(past) if at is None else at
            found, more = past[max(0, upto - size) : upto], upto > size
        if self.rules.bare_pages:
            return self._ok(found)
        page = {"records": found, "total": len(past), "size": size, "current": 1, "hasNext": more}
        return self._ok(page)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    peer: SessionServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        peer = self.server.peer
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if raw and self.headers.get("content-type") != "application/json":
            peer.offences.append("a body that says not that it is JSON")
        query = {key: values[0] for key, values in parse_qs(parts.query, True).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = json.loads(raw) if raw else None
        seen = Seen(self.command, parts.path, query, body, headers)
        deed = peer.note(seen)
        if deed is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                deed(self)
            return
        status, answer = peer.answer(seen)
        if answer is None:
            self.reply(status, b"<html>nothing here</html>")
        else:
            self.reply(status, json.dumps(answer).encode())

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody wants to read it."""


# ---------------------------------------------------------------- deeds


def says(
    status: int = 200, code: int = 0, data: Any = None, message: str = "", **headers: str
) -> Deed:
    """Any answer of the usual form."""
    body = json.dumps({"code": code, "data": data, "message": message}).encode()
    return lambda handler: handler.reply(status, body, **headers)


def writes(status: int, body: bytes, **headers: str) -> Deed:
    """Any body."""
    return lambda handler: handler.reply(status, body, **headers)


def redirects(location: str, status: int = 302) -> Deed:
    """It is somewhere else."""
    return lambda handler: handler.reply(status, b"moved", Location=location)


def drops(handler: _Handler) -> None:
    """The connection ends without an answer."""


def garbage(handler: _Handler) -> None:
    """What is no HTTP."""
    handler.wfile.write(b"\x16\x03\x01 token-of-ann\r\n\r\n")


def hangs(handler: _Handler) -> None:
    """No answer, until the server ends or the client goes."""
    handler.server.peer.released.wait(PATIENCE)


def trickles(handler: _Handler) -> None:
    """An answer that goes on and on, a byte at a time, until the client goes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.peer.released.wait(0.02):
        handler.wfile.write(b" ")


def pours(handler: _Handler) -> None:
    """An answer without an end, as fast as it goes, until the client goes."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    while not handler.server.peer.released.is_set():
        handler.wfile.write(chunk)
