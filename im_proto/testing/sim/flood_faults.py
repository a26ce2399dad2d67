"""Who says far more than may be said, and goes on when sent away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...server.login import CAPABILITIES
from .forged import TEXT, envelope, frame
from .registry import fault
from .stranger import GOOD, Stranger

if TYPE_CHECKING:
    from .chaos import Chaos

#: Whose rate is nobody else's.
USER: Final = "mallory"
#: The most envelopes in a burst.
_MOST: Final = 120
#: More than a message may hold by default.
_LONG: Final = "x" * 1001


@fault
def flood(chaos: Chaos) -> bool:
    """Some say far more than may be said: messages, questions, acks; and go on when sent away."""
    world, rng = chaos.world, chaos.rng
    visitors = []
    for _ in range(rng.choice((1, 1, 2))):
        pace = rng.choice((0.2, 0.2, 2.0))  # a server takes nothing before it has answered
        visitor = Stranger(world, _script(chaos), pace, reads=rng.random() < 0.7)
        chaos.undo(rng.uniform(5.0, 60.0), visitor.leave)
        visitors.append(visitor)
    if rng.random() < 0.3:  # with a store that can't answer all of it
        world.server.failing = 0.3
        chaos.undo(5.0, lambda: setattr(world.server, "failing", 0.0))
    return any(visitor.alive for visitor in visitors)


def _script(chaos: Chaos) -> list[bytes]:
    """What one of them writes: bursts, each of them in one write."""
    world, rng = chaos.world, chaos.rng
    capable: dict[str, Any] = {
        "capabilities": CAPABILITIES,
        "deviceId": rng.choice(("one", "other")),
        "limits": {"batch": 64, "frameBytes": rng.choice((1024, 65_536))},
    }
    batch = rng.choice((1, world.server.config.batch))
    login = envelope(
        "AUTH_REQUEST",
        accessToken=world.tokens.make(USER),
        userId=USER,
        **(capable if rng.random() < 0.7 else {}),
    )
    most = min(4 * world.server.config.envelope_burst, _MOST)
    more = rng.choices((_messages, _questions, _questions, _acks), k=rng.choice((2, 4)))
    bursts = [burst(chaos, rng.choice((10, most))) for burst in (_messages, *more)]
    return [GOOD, _frames(chaos, [login], 1), *(_frames(chaos, one, batch) for one in bursts)]


def _frames(chaos: Chaos, envelopes: list[str], batch: int) -> bytes:
    """As few frames as so many envelopes in each allow."""
    parts = [envelopes[at : at + batch] for at in range(0, len(envelopes), batch)]
    texts = (part[0] if len(part) == 1 else f"[{','.join(part)}]" for part in parts)
    return b"".join(frame(chaos.rng, TEXT, text.encode(), masked=True) for text in texts)


def _messages(chaos: Chaos, size: int) -> list[str]:
    """To itself, most of them, and to one of the others; some are too long."""
    world, rng = chaos.world, chaos.rng
    other = rng.choice(world.clients).config.user_id
    sent = []
    for to_user, count in ((USER, size), (other, rng.choice((0, 3, 10)))):
        written = world.stranger_writes(USER, to_user, count)
        sent += [
            envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=number, toUser=to_user, content=content)
            for number, content in written
        ]
    long = envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=1, toUser=other, content=_LONG)
    to_all = envelope("CHAT_SEND_TO_ALL_REQUEST", msgId=1, content=_LONG)
    return [long, to_all, *sent]


def _questions(chaos: Chaos, size: int) -> list[str]:
    """What became of its messages, what was said, who is there: over and over."""
    calls = ("getCurrent", "history", "startChat", "nonsense")
    asked = [
        envelope("MESSAGE_STATUS_REQUEST", msgIds=list(range(1, 51))),
        envelope("SYNC_REQUEST", after=0),
        envelope("CHAT_READ_RECEIPT_REQUEST", msgId=1, fromUser=USER),
        envelope("TYPING", toUser=USER, active=True),
        *(envelope("SESSION_REQUEST", id=op, op=op, params={"peerId": USER}) for op in calls),
    ]
    return chaos.rng.choices(asked, k=size)


def _acks(chaos: Chaos, size: int) -> list[str]:
    """The same again and again, and that it lives."""
    said = [envelope("CHAT_ACK_REQUEST", seq=0), envelope("HEARTBEAT_REQUEST")]
    return chaos.rng.choices(said, k=size)
