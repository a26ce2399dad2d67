"""Where the pushes of a new login go on (protocol.md section 2, "Resume")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..wire import ResumeFrom
from .records import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Pushes go on behind `base`; `resume` is None if the client didn't ask to resume."""

    base: int
    resume: Literal["recovered", "reset"] | None


def start_of(
    login: Login, resume: ResumeFrom | None, first_login: Literal["oldest", "latest"]
) -> Start:
    """Decide where a login starts. All or nothing, never silent.

    The client's own cursor beats the server's; a login without one starts at the device's
    acknowledged cursor, and a device that was never here where `first_login` says.
    """
    before_oldest = login.oldest - 1
    if resume is not None:
        if _holds(login, resume):
            return Start(base=resume.seq, resume="recovered")
        return Start(base=before_oldest, resume="reset")
    if login.cursor is not None:
        # what is older than the oldest held is gone: cursors never hold retention back
        return Start(base=min(max(login.cursor, before_oldest), login.head), resume=None)
    return Start(base=before_oldest if first_login == "oldest" else login.head, resume=None)


def _holds(login: Login, resume: ResumeFrom) -> bool:
    if resume.epoch != login.epoch or not login.oldest - 1 <= resume.seq <= login.head:
        return False
    named = (resume.from_user, resume.msg_id)
    if None in named or resume.seq < login.oldest:
        # the entry right below the oldest is no longer there to compare with
        return True
    # None: a receipt or the like stands there now
    return named == login.resume_entry
