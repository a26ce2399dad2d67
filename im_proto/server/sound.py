"""What a store can hold.

A database refuses a whole batch for one item that it can't hold, so that one is kept away from it.
The checks of the wire (im_proto/wire/types.py) let none of these in: this is the second line.
"""

from __future__ import annotations

from ..wire import MAX_ID, user_id
from .records import CursorMove, ReadMark, Submission


def unstorable(submission: Submission) -> str | None:
    """Why no store could hold this message, in words for its sender; None if there is no reason."""
    if not (_is_user(submission.sender) and _is_user(submission.to_user)):
        return "a user id is not canonical"
    if not _is_text(submission.device):
        return "the device id is not text"
    msg_id, session_id = submission.msg_id, submission.session_id
    if not (type(msg_id) is int and 1 <= msg_id <= MAX_ID):
        return "the msgId is not an int64 above zero"
    if session_id is not None and not (type(session_id) is int and 0 <= session_id <= MAX_ID):
        return "the sessionId is not an int64"
    if not (_is_text(submission.content) and _is_text(submission.message_type)):
        return "a text holds a NUL character or a lone surrogate"
    return None


def sound_cursor(move: CursorMove) -> bool:
    """Could a store hold it?"""
    return _is_id(move.seq, 0) and _is_user(move.user) and _is_text(move.device)


def sound_mark(mark: ReadMark) -> bool:
    """Could a store look it up?"""
    users = _is_user(mark.reader) and _is_user(mark.from_user)
    return users and _is_text(mark.device) and _is_id(mark.msg_id, 1)


def _is_id(value: object, low: int) -> bool:
    return type(value) is int and low <= value <= MAX_ID


def _is_user(value: object) -> bool:
    if type(value) is int:
        return 1 <= value <= MAX_ID
    # Stores key users by text, so "7" would be the int 7 there and somebody else here.
    try:
        return type(value) is str and user_id(value) == value
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or "\x00" in value:
        return False
    if value.isascii():  # nearly always, and known without a look
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
