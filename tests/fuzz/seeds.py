"""Where fuzzing starts: real handshakes, messages and whole conversations, as each target reads
them, and the words that its inputs are made of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.fuzz.feed import Tape
from tests.fuzz.judge import SECRET
from tests.fuzz.targets import client_step, dialects, frames, server_step

_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
_ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_DEFLATE: Final = "permessage-deflate; server_no_context_takeover; client_max_window_bits"


def _get(*more: str, line: str = "GET /ws HTTP/1.1") -> bytes:
    lines = [
        line,
        "Host: chat.example:8080",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _answer(*more: str, line: str = "HTTP/1.1 101 Switching Protocols") -> bytes:
    lines = [line, "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {_ACCEPT}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


REQUESTS: Final = (
    _get(),
    _get("Origin: https://shop.example", "X-Forwarded-For: 192.0.2.7, 10.0.0.1"),
    _get("Sec-WebSocket-Protocol: im.v1, im.v2", f"Authorization: Bearer {SECRET}"),
    _get(f"Sec-WebSocket-Extensions: {_DEFLATE}; server_max_window_bits=10"),
    _get() + b"\x81\x80\0\0\0\0",
    _get("Content-Length: 5") + b"hello",
    _get("Transfer-Encoding: chunked"),
    _get(line=f"GET /ws?token={SECRET} HTTP/1.1"),
    _get(line="GET /ws HTTP/1.0"),
    _get(line="POST http://chat.example/ws HTTP/1.1"),
    _get(*(f"X-{n}: {n}" for n in range(70))),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS
)
ANSWERS: Final = (
    _answer(),
    _answer("Sec-WebSocket-Protocol: im.v1", "IM-Capabilities: seq, batch"),
    _answer(f"Sec-WebSocket-Extensions: {_DEFLATE}=12"),
    _answer() + b"\x81\x02hi\x89\x00\x88\x02\x03\xe8",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + _answer(),
    b"HTTP/1.1 301 Moved Permanently\r\nLocation: http://evil.example/\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 404 \xfcber\xc2\x85\xad\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n",
)
PROXIED: Final = (
    b"HTTP/1.1 200 Connection established\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nVia: 1.1 proxy\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nmore",
)
#: what each side says, one of each kind
SAID: Final[dict[str, dict[str, Any]]] = {
    "AUTH_REQUEST": {
        "accessToken": SECRET, "userId": "1", "capabilities": ["seq", "batch", "resume"],
        "deviceId": "phone", "limits": {"frameBytes": 65536, "batch": 64},
        "resume": {"epoch": "e0", "seq": 3, "fromUser": 2, "msgId": "9007199254740993"},
    },
    "HEARTBEAT_REQUEST": {"timestamp": 1700000000000},
    "CHAT_SEND_TO_ONE_REQUEST": {
        "msgId": 7, "toUser": 2, "content": "hello \u4f60\u597d", "sessionId": 3, "messageType": 1,
    },
    "CHAT_SEND_TO_ALL_REQUEST": {"msgId": "8", "content": "to all"},
    "CHAT_READ_RECEIPT_REQUEST": {"msgId": 7, "fromUser": "bravo"},
    "CHAT_ACK_REQUEST": {"seq": 4},
    "SYNC_REQUEST": {"after": 0},
    "MESSAGE_STATUS_REQUEST": {"msgIds": [7, 8]},
    "TYPING": {"toUser": 2, "fromUser": 2, "active": True},
    "SESSION_REQUEST": {"id": "c1", "op": "history", "params": {"peerId": 2, "pageSize": 10}},
    "AUTH_RESPONSE": {
        "code": 0, "message": "", "data": {
            "userId": 1, "username": "ann", "deviceId": "phone", "capabilities": ["seq", "batch"],
            "serverTime": 1700000000000, "expiresIn": 3600, "lastMsgId": 5, "resume": "recovered",
            "epoch": "e0", "oldest": 1, "seq": 3, "heartbeat": {"interval": 30, "timeout": 5},
            "limits": {"frameBytes": 65536, "batch": 64, "contentUnits": 1000, "inFlight": 64},
        },
    },
    "HEARTBEAT_RESPONSE": {"timestamp": 1, "serverTime": 2},
    "CHAT_SEND_RESPONSE": {"msgId": 7, "code": 0, "sessionId": 3, "timestamp": 1700000000000},
    "CHAT_REDIRECT_TO_USER_REQUEST": {
        "content": "hi", "msgId": 9, "fromUser": 2, "sessionId": 3, "messageType": "text", "seq": 4,
        "timestamp": 1700000000000, "toUser": None, "deviceId": "tablet",
    },
    "CHAT_READ_RECEIPT_RESPONSE": {"msgId": 7, "code": 0},
    "CHAT_ERROR_RESPONSE": {"code": 50000, "errorMsg": "no", "msgId": 7},
    "SYNC_RESPONSE": {"status": "reset", "oldest": 3, "epoch": "e1"},
    "KICK": {"reason": "elsewhere", "reconnect": False, "retryAfter": 1.5},
    "MESSAGE_STATUS_RESPONSE": {"items": [{"msgId": 7, "status": "accepted", "timestamp": 1}]},
    "RECEIPT_PUSH": {"msgIds": [7], "user": 2, "status": "delivered", "seq": 5},
    "READ_SYNC": {"fromUser": 2, "msgId": 9, "seq": 6},
    "PRESENCE": {"user": 2, "online": False, "lastSeen": 1700000000000},
    "AUTH_EXPIRING": {"expiresIn": 60.0},
    "SESSION_RESPONSE": {"id": "c1", "code": 0, "data": [{"sessionId": 3, "buyerId": 1}]},
    "auth_response": {"success": True, "userId": 1, "message": "ok"},
    "heartbeat_response": {"timestamp": 1},
    "chat_message": {"fromUserId": 2, "content": "hi", "messageType": "text", "timestamp": 1},
    "chat_response": {"code": 200, "message": "ok"},
}  # fmt: skip


def _heads(heads: Sequence[bytes], *before: int) -> list[bytes]:
    return [Tape().byte(*before).rest(head).data for head in heads]


def _frames() -> list[bytes]:
    def of(*pieces: tuple[str, int, bytes], **config: int) -> bytes:
        tape = Tape().byte(*(config.get(name, 0) for name in _FRAMES))
        if config.get("compressed"):
            tape.byte(0)
        tape.byte(0)
        for how, first, payload in pieces:
            tape.pick(frames.PIECES, how)
            if how != "raw":
                tape.byte(first)
            tape.chunk(payload)
        return tape.data

    text = b'{"type":"HEARTBEAT_REQUEST","message":"{}"}'
    conversation = (
        ("frame", 0x81, text),
        ("fragment", 0x01, b"a"),
        ("frame", 0x89, b"?"),
        ("frame", 0x80, "ü".encode()),
        ("frame", 0x8A, b""),
        ("frame", 0x88, b"\x03\xe8bye"),
    )
    squeezed = (("compressed", 0x81, text * 3), ("frame", 0x89, b""), ("bomb", 0x81, text))
    return [
        *(of(*conversation, server=side, how=3) for side in (0, 1)),
        *(of(*squeezed, server=side, compressed=1, binary=1) for side in (0, 1)),
        of(("compressed", 0x01, text), ("frame", 0x89, b"1"), ("frame", 0x80, b""), compressed=1),
        of(("frame", 0x82, b"\0\xff"), binary=1),
        of(("frame", 0x81, b"a" * 101), limits=1),
        of(("fragment", 0x01, b"a" * 60), ("frame", 0x80, b"a" * 60), limits=1),
        *(of(("bomb", 0x81, b"bombbomb"), limits=n, compressed=1, server=n) for n in (0, 1)),
        of(*[("fragment", 0x01, b""), *[("fragment", 0x00, b"")] * 5], limits=1),
        of(*[("frame", 0x89, b"")] * 8, limits=1, server=1),
        of(("raw", 0, b"\x81\x7f\x40\0\0\0\0\0\0\0"), ("raw", 0, b"\x82\x00\x83\x00"), how=1),
        of(("raw", 0, b"\x81\x84\x01\x02\x03\x04\xec\xa2\x83\x04"), server=1),
        of(("frame", 0x88, b"\x03\xed"), ("frame", 0x88, b"\x03")),
    ]


_FRAMES: Final = ("server", "compressed", "binary", "limits", "how")


def _dialects() -> list[bytes]:
    made: list[bytes] = []
    for kind, body in SAID.items():
        side = 2 if kind.islower() else int(kind in _OF_CLIENTS)
        for form in ("object", "data") if kind.islower() else ("string", "object"):
            tape = Tape().byte(side, 0).pick(dialects.FORMS, form).pick(dialects.KINDS, kind)
            made.append(tape.rest(json.dumps(body).encode()).data)
    batch = Tape().byte(1, 2).pick(dialects.FORMS, "batch")
    for kind in ("CHAT_ACK_REQUEST", "TYPING", "HEARTBEAT_REQUEST"):
        batch.pick(dialects.KINDS, kind).chunk(json.dumps(SAID[kind]))
    odd = (
        "[" * 300,
        '{"type":"KICK","type":"KICK","message":{"retryAfter":1e999}}',
        '{"type":"KICK","message":{"retryAfter":NaN}}',
        '{"type":"CHAT_ACK_REQUEST","message":{"seq":18446744073709551616}}',
        '{"type":"CHAT_ACK_REQUEST","message":{"seq":1.0}}',
        '{"type":"' + "x" * 200 + '"}',
        '[{"type":"PRESENCE"},7]',
        '{"type":"\\u0007\\u202e"}',
        "[" + ",".join(['{"type":"PRESENCE"}'] * 65) + "]",
        '{"type":"SYNC_RESPONSE","message":"{\\"status\\":\\"\\\\ud800\\"}"}',
    )
    texts = [Tape().byte(side, 3, 0).rest(text.encode()).data for text in odd for side in (0, 1, 2)]
    return [*made, batch.data, *texts]


_OF_CLIENTS: Final = tuple(SAID)[:10]


def _ops(all_ops: Sequence[str], tape: Tape, *ops: tuple[str, bytes]) -> bytes:
    for name, arguments in ops:
        tape.pick(all_ops, f"op_{name}").rest(arguments)
    return tape.data


def _client_steps() -> list[bytes]:
    def of(*ops: tuple[str, bytes], config: Sequence[int] = (0,) * 9) -> bytes:
        return _ops(client_step.OPS, Tape().byte(*config), *ops)

    logged_in = [("logs_in", b"")]
    hello = ("sends", Tape().byte(0, 0).chunk("hello").byte(2).data)
    disk = ("disk", b"\0")
    talk = [hello, disk, ("answers", b"\0\0"), ("pushes", b"\0\3\1"), disk, ("handles", b"\0\0")]
    journal, proxied, typed = (0,) * 8 + (1,), (1, 0, 1) + (0,) * 6, (0, 0, 0, 3) + (0,) * 5
    says = [
        ("says", Tape().pick(dialects.KINDS, kind).chunk(json.dumps(body)).data)
        for kind, body in SAID.items()
    ]
    return [
        of(*logged_in, *talk),
        of(*logged_in, *talk, disk, ("dies", b"\1"), *logged_in, *talk, config=journal),
        of(("gets_on", b""), ("opened", b"\0"), *logged_in, *talk, config=proxied),
        of(*logged_in, ("welcomed", b"\0"), *talk, config=typed),
        of(*logged_in, *says[10:18], *talk),
        of(*logged_in, *says[18:], *talk),
        of(*logged_in, hello, ("lost", b"\0\0"), ("deadline", b"\0"), *logged_in, *talk),
        of(*logged_in, ("closes", b"\6"), ("deadline", b"\5"), *logged_in, ("asks", b"\0")),
        of(hello, ("cancels", b"\0"), ("connection", b"\0\0"), ("token", b"\0\1x"), ("http", b"")),
        of(
            *logged_in,
            ("write", b"\1"),
            *talk,
            ("write", b"\0"),
            ("partly", b"\3"),
            ("time", b"\5"),
        ),
        of(*logged_in, *[("stale", bytes([7, n])) for n in range(11)]),
        of(*logged_in, ("asks", b"\2"), ("http", b"\0\0\2{}"), ("network", b""), ("wall", b"\7")),
    ]


def _server_steps() -> list[bytes]:
    def of(*ops: tuple[str, bytes], config: Sequence[int] = (0, 0)) -> bytes:
        return _ops(server_step.OPS, Tape().byte(*config), *ops)

    here = [("logs_in", b"\0\3"), ("logs_in", b"\1\1"), ("store", b"\7"), ("logs_in", b"\2\0")]
    chat = [("chats", b"\0\0\1\3"), ("store", b"\7"), ("store", b"\7"), ("acks", b"\1\1\0")]
    slow = [
        ("comes", b"\1"),
        ("upgrades", b"\0\0\0"),
        ("asks_in", b"\0\0\0"),
        ("token", b"\0"),
        ("store", b"\7"),
    ]
    says = [
        ("says", Tape().byte(1).pick(dialects.KINDS, kind).chunk(json.dumps(body)).data)
        for kind, body in list(SAID.items())[:10]
    ]
    origin = Tape().byte(0).chunk("+Origin: https://evil.example\r\nX-Forwarded-For: 10.9.9.9").data
    return [
        of(*here, *chat, ("deadline", b"")),
        of(*here, *[("stale", bytes([7, n])) for n in range(8)]),
        of(*slow, *here, *chat),
        of(*here, *says, ("store", b"\7"), ("time", b"\5")),
        of(("comes", b"\1"), ("upgrades", origin), *here, config=(1, 0)),
        of(*here, *chat, ("authorized", b"\0"), ("store", b"\7"), config=(0, 1)),
        of(*here, ("write", b"\1\1"), *chat, *chat, ("write", b"\1\0"), ("lost", b"\0"), *here),
        of(*here, *[("chats", b"\0\0\1\7")] * 9, ("time", b"\4"), ("store", b"\7")),
        of(*here, *[("extends", bytes([0, 5, n])) for n in range(8)], ("store", b"\7")),
        of(*here, ("site", b"\1\0\1\0\2hi"), ("site", b"\2\1\1"), ("store", b"\7")),
        of(*here, ("site", b"\3\0\0"), ("store", b"\7"), ("site", b"\0\1\2"), *here),
        of(*here, *chat, ("down", b"\xff\1"), ("store_fails", b""), ("deadline", b"")),
        of(*[("logs_in", b"\0\3")] * 6, ("closes", b"\0\0"), *[("comes", b"\0")] * 6),
    ]  # fmt: skip


def seeds(target: str) -> list[bytes]:
    """What to start a target with."""
    return {
        "handshake_server": lambda: [*_heads(REQUESTS, 0, 0, 3), *_heads(REQUESTS, 1, 1, 1)],
        "handshake_client": lambda: [
            seed for asked in range(3) for seed in _heads(ANSWERS, asked % 2, 0, 2, asked)
        ],
        "tunnel": lambda: _heads(PROXIED, 4),
        "frames": _frames,
        "dialects": _dialects,
        "client_step": _client_steps,
        "server_step": _server_steps,
    }[target]()


def words(target: str) -> list[bytes]:
    """A dictionary for the fuzzer: pieces that it would take long to guess."""
    if target in ("handshake_server", "handshake_client", "tunnel"):
        heads = b"".join((*REQUESTS, *ANSWERS, *PROXIED))
        found = {line for line in heads.split(b"\r\n") if 0 < len(line) <= 60}
        return sorted(found | {b"\r\n", b"\r\n\r\n", b"chunked", b"=15", b'"10"'})
    if target == "frames":
        return [
            b"\x88\x02\x03\xe8",
            b"\x81\x7e\xff\xff",
            b"\x7f\xff\xff",
            b"\xed\xa0\x80",
            b"\xc1\x00",
        ]
    keys = {key for body in SAID.values() for key in body}
    quoted = {f'"{key}":'.encode() for key in keys} | {kind.encode() for kind in SAID}
    odd = {b"null", b"true", b"1e999", b"NaN", b"\\ud800", b"\\u0000", b"9223372036854775808"}
    return sorted(quoted | odd)
