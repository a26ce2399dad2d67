"""Who may log in: tokens that the world makes, and its authenticator checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...wire import UserId, codes

if TYPE_CHECKING:
    from .world import SimWorld

_EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a token says; `user` is None if it is refused, with `code`."""

    user: UserId | None
    roles: frozenset[str] = frozenset()
    code: int = codes.OK
    expires_in: float | None = None


class Tokens:
    """See the module.

    Attributes:
        refused: users whose tokens are refused, with the code.
        broadcasters: users who may write to everybody.
        lifetime: of tokens that are made now, in seconds; None: for ever.
    """

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._made = 0
        self.lifetime: float | None = None
        #: by serial: when a token expires
        self._until: dict[int, float] = {}
        self.refused: dict[UserId, int] = {}
        #: by user: tokens up to this serial have expired
        self._expired: dict[UserId, int] = {}
        self.broadcasters: list[UserId] = []

    def make(self, user: UserId, *, expired: bool = False) -> str:
        """A new token of a user."""
        self._made += 1
        if self.lifetime is not None:
            self._until[self._made] = self._world.now + self.lifetime
        return f"{user}/{_EXPIRED if expired else self._made}"

    def expire(self, user: UserId) -> None:
        """All tokens that this user has so far expire now."""
        self._expired[user] = self._made

    def check(self, token: str) -> Found:
        """Whose is it?"""
        name, _, serial = token.rpartition("/")
        user: UserId = int(name) if name.isdigit() else name
        code = self.refused.get(user)
        if not serial.isdigit() or int(serial) <= self._expired.get(user, 0):
            code = codes.TOKEN_INVALID
        until = self._until.get(int(serial)) if serial.isdigit() else None
        if code is None and until is not None and until <= self._world.now:
            code = codes.TOKEN_INVALID
        if code is not None:
            return Found(user=None, code=code)
        roles = frozenset({"broadcast"}) if user in self.broadcasters else frozenset()
        left = None if until is None else until - self._world.now
        return Found(user=user, roles=roles, expires_in=left)
