"""What all parts of the hub share: the time, who is logged in, and what is to be done."""

from __future__ import annotations

from enum import StrEnum

from ..config import ServerConfig
from ..timers import Timers
from . import talk
from .actions import HubAction
from .admission import Admission
from .roster import Roster
from .session import Session

HubOutput = HubAction | talk.SendTo


class HubTimer(StrEnum):
    """The hub's deadlines."""

    CURSORS = "cursors to be written"
    """Acknowledged cursors wait for a commit to ride along with."""
    DRAIN = "the end of the drain"
    """The server goes down and does not wait for the store any longer."""
    OFFLINE = "the next user to be told offline"
    """A user's last device has left, and may come back until then."""
    TYPING = "the next word about who types"
    """Somebody was told of one who types, and is told again no sooner than this."""
    PEERS = "peers to be looked up again"
    """The store could not say who shares a session with whom."""
    RETAIN = "what is too old to be let go"
    """The store is asked to let go what is too old."""
    RATES = "the next user to be read again"
    """A user took more than its share, and will have paid for it."""


class Desk:
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock.
        wall: seconds since 1970 at `now`.
    """

    def __init__(self, config: ServerConfig, *, now: float, wall: float) -> None:
        self.config = config
        self.now = now
        self.wall_offset = wall - now
        self.roster = Roster()
        self.timers: Timers[HubTimer] = Timers(frozenset())
        self.admission = Admission(config.admissions, config.admission_window)
        #: who has got the last answer and wants to leave
        self.released: list[Session] = []
        self._out: list[HubAction] = []
        #: by connection
        self._said: dict[int, list[talk.FromHub]] = {}
        self._requests = 0

    @property
    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return int((self.now + self.wall_offset) * 1000)

    @property
    def session_lifetime(self) -> int | None:
        """How long a session lives after its last message, in milliseconds; None: for ever."""
        lifetime = self.config.session_lifetime
        return None if lifetime is None else int(lifetime * 1000)

    def tell(self, connection: int, what: talk.FromHub) -> None:
        """Tell a connection something."""
        said = self._said.get(connection)
        if said is None:
            self._said[connection] = [what]
        else:
            said.append(what)

    def do(self, action: HubAction) -> None:
        """Want something done."""
        self._out.append(action)

    def take(self) -> list[HubOutput]:
        """Everything that is to be done and was not taken yet, in order; and all that a connection
        is told as one, for it to be written together."""
        out: list[HubOutput] = [*self._out]
        self._out.clear()
        if self._said:
            out += [talk.SendTo(connection, said) for connection, said in self._said.items()]
            self._said = {}
        return out

    def request(self) -> int:
        """A name for something that will be answered."""
        self._requests += 1
        return self._requests

    def slot(self, after: float = 0.0) -> float:
        """Seconds until one who is sent away now should come back, each at another time."""
        return self.admission.slot(self.now, after)

    # ------------------------------------------------------------ what a session waits for

    def owes(self, session: Session, answers: int = 1) -> None:
        """The session waits for so many more answers. With too many it is not read for a while."""
        session.unanswered += answers
        if session.unanswered >= self.config.in_flight and not session.paused:
            session.paused = True
            self.tell(session.connection, talk.Pause(why=talk.Why.UNANSWERED, paused=True))

    def answer(self, session: Session, answer: talk.Answer | talk.ReadAnswer) -> None:
        """… and gets one."""
        self.tell(session.connection, answer)
        session.unanswered -= 1
        if session.paused or session.leaving is not None:
            self._go_on(session)

    def answered(self, session: Session) -> None:
        """… and has got one."""
        session.unanswered -= 1
        self._go_on(session)

    def _go_on(self, session: Session) -> None:
        if session.leaving is not None and not session.unanswered:
            self.released.append(session)
        if session.paused and session.unanswered <= self.config.in_flight // 2:
            session.paused = False
            self.tell(session.connection, talk.Pause(why=talk.Why.UNANSWERED, paused=False))
