"""What is asked of the server costs, in messages: a message costs some 0.2 ms in all, its share of
the commit included. Measured with 200,000 messages in 20,000 sessions; nothing here costs more
where there are more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..wire.session import SessionOp
from .actions import StoreCall, StoreStatus

#: What is not named costs as much as a message.
COSTS: Final[Mapping[str, float]] = {
    # a look at a token, a transaction of its own, a read of a mailbox
    "log-in": 5.0,
    # a transaction of its own, if there was no such session
    SessionOp.CREATE: 5.0,
    SessionOp.START_CHAT: 5.0,
    "close": 5.0,
    # 500 sessions, with what is not read in each
    SessionOp.GET_CURRENT: 30.0,
    # a page of 100 messages, and a count of up to 10,000
    SessionOp.HISTORY: 20.0,
}
#: Ids of a status question that cost as much as a message besides …
IDS: Final = 15
#: … and entries of a mailbox that do, when they are read and pushed again.
ENTRIES: Final = 10
#: A message in a transaction costs the store only a part of that: a question costs it as much as
#: so many times its cost of them.
IN_STORE: Final = 4.0


def cost_of(name: str) -> float:
    """What a call about sessions costs, or whatever else has a name in COSTS, in messages."""
    return COSTS.get(name, 1.0)


def cost_of_status(ids: int) -> float:
    """What a question about so many msgIds costs, in messages."""
    return 1.0 + ids // IDS


def weight(question: StoreStatus | StoreCall) -> float:
    """What a question costs the store, in messages of a transaction."""
    if isinstance(question, StoreStatus):
        return IN_STORE * cost_of_status(len(question.msg_ids))
    return IN_STORE * cost_of(question.call.op)
