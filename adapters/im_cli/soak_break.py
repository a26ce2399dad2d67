"""Breaks a client in the process of an application, to show that `im soak` would notice.

    cursor    a message counts as handled when the application gets it, not when it is done
    journal   the engine hears that its records are on disk while they are still to be written
    flag      no message says that it may have been seen before

Everything is replaced from outside: the product has no switch for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

#: Seconds between two looks whether the disk is done.
_LOOK: Final = 0.001
#: By so many writes a broken journal is late.
_LATE: Final = 5


def _cursor() -> None:
    from im_asyncio.driver import Driver
    from im_proto.client.inputs import MessageHandled, MessageTaken
    from im_runtime import journal_schema

    feed = Driver.feed

    def feed_early(self: Any, item: Any, **more: Any) -> None:
        feed(self, item, **more)
        if isinstance(item, MessageTaken):
            feed(self, MessageHandled(delivery=item.delivery))
            self.turn_ended()  # else it is only noted
            while not self.written:  # the application gets it when that is on disk
                time.sleep(_LOOK)
                self._journal_answered()

    _replace(Driver, "feed", feed_early)
    _replace(journal_schema, "has", lambda *_: False)  # a transaction would notice


def _journal() -> None:
    from im_proto.client.inputs import JournalWritten
    from im_runtime.journal_writer import JournalWriter

    write, carry_out = JournalWriter.write, JournalWriter._carry_out

    def write_later(self: Any, wish: Any, *, here: bool = False) -> None:
        self._answers.append(JournalWritten(request=wish.request))
        write(self, wish, here=here)

    late: deque[Any] = deque()

    def carry_out_late(self: Any, wish: Any) -> Any:
        late.append(wish)
        if len(late) > _LATE:
            carry_out(self, late.popleft())
        # the engine takes no second answer to one request
        return None

    def answers(self: Any) -> list[Any]:
        given = [answer for answer in self._answers if answer is not None]
        self._answers.clear()
        self.pending -= len(given)
        return given

    _replace(JournalWriter, "write", write_later)
    _replace(JournalWriter, "_carry_out", carry_out_late)
    _replace(JournalWriter, "answers", answers)


def _flag() -> None:
    from im_asyncio.message import Message

    of = Message.of.__func__  # type: ignore[attr-defined]

    def unflagged(cls: Any, *arguments: Any) -> Any:
        return replace(of(cls, *arguments), redelivered=False)

    _replace(Message, "of", classmethod(unflagged))


KINDS: Final[dict[str, Callable[[], None]]] = {
    "cursor": _cursor,
    "journal": _journal,
    "flag": _flag,
}


def apply(kind: str | None) -> None:
    """Break this process for good."""
    if kind is not None:
        KINDS[kind]()


def _replace(owner: Any, name: str, function: Any) -> None:
    setattr(owner, name, function)
