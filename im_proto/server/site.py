"""What the site sends through the hub, and what it is told: answers, and new messages."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ..wire import ChatSendToOne, check_content, codes, user_id
from ..wire.reading import first_error
from . import talk
from .actions import Answered, MessageStored
from .commits import Commits, FromSite
from .desk import Desk
from .inputs import SendAsked
from .records import PLAIN, MailboxEntry, Stored, Submission


class Site:
    """See the module.

    Args:
        desk: of the hub.
        commits: the line before the store.
    """

    def __init__(self, desk: Desk, commits: Commits) -> None:
        self._desk = desk
        self._commits = commits
        #: the newest msgId that was drawn
        self._drawn = 0

    def send(self, asked: SendAsked) -> None:
        """Send a message. As one of a plain client: the same again is a repeat, another message
        under a msgId that was used gets another msgId."""
        msg_id = asked.msg_id
        if msg_id is None:
            msg_id = self._drawn = max(self._drawn + 1, self._desk.wall_ms * 1000)
        try:
            sender = user_id(asked.from_user)
            message = ChatSendToOne(
                msg_id=msg_id,
                to_user=asked.to_user,
                content=asked.content,
                message_type=asked.message_type,
                session_id=asked.session_id,
            )
            check_content(message.content, self._desk.config.content_units)
            if (message.session_id, message.message_type) != (asked.session_id, asked.message_type):
                raise ValueError("the session or the type of the message is none")
        except ValidationError as error:
            self.refuse(asked.request, codes.BAD_REQUEST, first_error(error))
            return
        except ValueError as error:
            self.refuse(asked.request, codes.BAD_REQUEST, str(error))
            return
        submission = Submission(
            key=self._commits.key(),
            sender=sender,
            device=PLAIN,
            generation=0,
            msg_id=message.msg_id,
            to_user=message.to_user,
            content=message.content,
            message_type=message.message_type or "text",
            session_id=message.session_id,
        )
        self._commits.submit(FromSite(asked.request), submission)

    def answer(self, request: int, answer: talk.Answer) -> None:
        """What became of it."""
        data: Any = None
        if answer.code == codes.OK:
            data = {
                "msgId": answer.msg_id,
                "timestamp": answer.timestamp,
                "sessionId": answer.session_id,
            }
        self._say(request, answer.code, data, answer.text or "")

    def refuse(self, request: int, code: int, reason: str) -> None:
        """Nothing came of it."""
        self._say(request, code, None, reason)

    def _say(self, request: int, code: int, data: Any, text: str) -> None:
        self._desk.do(Answered(request=request, code=code, data=data, text=text))

    def stored(self, submission: Submission, stored: Stored) -> None:
        """A new message is on disk."""
        entry = MailboxEntry(
            seq=stored.seq,
            from_user=submission.sender,
            to_user=submission.to_user,
            msg_id=stored.msg_id,
            content=submission.content,
            message_type=submission.message_type,
            session_id=stored.session_id,
            timestamp=stored.timestamp,
            device=submission.device,
        )
        offline = not self._desk.roster.of_user(submission.to_user)
        self._desk.do(MessageStored(entry=entry, offline=offline))
