"""The log-in: what is asked, what the answer means, and which token is used.

Everything here is a decision; `core` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode
from ..machines import AUTH
from ..wire import AuthRequest, AuthResponse, ClientLimits, Outcome, ResumeFrom, outcome

#: What this client can do of protocol.md section 2.
CAPABILITIES: Final = (
    "seq",
    "batch",
    "status",
    "receipts",
    "typing",
    "presence",
    "refresh",
    "sessions",
    "inline",
)
#: Log-ins in a row without an answer, or with 400, after which a plain one is tried.
STRICT_AFTER: Final = 2


class Answer(StrEnum):
    """What an AUTH_RESPONSE comes down to."""

    WELCOME = "welcome"
    #: with another token it may work, and another token can be had
    NEW_TOKEN = "new_token"  # noqa: S105 - no secret
    #: trying again, as after any failure, may work
    FAILED = "failed"
    #: trying again won't help
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer, and the error to tell if it isn't WELCOME."""

    answer: Answer
    error: IMError | None = None


class Login:
    """The client's token and its log-in on the present link.

    Args:
        config: whose token and user.
        device_id: this client's name at the server.
        extensions: section 2 may be asked for, until a server turns out to be strict.
    """

    __slots__ = (
        "_config", "_device_id", "_doubted", "_excused", "_fresh", "_never_asks", "_replacing",
        "_takes_extensions", "_trying_newer", "_trying_plain", "_unanswered", "_unproven", "asking",
        "fetches", "plain", "request", "state", "token", "used",
    )  # fmt: skip

    def __init__(self, config: ClientConfig, device_id: str, *, extensions: bool) -> None:
        self._config = config
        self._device_id = device_id
        #: there is a function that gets a token
        self.fetches = not isinstance(config.token, str)
        self.state = AUTH.initial
        self.token: str | None = config.token if isinstance(config.token, str) else None
        #: the token that the present log-in, or the last one, is made with; a renewal changes it
        self.used: str | None = None
        #: the FetchToken that is, or was last, waited for
        self.request = 0
        #: it is waited for: by the log-in, by session calls, or by both
        self.asking = False
        #: the token whose log-in was gone when a message came; it is not tried a third time
        self._doubted: str | None = None
        #: a token that came meanwhile takes the place of a refused one
        self._trying_newer = False
        #: a token is wanted in place of a refused one
        self._replacing = False
        #: the token came in place of a refused one, and has not logged in yet
        self._fresh = False
        #: … and no message was accepted with it yet
        self._unproven = False
        #: the next log-in is a plain one, to find out whether the server is strict
        self._trying_plain = False
        #: it was never meant to be asked for section 2
        self._never_asks = not extensions
        #: this server can't take section 2
        self.plain = not extensions
        self._unanswered = 0
        #: the end of this log-in, if it comes without an answer, is no sign of a strict server
        self._excused = False
        #: this server has taken a log-in that asked for section 2
        self._takes_extensions = False

    def to(self, event: str) -> None:
        """Move on in the auth machine."""
        self.state = AUTH.next(self.state, event)

    # ------------------------------------------------------------ the token

    @property
    def needs_fetch(self) -> bool:
        """Is there no token, and a function that gets one?"""
        return self.token is None and self.fetches

    def take(self, token: str) -> None:
        """The token function has answered."""
        self.token = token
        self.asking = False
        if self._replacing:
            self._fresh = self._unproven = True
            self._replacing = False

    def replace(self, token: str) -> None:
        """The application's own new token clears every doubt."""
        self.token = token
        self._clear_doubts()

    def start_over(self) -> None:
        """connect() after a refusal: another token, if there is a function that gets one."""
        self.to("reset")
        if self.fetches:
            self.token = None
        self._clear_doubts()

    def _clear_doubts(self) -> None:
        self._doubted = None
        self._replacing = self._fresh = self._unproven = False

    def doubt(self) -> bool:
        """The token was refused. Is there a way on: another that was given meanwhile, or a function
        that can still be asked for one?

        A token that came in place of a refused one and is refused as well ends the asking.
        """
        if self._newer:
            self._trying_newer = True
            return True
        if not self.fetches or self._fresh:
            return False
        self._ask_for_another()
        return True

    def login_is_gone(self) -> bool:
        """A message was answered with an auth code. May we log in again? Once per token."""
        if self._newer:
            return True
        if self._unproven or self.token == self._doubted:
            return False
        self._doubted = self.token
        if self.fetches:
            self._ask_for_another()
        return True

    @property
    def _newer(self) -> bool:
        """Is there a token that came since the log-in?"""
        return self.token is not None and self.token != self.used

    def _ask_for_another(self) -> None:
        self.token = None
        self._replacing = True

    def message_accepted(self) -> None:
        """The server has taken a message under this log-in: the token is good."""
        self._unproven = False

    def renewed(self, token: str) -> None:
        """The server has taken a new token on the live connection. It has its own chance."""
        self.used = token
        self._fresh = self._unproven = False

    @property
    def another_way(self) -> bool:
        """Will the next attempt do something else about what ended the last one?"""
        looking = self._trying_plain or 0 < self._unanswered < STRICT_AFTER
        return self._replacing or self._trying_newer or (looking and not self.plain)

    # ------------------------------------------------------------ the request

    def link_opened(self, *, capable: bool) -> None:
        """The link is up and AUTH_REQUEST goes out; a `capable` server is no strict one."""
        self._takes_extensions |= capable
        if capable:
            self._trying_plain = False
        self.to("request_sent")

    def request_message(self, resume: ResumeFrom | None) -> AuthRequest:
        """AUTH_REQUEST as this server can take it (protocol.md section 1, "Strict servers")."""
        self._excused = False
        assert self.token is not None
        self.used = self.token
        self._trying_newer = False
        if self._bare:
            return AuthRequest(access_token=self.token)
        if self.plain:
            return AuthRequest(access_token=self.token, user_id=self._config.user_id)
        return AuthRequest(
            access_token=self.token,
            user_id=self._config.user_id,
            capabilities=list(CAPABILITIES),
            device_id=self._device_id,
            limits=ClientLimits(frame_bytes=self._config.message_bytes, batch=64),
            resume=resume,
        )

    @property
    def _bare(self) -> bool:
        """accessToken alone: to a server that is, or may be, strict about unknown keys."""
        return not self._never_asks and (self.plain or self._trying_plain)

    @property
    def asked_for_extensions(self) -> bool:
        """Did, or will, the log-in of this link ask for section 2?"""
        return not self.plain and not self._trying_plain

    # ------------------------------------------------------------ the answer

    def excused(self) -> None:
        """The log-in of this link was answered, or the end of the link says why it was not."""
        self._excused = True

    def ended(self) -> None:
        """The link ended while AUTH_REQUEST was out."""
        if not self._excused:
            self.unanswered()

    def unanswered(self) -> None:
        """The log-in of this link ended without AUTH_RESPONSE, or with 400."""
        if self.plain or self._takes_extensions:
            return
        if self._trying_plain:
            self._trying_plain = False
            self._unanswered = 0
            return
        self._unanswered += 1
        self._trying_plain = self._unanswered >= STRICT_AFTER

    def welcomed(self) -> bool:
        """The log-in worked. Was it the plain one that was tried for lack of an answer?"""
        self._unanswered = 0
        self._fresh = False
        self._takes_extensions |= self.asked_for_extensions
        strict, self._trying_plain = self._trying_plain, False
        self.plain = self.plain or strict
        return strict

    def other_user(self, response: AuthResponse) -> IMError | None:
        """The server takes us for somebody else: whatever followed would be of another user."""
        told = response.data.user_id if response.data is not None else None
        if outcome(response.code) is not Outcome.SUCCESS or told in (None, self._config.user_id):
            return None
        return IMError(
            IMErrorCode.AUTH_FAILED,
            f"the token is of user {told!r}, and user_id is {self._config.user_id!r}: the server "
            "logged in another user than the one who was asked for",
        )

    def judge(self, response: AuthResponse) -> Judgement:
        """What an answer comes down to."""
        kind = outcome(response.code)
        if kind is Outcome.SUCCESS:
            return Judgement(answer=Answer.WELCOME)
        words = response.message
        if kind is Outcome.AUTH:
            if self.doubt():
                return Judgement(
                    answer=Answer.NEW_TOKEN,
                    error=IMError(
                        IMErrorCode.TOKEN_INVALID,
                        "the token was refused; another takes its place",
                        server_code=response.code,
                        server_text=words,
                        retryable=True,
                        terminal=False,
                    ),
                )
            code = IMErrorCode.TOKEN_INVALID if response.code == 40101 else IMErrorCode.AUTH_FAILED
            text = "the server refused the token; give the client a new one"
        elif kind is Outcome.SERVER_ERROR:
            error = IMError(
                IMErrorCode.SERVER_ERROR,
                "the server failed while logging in",
                server_code=response.code,
                server_text=words,
            )
            return Judgement(answer=Answer.FAILED, error=error)
        elif response.code == 400 and self.asked_for_extensions:
            self.unanswered()
            error = IMError(
                IMErrorCode.AUTH_FAILED,
                "the server could not read the log-in",
                server_code=response.code,
                server_text=words,
                retryable=True,
                terminal=False,
            )
            return Judgement(answer=Answer.FAILED, error=error)
        else:
            code, text = IMErrorCode.AUTH_FAILED, "the server refused the log-in"
        return Judgement(
            answer=Answer.REFUSED,
            error=IMError(code, text, server_code=response.code, server_text=words),
        )
