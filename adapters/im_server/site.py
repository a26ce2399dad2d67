"""What a site is asked, and what it is told: tokens, who may write to whom, new messages.

Everything of the site's own runs outside the gateway's step, and nothing that it raises gets
further than the log.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.records import MailboxEntry
from im_proto.wire import UserId, codes, user_id

from .stored import StoredMessage
from .threads import Threads
from .tokens import Authenticate, Identity, TokenRefusedError
from .webhooks import MessageLog, Webhooks

logger = logging.getLogger(__name__)
#: Messages that may wait for `on_message` and `on_offline`; the site hears nothing of more.
MAX_WAITING: Final = 10_000


AuthorizeSend = Callable[[UserId, UserId], bool | Awaitable[bool]]
OnMessage = Callable[[StoredMessage], object]
Feed = Callable[[inp.Input], None]


class Site:
    """See the module.

    Args:
        authenticate: who checks tokens.
        authorize_send: may the first write to the second?
        on_message: is told of each message, in the order of acceptance.
        on_offline: … of each whose recipient has no device here.
        webhooks: are woken by each.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        authorize_send: AuthorizeSend | None = None,
        on_message: OnMessage | None = None,
        on_offline: OnMessage | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self._method: Any = getattr(authenticate, "authenticate", authenticate)
        self._quick: bool = getattr(authenticate, "quick", False)
        self._authorize_send = authorize_send
        self._on_message = on_message
        self._on_offline = on_offline
        self._webhooks = webhooks or Webhooks(())
        self._asking: set[asyncio.Task[None]] = set()
        self._told: asyncio.Queue[tuple[OnMessage, StoredMessage] | None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._unheard = 0
        self._threads = _SiteThreads()

    @property
    def authorizes(self) -> bool:
        """Must it be asked who may write to whom?"""
        return self._authorize_send is not None

    @property
    def listens(self) -> bool:
        """Does it want to hear of new messages?"""
        return bool(self._on_message or self._on_offline or self._webhooks)

    def start(self, log: MessageLog) -> None:
        """Begin, in this loop; webhooks read from `log`."""
        self._threads = _SiteThreads()
        self._webhooks.start(log)
        self._told = asyncio.Queue(MAX_WAITING)
        self._telling = asyncio.create_task(self._tell())

    async def stop(self, timeout: float) -> None:
        """Tell what is still to be told, for at most `timeout` seconds."""
        for task in list(self._asking):
            task.cancel()
        await self._webhooks.stop()
        telling, self._telling = self._telling, None
        if telling is not None and self._told is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._told.put(None)
                    await asyncio.wait([telling])
            if telling.cancel():
                logger.error("%d hooks were not called: no time was left", self._told.qsize())
                await asyncio.wait([telling])
        self._threads.close()

    # ------------------------------------------------------------ tokens

    def authenticate(self, action: act.Authenticate, feed: Feed, timeout: float) -> None:
        """Ask whose token it is; after `timeout` seconds the engine has given it up."""
        if not self._quick:
            self._spawn(self._verify(action, feed, timeout))
            return
        try:  # no task is needed for what waits for nothing
            found = self._identify_quickly(action.token)
        except TokenRefusedError as error:
            feed(_refused(action, error))
        else:
            feed(_verified(action, found))

    async def _verify(self, action: act.Authenticate, feed: Feed, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                found = await self.identify(action.token)
        except TimeoutError:
            logger.error("the authenticator took too long")
        except TokenRefusedError as error:
            feed(_refused(action, error))
        else:
            feed(_verified(action, found))

    async def identify(self, token: str) -> Identity:
        """Say whose token it is.

        Raises:
            TokenRefusedError: it is not good, or (with a code of 50000) it can't be known.
        """
        if self._quick:
            return self._identify_quickly(token)
        try:
            found = await call(self._threads.authenticate, self._method, token)
        except Exception as error:
            raise _failed(error) from None
        return _an_identity(found)

    def _identify_quickly(self, token: str) -> Identity:
        try:
            found = self._method(token)
        except Exception as error:
            raise _failed(error) from None
        return _an_identity(found)

    # ------------------------------------------------------------ who may write to whom

    def authorize(self, action: act.Authorize, feed: Feed, timeout: float) -> None:
        """Ask whether the one may write to the other; after `timeout` seconds nobody knows."""
        self._spawn(self._permit(action, feed, timeout))

    async def _permit(self, action: act.Authorize, feed: Feed, timeout: float) -> None:
        assert self._authorize_send is not None
        allowed: bool | None = None
        try:
            two = (action.sender, action.recipient)
            async with asyncio.timeout(timeout):
                allowed = bool(await call(self._threads.authorize, self._authorize_send, *two))
        except TimeoutError:
            logger.error("authorize_send took too long")
        except Exception:
            logger.exception("authorize_send failed")
        feed(inp.Authorized(request=action.request, allowed=allowed))

    # ------------------------------------------------------------ what is stored

    def stored(self, entry: MailboxEntry, offline: bool) -> None:
        """A message is on disk: its hooks are called soon, in turn."""
        self._webhooks.wake()
        message = StoredMessage(
            from_user=entry.from_user,
            to_user=entry.to_user,
            msg_id=entry.msg_id,
            content=entry.content,
            message_type=entry.message_type,
            session_id=entry.session_id,
            timestamp=entry.timestamp,
        )
        for hook in (self._on_message, self._on_offline if offline else None):
            if hook is not None:
                self._queue(hook, message)

    def _queue(self, hook: OnMessage, message: StoredMessage) -> None:
        assert self._told is not None
        try:
            self._told.put_nowait((hook, message))
        except asyncio.QueueFull:
            if not self._unheard:
                logger.error("hooks are too slow: %d calls wait, more are left out", MAX_WAITING)
            self._unheard += 1
            return
        if self._unheard:
            logger.error("%d calls of hooks were left out: they were too slow", self._unheard)
            self._unheard = 0

    async def _tell(self) -> None:
        assert self._told is not None
        while (told := await self._told.get()) is not None:
            hook, message = told
            try:
                await call(self._threads.hooks, hook, message)
            except Exception:
                logger.exception("a hook failed at message %d", message.msg_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def _verified(action: act.Authenticate, found: Identity) -> inp.TokenVerified:
    return inp.TokenVerified(
        connection=action.connection,
        user=found.user,
        username=found.username,
        roles=found.roles,
        expires_in=found.expires_in,
        issued_at=found.issued_at,
        show_last_seen=found.show_last_seen,
    )


def _refused(action: act.Authenticate, error: TokenRefusedError) -> inp.TokenRefused:
    return inp.TokenRefused(connection=action.connection, code=error.code, reason=error.reason)


def _failed(error: Exception) -> TokenRefusedError:
    """What an authenticator raised, as what the client is told."""
    if isinstance(error, TokenRefusedError):
        return error
    # not its text: it may quote the token
    logger.error("the authenticator failed: %s", type(error).__name__)
    return TokenRefusedError("the authenticator failed", codes.SERVER_ERROR)


def _an_identity(found: object) -> Identity:
    """What an authenticator gave, with the user as an id.

    Raises:
        TokenRefusedError: it is none.
    """
    with suppress(ValueError):
        if isinstance(found, Identity) and isinstance(found.issued_at, int | None):
            user = user_id(found.user)
            return found if user is found.user else replace(found, user=user)
    logger.error("the authenticator gave no Identity of a user, but %s", type(found).__name__)
    raise TokenRefusedError("the authenticator failed", codes.SERVER_ERROR)


class _SiteThreads:
    """Each function of a site has its own, so that one that hangs takes none from the others."""

    def __init__(self) -> None:
        self.authenticate = Threads()
        self.authorize = Threads()
        self.hooks = Threads(1)  # they are called in turn

    def close(self) -> None:
        """They end."""
        for threads in (self.authenticate, self.authorize, self.hooks):
            threads.close()


async def call(threads: Threads, function: Callable[..., Any], *args: object) -> Any:
    """Call a function of the site: one that is async here, any other in a thread, where it may
    block."""
    itself: Any = function  # a function, or an object that is called
    if inspect.iscoroutinefunction(itself) or inspect.iscoroutinefunction(itself.__call__):
        return await function(*args)
    result = await threads.call(function, *args)
    return await result if inspect.isawaitable(result) else result
