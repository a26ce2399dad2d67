"""Peers that say whatever a server may say, rightly or not."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Final

_CODES: Final = (0, 200, 0, None, 400, 403, 40300, 40900, 500, 50000, 40100, 40101, 401, "0")
_CAPABILITIES: Final = (
    *("seq", "batch", "status", "receipts", "typing", "presence", "refresh", "sessions", "inline"),
)
#: What a field may hold in place of what belongs there.
_JUNK: Final[tuple[Any, ...]] = (
    None, "", "x", "12", "-3", "007", -1, 0, 1.5, True, [], {}, "x" * 70, 10**18, "a b\x07",
)  # fmt: skip
_WORDS: Final = (None, "no", "sorry\nno", 12)
_JSON_JUNK: Final = ("", "null", "{}", "[]", '"x"', "{", "12", '{"type":""}', '{"type":5}', "[[]]")

Body = dict[str, Any]
#: The type of a message, and its fields.
Said = tuple[str, Body]


class Peer:
    """A server that speaks the first dialect.

    Args:
        rng: of what it says.
        users: whom it names.
    """

    dialect = "invocation"

    def __init__(self, rng: random.Random, users: Sequence[int | str]) -> None:
        self.rng = rng
        self._users = users
        self.user: int | str = users[0]
        #: it knows section 2, or can't even read of it, or neither
        self._kind = rng.choice(("ours", "ours", "ours", "plain", "strict"))
        self._granted = [one for one in _CAPABILITIES if rng.random() < 0.85]
        self._epoch = "e1"
        self._head = 0
        self._last_pair: tuple[int | str, int] | None = None
        self._owed: list[tuple[str, Body]] = []
        self._seen: list[int] = []
        self._in = False
        #: what is never answered
        kinds = sorted(_ANSWERS)
        self._silent = rng.choice(((), (), (), rng.sample(kinds, 1), rng.sample(kinds, 3)))

    def begin(self) -> None:
        """A new link."""
        self._owed.clear()
        self._in = False
        if self.rng.random() < 0.1:
            self._epoch, self._head = f"e{self.rng.randrange(3)}", self.rng.randrange(5)

    def hear(self, text: str) -> None:
        """The client says something."""
        found = json.loads(text)
        for envelope in found if isinstance(found, list) else [found]:
            body = envelope["message"]
            said = json.loads(body) if isinstance(body, str) else body
            if "msgId" in said:
                self._seen.append(int(said["msgId"]))
            if envelope["type"] in _ANSWERS and envelope["type"] not in self._silent:
                self._owed.append((envelope["type"], said))

    def say(self) -> str:
        """One frame."""
        rng = self.rng
        if rng.random() < 0.02:
            return rng.choice(_JSON_JUNK)
        said = [self._one()]
        if self._in and "batch" in self._granted and rng.random() < 0.3:
            said += [self._one() for _ in range(rng.choice((1, 2)))]
        envelopes = [self._envelope(*one) for one in said]
        return self._dumped(envelopes if len(envelopes) > 1 else envelopes[0])

    def _one(self) -> Said:
        rng = self.rng
        if self._owed and (not self._in or rng.random() < 0.6):
            kind, body = self._owed.pop(0)
            said: Said = _ANSWERS[kind](self, body)
        elif not self._in and rng.random() < 0.7:
            said = self._auth({})
        else:
            said = rng.choice(_PUSHES)(self)
        if rng.random() < 0.05 and said[1]:
            field = rng.choice(sorted(said[1]))
            junk = rng.choice(_JUNK)
            if not (junk == 10**18 and field in ("seq", "oldest", "timestamp", "serverTime")):
                said[1][field] = junk
        return said

    def _envelope(self, kind: str, body: Body) -> Body:
        inline = self.rng.random() < 0.3
        told = {key: value for key, value in body.items() if value is not None}
        return {"type": kind, "message": told if inline else self._dumped(told)}

    @staticmethod
    def _dumped(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    # ------------------------------------------------------------ answers

    def _auth(self, body: Body) -> Said:
        rng = self.rng
        if self._kind == "strict" and "capabilities" in body:
            return "AUTH_RESPONSE", {"code": 400, "message": "unknown key"}
        if rng.random() < 0.15:
            code = rng.choice((400, 401, 40100, 40101, 403, 500, 50000))
            return "AUTH_RESPONSE", {"code": code, "message": rng.choice(_WORDS)}
        self._in = True
        good_code: object = rng.choice((0, 200, "0"))
        if rng.random() < 0.04:
            return "AUTH_RESPONSE", {"code": good_code, "data": {"userId": 12345}}
        if self._kind != "ours" or "capabilities" not in body:
            return "AUTH_RESPONSE", {
                "code": good_code,
                "data": rng.choice((None, "", {"userId": self.user})),
            }
        resume = None
        if "resume" in body:
            good = body["resume"]["epoch"] == self._epoch and rng.random() < 0.8
            resume = "recovered" if good else "reset"
            if good:
                self._head = int(body["resume"]["seq"])
        told: Body = {
            "userId": self.user,
            "username": rng.choice((None, "Alice")),
            "capabilities": self._granted,
            "serverTime": 1_700_000_000_000,
            "expiresIn": rng.choice((None, None, 0.5, 60, 3600)),
            "lastMsgId": rng.choice((None, 0, max(self._seen, default=0))),
            "epoch": self._epoch,
            "seq": rng.choice((None, self._head)),
            "resume": resume,
            "oldest": self._head + 1 if resume == "reset" else None,
            "heartbeat": rng.choice((None, {"interval": 10, "timeout": 2.5}, {"interval": 0})),
            "limits": rng.choice(
                (None, {}, {"inFlight": 2, "contentUnits": 5}, {"frameBytes": 1024, "batch": 2})
            ),
        }
        if rng.random() < 0.1:
            told[rng.choice(sorted(told))] = rng.choice(_JUNK[:-2])
        told = {key: value for key, value in told.items() if value is not None}
        return "AUTH_RESPONSE", {"code": good_code, "message": "", "data": told}

    def _chat(self, body: Body) -> Said:
        rng = self.rng
        code = rng.choice((0, None, None, rng.choice(_CODES)))
        words = rng.choice(_WORDS)
        kind = rng.random()
        if kind < 0.05:
            return "CHAT_ERROR_RESPONSE", {"code": code, "errorMsg": words}
        if kind < 0.12:
            return "CHAT_ERROR_RESPONSE", {
                "code": code, "message": words, "msgId": body["msgId"]
            }  # fmt: skip
        return "CHAT_SEND_RESPONSE", {
            "msgId": rng.choice((body["msgId"], body["msgId"], str(body["msgId"]), 77)),
            "code": code,
            "message": words,
            "sessionId": body.get("sessionId"),
            "timestamp": rng.choice((None, 1_700_000_001_000)),
        }

    def _status(self, body: Body) -> Said:
        rng = self.rng
        states = ("never", "accepted", "delivered", "read", "forgotten")
        items = [
            {"msgId": msg_id, "status": rng.choice(states), "timestamp": 1_700_000_002_000}
            for msg_id in body["msgIds"]
            if rng.random() < 0.9
        ]
        return "MESSAGE_STATUS_RESPONSE", {"items": items}

    def _sync(self, body: Body) -> Said:
        good = self.rng.random() < 0.7
        self._head = int(body["after"]) if good else int(body["after"]) + 3
        epoch = self.rng.choice((None, self._epoch))
        status = "recovered" if good else "reset"
        return "SYNC_RESPONSE", {"status": status, "oldest": self._head + 1, "epoch": epoch}

    def _session(self, body: Body) -> Said:
        return "SESSION_RESPONSE", {"id": body["id"], **self._answer(body["op"])}

    def _beat(self, _: Body) -> Said:
        return "HEARTBEAT_RESPONSE", {"serverTime": self.rng.choice((None, 1_700_000_003_000))}

    def _read(self, body: Body) -> Said:
        code = self.rng.choice((0, None, 40400, 500))
        return "CHAT_READ_RECEIPT_RESPONSE", {"msgId": body["msgId"], "code": code, "message": ""}

    def http(self, url: str) -> str:
        """The answer to a call by HTTP."""
        names = {"getCurrent": "getCurrent", "history": "history", "create": "create"}
        op = next((op for part, op in names.items() if part in url), "get")
        return self._dumped(self._answer(op))

    def _answer(self, op: str) -> Body:
        rng = self.rng
        if rng.random() < 0.25:
            code = rng.choice((400, 404, 40400, 40100, 403, 429, 500, 50000))
            return {"code": code, "message": rng.choice(_WORDS)}
        one: Body = {
            "id": rng.choice((5, "6", 2**60)), "bookId": rng.choice((0, 1)), "buyerId": 1,
            "sellerId": rng.choice(self._users), "sessionStatus": rng.choice((1, 2, 3, "x")),
            "expireTime": rng.choice((None, "2026", 12)), "buyerReaded": rng.choice((True, 3)),
        }  # fmt: skip
        record: Body = {
            "msgId": rng.choice((3, "4", 2**60)), "senderId": 1, "receiverId": "bravo",
            "content": "of old", "messageStatus": rng.choice((1, 9, None)), "sendTime": 17,
        }  # fmt: skip
        data: Any = rng.choice((one, one, 5, None, "5", "x"))
        if op == "getCurrent":
            data = rng.choice(([one, one], [], [one, "junk"], None, 5))
        elif op == "history":
            around = {"records": [record, {}], "hasNext": rng.choice((True, None)), "total": 7}
            data = rng.choice((around, [record], [], 5))
        elif op == "create":
            data = rng.choice((5, one, None))
        return {"code": 0, "data": data, "message": ""}

    # ------------------------------------------------------------ what nobody asked for

    def _next(self) -> int:
        roll = self.rng.random()
        if roll < 0.06:
            return max(1, self._head - self.rng.randrange(3))
        self._head += 2 if roll < 0.12 else 1
        return self._head

    def _numbered(self) -> Body:
        return {"seq": self._next()} if "seq" in self._granted and self._kind == "ours" else {}

    def _push(self) -> Said:
        rng = self.rng
        pair = (rng.choice(self._users), rng.choice((self._head + 10, 2**60)))
        if self._last_pair is not None and rng.random() < 0.15:
            pair = self._last_pair
        self._last_pair = pair
        body = {
            "content": rng.choice(("hello", "hello", "你好\n", "")),
            "fromUser": pair[0],
            "msgId": pair[1],
            "sessionId": rng.choice((None, 5)),
            "messageType": rng.choice((None, None, "image", 3)),
            "timestamp": rng.choice((None, 1_700_000_004_000, "x")),
            **self._numbered(),
        }
        if rng.random() < 0.1:
            body |= {"toUser": rng.choice(self._users), "deviceId": "phone"}
        return "CHAT_REDIRECT_TO_USER_REQUEST", body

    def _receipt(self) -> Said:
        ids = self._seen[-2:] or [1]
        return "RECEIPT_PUSH", {
            "msgIds": ids,
            "user": self.rng.choice(self._users),
            "status": self.rng.choice(("delivered", "read")),
            "timestamp": 1_700_000_005_000,
            **self._numbered(),
        }

    def _read_sync(self) -> Said:
        return "READ_SYNC", {
            "fromUser": self.rng.choice(self._users),
            "msgId": 9,
        } | self._numbered()

    def _typing(self) -> Said:
        return "TYPING", {"fromUser": self.rng.choice(self._users), "active": True}

    def _presence(self) -> Said:
        seen = self.rng.choice((None, 1_700_000_006_000))
        return "PRESENCE", {"user": 2, "online": self.rng.random() < 0.5, "lastSeen": seen}

    def _expiring(self) -> Said:
        return "AUTH_EXPIRING", {"expiresIn": self.rng.choice((0, 5, 60.5))}

    def _kick(self) -> Said:
        rng = self.rng
        wait = rng.choice((None, 2))
        return "KICK", {"reason": "go", "reconnect": rng.random() < 0.7, "retryAfter": wait}

    def _unknown(self) -> Said:
        return self.rng.choice(("NEWS", "BAD\x07NAME")), {"a": 1} | self._numbered()

    def _again(self) -> Said:
        """An answer that nobody waits for."""
        kind = self.rng.choice(sorted(_ANSWERS))
        asked: Body = {"msgId": 5, "msgIds": [5], "after": 0, "id": "s1", "op": "get"}
        said: Said = _ANSWERS[kind](self, asked)
        return said


_ANSWERS: Final[dict[str, Any]] = {
    "AUTH_REQUEST": Peer._auth,
    "CHAT_SEND_TO_ONE_REQUEST": Peer._chat,
    "HEARTBEAT_REQUEST": Peer._beat,
    "MESSAGE_STATUS_REQUEST": Peer._status,
    "SYNC_REQUEST": Peer._sync,
    "SESSION_REQUEST": Peer._session,
    "CHAT_READ_RECEIPT_REQUEST": Peer._read,
}
_PUSHES: Final[tuple[Any, ...]] = (
    *(Peer._push,) * 8,
    *(Peer._receipt, Peer._read_sync, Peer._typing, Peer._presence, Peer._expiring),
    *(Peer._kick, Peer._unknown, Peer._again),
)


class TypedPeer(Peer):
    """A server that speaks the second dialect."""

    dialect = "typed"

    def hear(self, text: str) -> None:
        """The client says something."""
        envelope = json.loads(text)
        self._owed.append((envelope["type"], envelope))

    def say(self) -> str:
        """One frame."""
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice(_JSON_JUNK)
        kind, name, data = self._typed()
        if rng.random() < 0.05 and data:
            data[rng.choice(sorted(data))] = rng.choice(_JUNK)
        told: Any = {key: value for key, value in data.items() if value is not None}
        around: Body = {"type": kind, "id": name, "timestamp": 1_700_000_000_000}
        form = rng.random()
        if form < 0.2:
            return self._dumped(around | told)
        return self._dumped(around | {"data": self._dumped(told) if form < 0.4 else told})

    def _typed(self) -> tuple[str, str, Body]:
        rng, words = self.rng, self.rng.choice(_WORDS)
        if self._owed and rng.random() < 0.8:
            kind, envelope = self._owed.pop(0)
            if kind == "auth":
                good = rng.random() < 0.85
                self._in |= good
                code = rng.choice((None, 200)) if good else rng.choice((None, 40101, 403, 500))
                body = {"success": rng.choice((good, None)), "code": code, "message": words}
                return "auth_response", "s1", body | {"userId": rng.choice((None, self.user))}
            if kind == "heartbeat":
                return "heartbeat_response", envelope["id"], {}
            body = {"code": rng.choice(_CODES), "message": words}
            if rng.random() < 0.5:
                body = {"success": rng.choice((True, True, False, "true")), "message": words}
            return "chat_response", rng.choice((envelope["id"], "s2")), body
        kind = rng.choice(
            ("chat_message", "chat_message", "chat_response", "news", "auth_response")
        )
        body = {"content": "hello", "fromUserId": rng.choice(self._users), "messageType": None}
        return kind, "s3", body | {"success": True} if kind == "auth_response" else body
