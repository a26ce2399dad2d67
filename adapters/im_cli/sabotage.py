"""Breaks a part of the engine in this process, to show that the demo would notice.

    python -m im_cli.sabotage KIND serve …        the command `im serve …`, sabotaged

`im demo --break KIND` starts its server so, and breaks its own process by `applied`. The kinds:

    dedupe   the store takes every repeat for a new message, and the client suppresses nothing
    resume   the client doesn't say where it was and takes any number for the next, and the server
             goes on at the head of the mailbox
    fence    an older log-in of a device goes on writing beside the newer one

Everything is replaced from outside: the product has no switch for it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from im_proto.client import incoming
from im_proto.server import commit, entrance, hub, planning, resume
from im_proto.server.records import PLAIN, CommitResult, Login, Submission

#: Above every msgId that a client draws, which are microseconds since 1970.
_MADE_IDS: Final = 1 << 61
_made = itertools.count()

_Patch = tuple[Any, str, Any]


def _dedupe() -> list[_Patch]:
    desk: Any = commit._Desk
    decide, look_at = desk.decide, incoming.Inbox.look_at

    def take_all(self: Any, new: Submission) -> CommitResult:
        draft = self._draft
        known = draft.message((new.sender, new.msg_id)) is not None
        if not known or new.device == PLAIN:
            result: CommitResult = decide(self, new)
        elif draft.is_fenced(new.sender, new.device, new.generation):
            result = decide(self, new)
        else:
            # the store's own table knows a msgId once, so the copy gets another
            result = self._accept(new, _MADE_IDS + draft.at * 1000 + next(_made) % 1000)
        return result

    def all_new(self: incoming.Inbox, *push: Any, **how: Any) -> incoming.Seen:
        seen = look_at(self, *push, **how)
        return incoming.Seen.NEW if seen is incoming.Seen.REPEAT else seen

    return [(desk, "decide", take_all), (incoming.Inbox, "look_at", all_new)]


def _resume() -> list[_Patch]:
    def begin_anew(self: incoming.Inbox, epoch: str, base: int | None) -> None:
        self.epoch = epoch
        self._forget_numbers()
        self.received = None
        self.handled = self.pushed = self.acked = 0

    def at_the_head(login: Login, *_: object) -> resume.Start:
        return resume.Start(base=login.head, resume=None)

    return [
        (incoming.Inbox, "resume", lambda self: None),
        (incoming.Inbox, "logged_in", begin_anew),
        (entrance, "start_of", at_the_head),
    ]


def _fence() -> list[_Patch]:
    def let_live(self: Any, asked: Any, login: Login) -> None:
        # the older session goes on beside the new one
        self._roster._devices.pop((asked.user, asked.device), None)

    return [
        (hub.Hub, "_replace", let_live),
        (planning.Draft, "is_fenced", lambda self, user, device, generation: False),
    ]


KINDS: Final[dict[str, Callable[[], list[_Patch]]]] = {
    "dedupe": _dedupe,
    "resume": _resume,
    "fence": _fence,
}


@contextmanager
def applied(kind: str) -> Iterator[None]:
    """Break this process for a while."""
    patches = KINDS[kind]()
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    try:
        for owner, name, replacement in patches:
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def main() -> None:
    """Run the command line, sabotaged for as long as it lives."""
    kind, *arguments = sys.argv[1:] or [""]
    if kind not in KINDS:
        sys.stderr.write(f"usage: python -m im_cli.sabotage {'|'.join(KINDS)} COMMAND …\n")
        raise SystemExit(2)
    from .__main__ import main as run

    sys.argv = ["im", *arguments]
    with applied(kind):
        run()


if __name__ == "__main__":
    main()
