"""Webhooks: new messages are posted to a URL of the site, signed, in order, at least once.

What is posted is read from the table of messages by its row number, and how far it has come stands
in the database: a stopped or killed server goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from .answers import safe
from .signing import SIGNATURE_HEADER, sign
from .stored import LoggedMessage

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)
#: Seconds between looks at the table without having been woken.
_POLL: Final = 30.0
#: A site can't send us away for longer than this, in seconds.
_LONGEST_RETRY_AFTER: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where new messages are posted to.

    Attributes:
        url: http:// or https://.
        secret: signs each request (`verify_webhook`).
        name: under which the place is kept in the database: another URL under the same name goes
            on where the old one was.
        batch: the most messages in one request.
        timeout: seconds for a request.
        retry_delay, max_retry_delay: seconds until a failed request is sent again: random between
            zero and a limit that begins with the one and doubles up to the other.
        give_up_after: seconds from a message's acceptance after which a failed request is not
            repeated for it: it is left out, which the log tells.
    """

    url: str
    secret: str = field(repr=False)
    name: str = "webhook"
    batch: int = 100
    timeout: float = 10.0
    retry_delay: float = 1.0
    max_retry_delay: float = 300.0
    give_up_after: float = 24 * 3600.0

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: it can't work.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL of a webhook is http://… or https://…")
        if not self.secret:
            raise ValueError("a webhook needs a secret to be signed with")
        if self.batch < 1 or min(self.timeout, self.retry_delay, self.max_retry_delay) <= 0:
            raise ValueError("batch, timeout and delays of a webhook are above zero")


class MessageLog(Protocol):
    """What a webhook reads, and where it notes how far it has come."""

    async def place(self, name: str) -> int:
        """The row up to which all was posted; of a new webhook the newest row of all."""

    async def behind(self, row: int, limit: int) -> Sequence[LoggedMessage]:
        """The next messages."""

    async def keep_place(self, name: str, row: int) -> None:
        """All up to this row was posted."""


class Webhooks:
    """Posts what is stored to each webhook, one task each.

    Raises:
        ValueError: two have the same name.
        ModuleNotFoundError: httpx is not installed; the text says how to get it.
    """

    def __init__(self, webhooks: Sequence[Webhook]) -> None:
        if len({webhook.name for webhook in webhooks}) < len(webhooks):
            raise ValueError("each webhook has a name of its own")
        if webhooks:
            try:
                import httpx  # noqa: F401
            except ImportError:
                raise ModuleNotFoundError(
                    'webhooks need httpx: pip install "im-proto[server,http]"', name="httpx"
                ) from None
        self._webhooks = webhooks
        self._posters: list[_Poster] = []
        self._tasks: list[asyncio.Task[None]] = []

    def __bool__(self) -> bool:
        return bool(self._webhooks)

    def start(self, log: MessageLog) -> None:
        """Begin, in this loop."""
        self._posters = [_Poster(webhook, log) for webhook in self._webhooks]
        self._tasks = [asyncio.create_task(poster.run()) for poster in self._posters]

    async def stop(self) -> None:
        """What is not posted yet is posted by the next that starts."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    def wake(self) -> None:
        """There is something new."""
        for poster in self._posters:
            poster.news.set()


class _Poster:
    """One webhook at work."""

    def __init__(self, webhook: Webhook, log: MessageLog) -> None:
        self._webhook = webhook
        self._log = log
        self.news = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        import httpx

        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=self._webhook.timeout, limits=limits
        ) as client:
            while True:
                try:
                    await self._post_all(client)
                except Exception:
                    # the store can't be read or written now; what was posted may be posted again
                    logger.exception("webhook %r: starts again", self._webhook.name)
                    await asyncio.sleep(min(_POLL, self._webhook.max_retry_delay))

    async def _post_all(self, client: httpx.AsyncClient) -> None:
        row = await self._log.place(self._webhook.name)
        while True:
            self.news.clear()
            found = await self._log.behind(row, self._webhook.batch)
            if not found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await self.news.wait()
                continue
            row = await self._deliver(client, found)
            await self._log.keep_place(self._webhook.name, row)

    async def _deliver(self, client: httpx.AsyncClient, found: Sequence[LoggedMessage]) -> int:
        """Post these until they are taken, or too old; returns the row of the last."""
        limit = self._webhook.retry_delay
        while True:
            wrong, retry_after = await self._post(client, found)
            if wrong is None:
                return found[-1].row
            old = list(takewhile(self._is_too_old, found))
            if old:
                logger.error(
                    "webhook %r: %d messages are given up, rows %d to %d: %s",
                    *(self._webhook.name, len(old), old[0].row, old[-1].row, wrong),
                )
                return old[-1].row
            delay = max(random.uniform(0, limit), retry_after)  # noqa: S311 - no secret
            logger.warning("webhook %r: %s; again in %.1f s", self._webhook.name, wrong, delay)
            limit = min(limit * 2, self._webhook.max_retry_delay)
            await asyncio.sleep(delay)

    def _is_too_old(self, one: LoggedMessage) -> bool:
        return one.message.timestamp < (time.time() - self._webhook.give_up_after) * 1000

    async def _post(
        self, client: httpx.AsyncClient, found: Sequence[LoggedMessage]
    ) -> tuple[str | None, float]:
        """Post once. Returns what was wrong, None if nothing, and the site's Retry-After in
        seconds."""
        import httpx

        body = _body(found)
        headers = {
            "content-type": "application/json",
            SIGNATURE_HEADER: sign(self._webhook.secret, body, int(time.time())),
        }
        try:
            # an absolute deadline: a site may answer a byte at a time
            async with (
                asyncio.timeout(self._webhook.timeout),
                client.stream("POST", self._webhook.url, content=body, headers=headers) as answer,
            ):
                if answer.is_success:
                    return None, 0.0
                return f"answered {answer.status_code}", _retry_after(answer.headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return f"no answer ({type(error).__name__})", 0.0


def _body(found: Sequence[LoggedMessage]) -> bytes:
    messages: list[dict[str, Any]] = [
        {
            "id": one.row,
            "fromUser": one.message.from_user,
            "toUser": one.message.to_user,
            "msgId": one.message.msg_id,
            "sessionId": one.message.session_id,
            "messageType": one.message.message_type,
            "content": one.message.content,
            "timestamp": one.message.timestamp,
        }
        for one in found
    ]
    text = json.dumps({"messages": safe(messages)}, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _retry_after(headers: httpx.Headers) -> float:
    given = headers.get("retry-after", "")
    if not (given.isascii() and given.isdigit()):
        return 0.0
    return min(float(given[:20]), _LONGEST_RETRY_AFTER)
