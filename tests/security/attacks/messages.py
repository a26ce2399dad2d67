"""Attacks with what messages say: JSON, and the rules of who may do what."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any, Final

from .attack import Group
from .peer import Aim, Peer, device, envelope, junk

MESSAGES: Final = Group("messages")
attack = MESSAGES.attack
_SEND: Final = "CHAT_SEND_TO_ONE_REQUEST"
_ANSWERS: Final = ("CHAT_SEND_RESPONSE", "CHAT_ERROR_RESPONSE")


def _chat(to: int, **more: object) -> dict[str, object]:
    return {"msgId": 1, "toUser": to, "content": "hello", **more}


# ---------------------------------------------------------------- JSON


async def _text(payload: bytes, aim: Aim) -> None:
    """To the connection's end."""
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await peer.text(payload)
        await peer.end()


async def _answered(payload: bytes, aim: Aim) -> None:
    """To an answer, after which all is as before."""
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await peer.text(payload)
        answer = await peer.heard(*_ANSWERS)
        aim.saw(f"code {answer.get('code')}")
        await peer.alive()


def _ends(name: str, does: str, payload: bytes, *answers: str) -> None:
    MESSAGES.add(name, does, partial(_text, payload), *answers)


def _is_answered(name: str, does: str, payload: bytes, *answers: str) -> None:
    MESSAGES.add(name, does, partial(_answered, payload), *answers, "still served")


def _in_string(message: str) -> bytes:
    return json.dumps({"type": _SEND, "message": message}).encode()


_ends("deep JSON", "nests 60,000 arrays", b"[" * 30_000 + b"]" * 30_000, "close 1007")
_ends("deeper JSON", "nests 100,000 arrays", b"[" * 100_000 + b"]" * 100_000, "close 1009")
_ends("no JSON", "sends half an object", b'{"type": ', "close 1007")
_ends("no envelope", "sends a number", b"1", "close 1002")
_ends("NaN", "writes NaN", b'{"type": "HEARTBEAT_REQUEST", "message": NaN}', "close 1007")
_ends(
    "lone surrogate",
    "writes half a character",
    rb'{"type": "HEARTBEAT_REQUEST", "message": "\ud800"}',
    "close 1007",
)
_ends("type of 10 MB", "names a type of 10 MB", b'{"type": "' + b"T" * 10_000_000, "close 1009")
_ends("batch of 10^6", "sends a million envelopes at once", b"[" + b"{}," * 10**6, "close 1009")
_ends(
    "batch of 20,000", "… as many as go into a frame", b"[" + b"{}," * 20_000 + b"{}]", "close 1002"
)
_ends("empty batch", "sends a batch of none", b"[]", "close 1002")
_ends("batch in a batch", "sends a batch of batches", b"[[{}]]", "close 1002")
_ends(
    "log-in in a batch",
    "hides a log-in in a batch",
    b"[" + envelope("AUTH_REQUEST", {"accessToken": "x"}) + b"]",
    "close 1002",
)
_is_answered(
    "long type", "names a type of 60 kB", b'{"type": "' + b"T" * 60_000 + b'"}', "code 400"
)
_is_answered("type that is a number", "names the type 5", b'{"type": 5}', "code 400")
_is_answered(
    "deep message",
    "nests arrays inside of a message",
    _in_string("[" * 20_000 + "]" * 20_000),
    "code 400",
)
_is_answered(
    "huge integer",
    "writes a msgId of 4,000 digits",
    _in_string('{"msgId": ' + "9" * 4_000 + ', "toUser": 1, "content": "x"}'),
    "code 400",
)
_is_answered("2^63", "writes a msgId of 2^63", envelope(_SEND, _chat(1, msgId=2**63)), "code 400")
_is_answered("negative id", "writes to user -1", envelope(_SEND, _chat(-1)), "code 400")
_is_answered(
    "infinite id", "writes to user 1e999", _in_string('{"msgId": 1, "toUser": 1e999}'), "code 400"
)
_is_answered(
    "surrogate in a content",
    "writes half a character into a message",
    _in_string(r'{"msgId": 1, "toUser": 1, "content": "\ud800"}'),
    "code 400",
)
_is_answered(
    "NUL in a content",
    "writes U+0000 into a message",
    envelope(_SEND, _chat(1, content="a\x00b")),
    "code 400",
)
_is_answered(
    "NUL in a name",
    "writes to a user whose name has U+0000",
    envelope(_SEND, _chat(1) | {"toUser": "a\x00b"}),
    "code 400",
)
_is_answered(
    "long content",
    "writes 60,000 letters",
    envelope(_SEND, _chat(1, content="x" * 60_000)),
    "code 400",
)
_is_answered(
    "long name",
    "writes to a user with a name of 50 kB",
    envelope(_SEND, _chat(1) | {"toUser": "u" * 50_000}),
    "code 400",
)


@attack("duplicate keys", "names two recipients: the last one is meant", "code 0", "to the last")
async def _duplicates(aim: Aim) -> None:
    sender, first, last = (next(aim.users) for _ in range(3))
    async with Peer(aim) as peer, Peer(aim) as second:
        await second.login(last)
        await peer.login(sender)
        await peer.text(_in_string(f'{{"msgId":1,"content":"x","toUser":{first},"toUser":{last}}}'))
        aim.saw(f"code {(await peer.heard(*_ANSWERS)).get('code')}")
        await second.heard("CHAT_REDIRECT_TO_USER_REQUEST")
        aim.saw("to the last")


@attack(
    "ten thousand wrong items",
    "asks for the status of 10,000 things that are no ids",
    "code 400",
    "still served",
)
async def _wrong_items(aim: Aim) -> None:
    message = envelope("MESSAGE_STATUS_REQUEST", {"msgIds": ["x"] * 9_000})
    await _answered(message, aim)


# ---------------------------------------------------------------- log-in


async def _refused(token: str, aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.say("AUTH_REQUEST", {"accessToken": token})
        aim.saw(f"code {(await peer.heard('AUTH_RESPONSE')).get('code')}")
        await peer.end()


def _b64(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@attack("junk token", "logs in with 8 KiB of junk", "code 40101", "close 4001")
async def _junk(aim: Aim) -> None:
    await _refused(junk(aim.rng, 8_192), aim)


@attack(
    "unsigned token", 'logs in with a token of the algorithm "none"', "code 40101", "close 4001"
)
async def _none(aim: Aim) -> None:
    claims = {"sub": str(aim.victim)}
    await _refused(f"{_b64({'alg': 'none', 'typ': 'JWT'})}.{_b64(claims)}.", aim)


@attack("token of another", "changes the user in its own token", "code 40101", "close 4001")
async def _another(aim: Aim) -> None:
    head, _, signature = aim.token(next(aim.users)).split(".")
    await _refused(f"{head}.{_b64({'sub': str(aim.victim)})}.{signature}", aim)


@attack("deep token", "logs in with a token whose head is nested", "code 40101", "close 4001")
async def _deep_token(aim: Aim) -> None:
    head = base64.urlsafe_b64encode(b"[" * 3_000).decode()
    await _refused(f"{head}.{head}.x", aim)


@attack(
    "token and another's id", "logs in with its token as somebody else", "code 40101", "close 4001"
)
async def _as_other(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        message = {"accessToken": aim.token(next(aim.users)), "userId": aim.victim}
        await peer.say("AUTH_REQUEST", message)
        aim.saw(f"code {(await peer.heard('AUTH_RESPONSE')).get('code')}")
        await peer.end()


@attack("bad log-in", "asks to log in with what is no log-in", "code 400", "close 1008")
async def _bad(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.say("AUTH_REQUEST", {"accessToken": ["x"]})
        aim.saw(f"code {(await peer.heard('AUTH_RESPONSE')).get('code')}")
        await peer.end()


@attack("chat before the log-in", "writes before it has logged in", "code 40100")
async def _before(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.say(_SEND, _chat(aim.victim))
        aim.saw(f"code {(await peer.heard(*_ANSWERS)).get('code')}")


@attack(
    "another user's token on a live connection", "becomes somebody else", "code 40101", "close 4001"
)
async def _switch(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await peer.say("AUTH_REQUEST", {"accessToken": aim.token(next(aim.users))})
        aim.saw(f"code {(await peer.heard('AUTH_RESPONSE')).get('code')}")
        await peer.end()


@attack(
    "replayed log-in", "sends the log-in of a device again, elsewhere", "close 4004", "still served"
)
async def _replay_login(aim: Aim) -> None:
    """Whoever has the token is the user: the older connection is told, and ends."""
    user, name = next(aim.users), device(aim.rng)
    async with Peer(aim) as first, Peer(aim) as second:
        await first.login(user, device=name)
        await second.login(user, device=name)
        await first.end()
        await second.alive()


# ---------------------------------------------------------------- numbers


async def _numbered(aim: Aim, numbers: list[int], *, pushes: int) -> None:
    """Acknowledge these numbers after so many pushes."""
    user = next(aim.users)
    async with Peer(aim) as peer, Peer(aim) as sender:
        await peer.login(user, device=device(aim.rng))
        if pushes:
            await sender.login(next(aim.users))
            for number in range(pushes):
                await sender.say(_SEND, _chat(user, msgId=number + 1))
                await peer.heard("CHAT_REDIRECT_TO_USER_REQUEST")
        for number in numbers:
            await peer.say("CHAT_ACK_REQUEST", {"seq": number})
        await peer.end()


@attack("ack of nothing", "acknowledges what was never pushed", "close 1008")
async def _ack_nothing(aim: Aim) -> None:
    await _numbered(aim, [1], pushes=0)


@attack("ack that jumps", "acknowledges far more than was pushed", "close 1008")
async def _ack_jumps(aim: Aim) -> None:
    await _numbered(aim, [2**53], pushes=2)


@attack("ack that goes back", "takes back what it acknowledged", "close 1008")
async def _ack_back(aim: Aim) -> None:
    await _numbered(aim, [2, 1], pushes=2)


@attack("sync of the future", "asks for what comes after what was never pushed", "close 1008")
async def _sync(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await peer.say("SYNC_REQUEST", {"after": 2**53})
        await peer.end()


@attack("resume of another mailbox", "resumes where it never was", "resume reset", "still served")
async def _resume(aim: Aim) -> None:
    async with Peer(aim) as peer:
        resume = {"epoch": "another", "seq": 2**53, "fromUser": aim.victim, "msgId": 1}
        said = await peer.login(next(aim.users), device=device(aim.rng), resume=resume)
        aim.saw(f"resume {said['data'].get('resume')}")
        await peer.alive()


# ---------------------------------------------------------------- what is others'


@attack("forged sender", "writes as somebody else", "from who logged in")
async def _forged(aim: Aim) -> None:
    sender, reader = next(aim.users), next(aim.users)
    async with Peer(aim) as peer, Peer(aim) as other:
        await other.login(reader)
        await peer.login(sender)
        await peer.say(_SEND, _chat(reader, fromUser=aim.victim))
        pushed = await other.heard("CHAT_REDIRECT_TO_USER_REQUEST")
        said = pushed["fromUser"]
        aim.saw("from who logged in" if int(said) == sender else f"from {said}")


@attack("message into a foreign session", "writes into a session of others", "code 40400")
async def _foreign(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        for session in range(1, aim.foreign + 2):  # one more than there is
            await peer.say(_SEND, _chat(aim.victim, msgId=session, sessionId=session))
            aim.saw(f"code {(await peer.heard(*_ANSWERS)).get('code')}")


@attack("foreign session", "reads sessions of others, and what was said in them", "code 40400")
async def _reads(aim: Aim) -> None:
    user = next(aim.users)
    async with Peer(aim) as peer:
        await peer.login(user, device=device(aim.rng))
        calls: list[tuple[str, dict[str, Any]]] = [
            ("get", {"sessionId": aim.foreign}),
            ("get", {"sessionId": 2**53}),
            ("history", {"sessionId": aim.foreign}),
            ("history", {"sessionId": 2**53}),
            ("get", {"bookId": 0, "buyerId": aim.victim, "sellerId": aim.victim + 1}),
        ]
        for number, (op, params) in enumerate(calls):
            request = {"id": str(number), "op": op, "params": params}
            await peer.say("SESSION_REQUEST", request)
            aim.saw(f"code {(await peer.heard('SESSION_RESPONSE')).get('code')}")


@attack("sessions of another", "asks for and begins sessions of others", "code 403", "code 40400")
async def _list(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        others = {"bookId": 7, "buyerId": aim.victim, "sellerId": aim.victim + 1}
        for op, params in (
            ("getCurrent", {"userId": aim.victim}),
            ("create", others),
            ("startChat", others),
        ):
            await peer.say("SESSION_REQUEST", {"id": op, "op": op, "params": params})
            aim.saw(f"code {(await peer.heard('SESSION_RESPONSE')).get('code')}")


@attack("read mark on what it never got", "marks messages of others as read", "code 40400")
async def _marks(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        for number in (1, 2**53):
            mark = {"msgId": number, "fromUser": aim.victim}
            await peer.say("CHAT_READ_RECEIPT_REQUEST", mark)
            answer = await peer.heard("CHAT_READ_RECEIPT_RESPONSE")
            aim.saw(f"code {answer.get('code')}")


@attack("to everybody", "writes to everybody without the role", "code 403")
async def _everybody(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.say("CHAT_SEND_TO_ALL_REQUEST", {"msgId": 1, "content": "buy"})
        aim.saw(f"code {(await peer.heard(*_ANSWERS)).get('code')}")


@attack(
    "replayed message",
    "sends a message again, also with other words",
    "code 0",
    "code 40900",
    "close 1013",
    "pushed once",
)
async def _replay(aim: Aim) -> None:
    sender, reader, name = next(aim.users), next(aim.users), device(aim.rng)
    async with Peer(aim) as other:
        await other.login(reader)
        for content in ("pay 5", "pay 5", "pay 500"):
            async with Peer(aim) as peer:
                await peer.login(sender, device=name)
                await peer.say(_SEND, _chat(reader, content=content))
                aim.saw(f"code {(await peer.heard(*_ANSWERS)).get('code')}")
                if content == "pay 500":
                    await peer.end()
        stored = False
        async with Peer(aim) as peer:
            await peer.login(sender, device=name)
            await peer.say(_SEND, _chat(reader, content="over", msgId=2))
            stored = (await peer.heard(*_ANSWERS)).get("code") == 0
        if not stored:  # it was sent away: the reader would wait in vain
            return
        pushed = []
        async for kind, message in other.messages():
            if kind == "CHAT_REDIRECT_TO_USER_REQUEST":
                pushed.append(message["content"])
                if message["content"] == "over":
                    break
        aim.saw("pushed once" if pushed == ["pay 5", "over"] else f"pushed {pushed}")
