"""What a store lets go (protocol.md section 2, "Resume").

A mailbox loses its oldest entries, and only those, so that its numbers have no gaps: cursors never
hold them back. A message goes when no mailbox has an entry of it any more and it is so old that
nobody sends it again; until then a history shows it. Its msgId leaves a trace in `forgotten` of its
device, so that nobody takes it for never sent.

A device that stays away goes too, when its cursor stands for nothing that is held any more: it
comes back as a new one, and gets from its mailbox what it would have got anyway. All msgIds that it
can ask about are older than what is remembered of any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..wire import UserId

#: Log-ins of one device that are remembered, for an audit. Whoever logs in again and again must not
#: fill the disk.
FENCES: Final = 1000


class Held(NamedTuple):
    """What a mailbox holds: from `oldest` to `head` (`oldest` is head + 1 if it holds nothing).

    `young` is the lowest seq held of an entry that came at or after `entries_before`; head + 1 if
    there is none, and `oldest` if no age is set.
    """

    user: UserId
    oldest: int
    head: int
    young: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What goes in one transaction.

    Attributes:
        oldest: of each mailbox that loses entries, the oldest seq that it keeps.
        room: how many messages may go in the same transaction: of those in no mailbox that are
            older than `messages_before`, the ones accepted first.
        more: there are more entries to let go.
    """

    oldest: Mapping[UserId, int]
    room: int
    more: bool


def plan_release(mailboxes: Iterable[Held], keep: int | None, limit: int) -> Release:
    """Decide how far mailboxes are emptied.

    Args:
        mailboxes: those that may have something to let go; others do no harm.
        keep: the most entries of a mailbox; None: any number.
        limit: the most rows, entries and messages, in one transaction.
    """
    oldest: dict[UserId, int] = {}
    more = False
    for held in mailboxes:
        keeps = held.young
        if keep is not None:
            keeps = max(keeps, held.head - keep + 1)
        goes = min(keeps - held.oldest, limit)
        if goes > 0:
            oldest[held.user] = held.oldest + goes
            limit -= goes
        if goes < keeps - held.oldest:
            more = True
            break  # what is in the others is not looked at: the store may be asked for it here
    return Release(oldest=oldest, room=limit, more=more)


def devices_that_go(
    known: Iterable[tuple[str, int]], keep: int | None, present: Collection[str]
) -> list[str]:
    """Decide which devices of a user go when another one, which is not known yet, logs in.

    Args:
        known: those with a name, each with its last log-in.
        keep: how many a user may have, the new one with them; None: any number.
        present: those that don't go.
    """
    oldest_first = sorted(known, key=lambda device: (device[1], device[0]))
    if keep is None:
        return []
    too_many = len(oldest_first) + 1 - keep
    away = [name for name, _ in oldest_first if name not in present]
    return away[: max(0, too_many)]
