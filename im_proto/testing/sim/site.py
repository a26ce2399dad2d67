"""The site behind the server: it says who may write to whom, writes itself, and is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...server import actions as act
from ...server import inputs as inp
from ...wire import UserId

if TYPE_CHECKING:
    from .server import ServerNode


class Site:
    """See the module.

    Args:
        server: the process that it talks to.

    Attributes:
        forbidden: pairs (sender, recipient) that it does not allow.
        silent: how often it can't say, 0 to 1.
        answer_time: how long it takes to say, in seconds.
    """

    def __init__(self, server: ServerNode) -> None:
        self._server = server
        self.forbidden: dict[tuple[UserId, UserId], None] = {}
        self.silent = 0.0
        self.answer_time = 0.002
        self._requests = 0
        #: what it has asked for and is not answered, of the present life of the server
        self.asked: dict[int, None] = {}
        self._told: dict[tuple[UserId, int], None] = {}

    def send(self, from_user: UserId, to_user: UserId, content: str) -> None:
        """Write as a user."""
        self._server.world.ledger.submitted_unheard(from_user, to_user, [content])
        self._server.feed(
            inp.SendAsked(
                request=self._request(), from_user=from_user, to_user=to_user, content=content
            )
        )

    def call(self, user: UserId, op: str, **params: object) -> None:
        """Make a call about sessions."""
        self._server.feed(inp.CallAsked(request=self._request(), user=user, op=op, params=params))

    def _request(self) -> int:
        self._requests += 1
        self.asked[self._requests] = None
        return self._requests

    # ------------------------------------------------------------ what the server wants

    def authorize(self, action: act.Authorize) -> None:
        """Who may write to whom?"""
        rng, world = self._server.world.rng, self._server.world
        allowed: bool | None = (action.sender, action.recipient) not in self.forbidden
        if self.silent and rng.random() < self.silent:
            allowed = None
        delay = rng.uniform(0.0, 2.0) * self.answer_time
        world.later(delay, self._authorized, self._server.lives, action.request, allowed)

    def _authorized(self, life: int, request: int, allowed: bool | None) -> None:
        if life == self._server.lives and self._server.alive:
            self._server.feed(inp.Authorized(request=request, allowed=allowed))

    def stored(self, action: act.MessageStored) -> None:
        """A new message is on disk: that is told once."""
        name = (action.entry.from_user, action.entry.msg_id)
        if name in self._told:
            self._server.world.fail(f"the site was told twice of {action.entry.content!r}")
        self._told[name] = None

    def answered(self, action: act.Answered) -> None:
        """An answer to what it has asked for: it comes once."""
        if action.request not in self.asked:
            self._server.world.fail(f"the site was answered twice: {action.request}")
        del self.asked[action.request]
