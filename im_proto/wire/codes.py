"""What a result code means (protocol.md section 1, "Codes")."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """The kinds of answers that make a difference to a client."""

    SUCCESS = "success"
    #: not logged in, or the token is invalid or expired
    AUTH = "auth"
    #: 40900: the same msgId was used for something else (section 2, "Identity of a send")
    CONFLICT = "conflict"
    #: will not be better next time
    REFUSED = "refused"
    #: the server failed; another try may succeed
    SERVER_ERROR = "server_error"


#: By a name of its own, as the class takes 50 ns to find it.
_success: Final = Outcome.SUCCESS

OK: Final = 0
BAD_REQUEST: Final = 400
NOT_LOGGED_IN: Final = 40100
TOKEN_INVALID: Final = 40101
FORBIDDEN: Final = 403
SESSION_CLOSED: Final = 40300
NOT_FOUND: Final = 40400
CONFLICT: Final = 40900
#: more than the user may want; only by HTTP, where nothing is slowed down
TOO_MANY: Final = 429
SERVER_ERROR: Final = 50000


def outcome(code: int | None) -> Outcome:
    """Sort a code. No code at all means accepted."""
    if code is None or code in (0, 200):
        return _success
    if code in (401, 40100, 40101):
        return Outcome.AUTH
    if code == CONFLICT:
        return Outcome.CONFLICT
    assert code is not None
    if 500 <= code <= 599 or code >= SERVER_ERROR:
        return Outcome.SERVER_ERROR
    return Outcome.REFUSED
