"""The sessions that the server has told of, as they were told last."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..machines import SESSION
from ..wire.session import EXPIRED, STATES, SessionVO

#: Sessions that are remembered; the one told longest ago goes first.
MAX_CACHED: Final = 1000


class SessionCache:
    """They are as old as the answers that they came in, with their unread counts: what came, or was
    read, since then does not change them. One thing does: a message that is refused because its
    session can't be written in any more."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[int, SessionVO] = OrderedDict()

    def get(self, session_id: int) -> SessionVO | None:
        """The session as the server told it last."""
        return self._known.get(session_id)

    def all(self) -> list[SessionVO]:
        """All of them, the one told last at the end."""
        return list(self._known.values())

    def keep(self, session: SessionVO) -> None:
        """The server has told this."""
        self._known[session.id] = session
        self._known.move_to_end(session.id)
        if len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)

    def drop(self, session_id: int) -> None:
        """The server knows it no more."""
        self._known.pop(session_id, None)

    def send_refused(self, session_id: int | None) -> None:
        """A message was refused, as its session can't be written in any more."""
        known = self._known.get(session_id or 0)
        if known is None:
            return
        state = STATES.get(known.session_status or 0)
        if state is not None and SESSION.knows(state, "expire"):
            self._known[known.id] = known.model_copy(update={"session_status": EXPIRED})
