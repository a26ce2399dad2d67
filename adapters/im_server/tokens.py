"""Who is it? Tokens and the interface behind which they are checked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import jwt

from im_proto.wire import UserId, codes, user_id

ALGORITHM = "HS256"
#: What `im serve --dev` takes for a token: this and a user id, no secret.
DEV_PREFIX = "dev:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a token belongs to.

    Attributes:
        user: the user's id.
        username: the name that the client is told; None: the id.
        roles: `broadcast` may write to everybody who is online, `admin` may use `im admin`.
        expires_in: seconds until the token is no longer good; None for never.
        show_last_seen: others may learn when this user was here last.
    """

    user: UserId
    username: str | None = None
    roles: frozenset[str] = frozenset()
    expires_in: float | None = None
    show_last_seen: bool = True


class TokenRefusedError(Exception):
    """A token is not good.

    Attributes:
        code: of protocol.md section 1, what AUTH_RESPONSE says.
        reason: for the user; holds nothing of the token.
    """

    def __init__(self, reason: str, code: int = codes.TOKEN_INVALID) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Authenticator(Protocol):
    """Checks tokens. Give your own to `IMServer` to use your site's."""

    def authenticate(self, token: str) -> Identity | Awaitable[Identity]:
        """Say whose token it is.

        Raises:
            TokenRefusedError: it is not good.
        """


#: What `IMServer(authenticate=…)` takes: one of those, or a function. A function that is not async
#: is called in a thread, where it may block.
Authenticate = Authenticator | Callable[[str], Identity | Awaitable[Identity]]


class JWTAuthenticator:
    """JSON Web Tokens signed with a shared secret (RFC 7519, HS256).

    The claim `sub` is the user id; `name` the user's name, `roles` a list of strings, `exp` are
    optional.
    """

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("the secret is empty")
        self._secret = secret

    def authenticate(self, token: str) -> Identity:
        """See `Authenticator`."""
        try:
            # the algorithm is pinned: a token can't choose "none" or another family
            claims = jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], options={"require": ["sub"]}
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefusedError("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenRefusedError("the token is not valid yet") from None
        except jwt.InvalidTokenError:
            raise TokenRefusedError("the token is not valid") from None
        try:
            user = user_id(claims["sub"])
        except ValueError:
            raise TokenRefusedError("the token names no user") from None
        name, roles, expires = claims.get("name"), claims.get("roles"), claims.get("exp")
        return Identity(
            user=user,
            username=name if isinstance(name, str) else None,
            roles=frozenset(r for r in roles if isinstance(r, str))
            if isinstance(roles, list)
            else frozenset(),
            expires_in=max(0.0, float(expires) - time.time()) if expires is not None else None,
        )


class DevAuthenticator:
    """Takes `dev:USER` for a token of that user: for trying things out on one machine.

    Whoever can be anybody is an `admin` too.
    """

    def authenticate(self, token: str) -> Identity:
        """See `Authenticator`."""
        if not token.startswith(DEV_PREFIX):
            raise TokenRefusedError(f"a server with --dev takes '{DEV_PREFIX}USER' for a token")
        try:
            user = user_id(token.removeprefix(DEV_PREFIX))
        except ValueError as error:
            raise TokenRefusedError(str(error)) from None
        return Identity(user=user, roles=frozenset({"admin"}))


def make_token(
    user: UserId,
    secret: str,
    *,
    expires_in: float | None = 86_400.0,
    roles: Iterable[str] = (),
    name: str | None = None,
) -> str:
    """Sign a token that `JWTAuthenticator(secret)` takes.

    Args:
        user: whose it is.
        secret: what it is signed with.
        expires_in: seconds until it is no longer good; None for never.
        roles: see `Identity`.
        name: the user's name.

    Raises:
        ValueError: the secret is empty, or `user` is no user id.
    """
    if not secret:
        raise ValueError("the secret is empty")
    now = int(time.time())
    claims: dict[str, object] = {"sub": str(user_id(user)), "iat": now}
    if expires_in is not None:
        claims["exp"] = now + int(expires_in)
    if roles:
        claims["roles"] = sorted(roles)
    if name is not None:
        claims["name"] = name
    return jwt.encode(claims, secret, algorithm=ALGORITHM)
