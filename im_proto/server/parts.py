"""What a hub is made of, and what the end of a session means to each of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import ServerConfig
from . import talk
from .batches import BatchSize
from .commits import Commits
from .desk import Desk
from .doorkeeper import Doorkeeper
from .gate import Gate
from .peers import Peers
from .presence import Presence
from .questions import Questions
from .rates import Rates
from .retain import Retain
from .session import Session
from .site import Site
from .typists import Typists


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainAsked:
    """Go down: answer what was taken, then end every session with 1012."""

    reason: str
    retry_after: float | None


@dataclass(slots=True)
class LoginUnderWay:
    """A login that is with the store, and a connection that still wants it. `meetings`: of
    `Peers`, when the store was asked."""

    request: talk.LoginAsked
    meetings: int
    wanted: bool = True


class Parts:
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        authorizes: the site is asked who may write to whom (`Authorize`).
        tells: the site is told of every new message (`MessageStored`).
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        now: float,
        wall: float,
        authorizes: bool = False,
        tells: bool = False,
    ) -> None:
        self.config = config
        self.authorizes = authorizes
        self.tells = tells
        self.desk = Desk(config, now=now, wall=wall)
        self._roster = self.desk.roster
        self._timers = self.desk.timers
        self._doorkeeper = Doorkeeper(self.desk)
        self._rates = Rates(self.desk)
        size = BatchSize(config.commit_batch, config.commit_time)
        self._commits = Commits(size, self.desk.session_lifetime)
        self._gate = Gate(self.desk)
        self._questions = Questions(
            self.desk, self._commits, self._gate, self._rates, authorizes=authorizes
        )
        self._peers = Peers(self.desk)
        self._presence = Presence(self.desk, self._peers)
        self._typists = Typists(self.desk, self._peers)
        self._site = Site(self.desk, self._commits)
        self._retain = Retain(self.desk)
        #: by the request of a login
        self._logins: dict[int, LoginUnderWay] = {}
        #: by the request of a read: for which connection
        self._reads: dict[int, int] = {}
        #: the server goes down: why, and when clients may come back
        self._draining: DrainAsked | None = None

    def _forget(self, session: Session) -> None:
        """The session is over: nobody waits for anything any more."""
        self._roster.remove(session)
        self._gate.left(session)
        self._peers.left(session)
        self._presence.left(session)
        self._rates.left(session)

    def _end(self, session: Session, end: talk.End) -> None:
        self._forget(session)
        self._tell(session.connection, end)

    def _tell(self, connection: int, what: talk.FromHub) -> None:
        self.desk.tell(connection, what)
