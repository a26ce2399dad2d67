"""What `im chat`, `im send` and `im listen` do: a client, and lines of text."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from rich.console import Console

from im_asyncio import IMClient, Message, SentMessage
from im_proto import ClientConfig, ConnectionState, IMError, IMErrorCode
from im_proto.errors import printable

Work = Coroutine[Any, Any, None]
console = Console(highlight=False)
notices = Console(stderr=True, highlight=False)

_HINTS = {
    IMErrorCode.CONNECTION_FAILED: "is the server running? im serve --dev",
    IMErrorCode.CONNECTION_TIMEOUT: "is this the right address? im serve prints it",
    IMErrorCode.AUTH_FAILED: "a server with --secret wants --token or the same --secret here",
    IMErrorCode.TOKEN_INVALID: "a server with --secret wants --token or the same --secret here",
}


def config(
    url: str, user: str, token: str, proxy: str = "", device: str | None = None
) -> ClientConfig:
    """The configuration of a client on the command line.

    With a `device` the server keeps its place, so that what was shown is not shown again.

    Raises:
        ValueError: the URL, user, token or proxy is none.
    """
    return ClientConfig(
        ws_url=url, user_id=user, token=token, device_id=device, proxy=proxy or None
    )


def hint(error: IMError) -> str:
    """What may help."""
    if error.server_code in (400, 404, 426):
        return "there is a server, but no WebSocket at this path; ours has it at /ws"
    if "--dev" in (error.server_text or ""):
        return "leave --token and --secret out, or start the server with --secret"
    if "another user" in (error.server_text or ""):
        return "--user names somebody else than the token does"
    if error.server_code == 4004:
        return "another client with this device id logged in: another `im` of this user is open"
    return _HINTS.get(error.code, "")


async def send(
    client_config: ClientConfig, to: str, lines: Sequence[str], timeout: float, as_json: bool
) -> None:
    """Send each line as a message; return when all are accepted.

    Raises:
        IMError: the connection or a message failed.
    """
    async with IMClient(client_config) as client:
        pending = [client.queue_message(to, line) for line in lines]
        try:
            async with asyncio.timeout(timeout):
                for sent in pending:
                    await sent
                    _report(sent, as_json)
        except TimeoutError:
            waiting = sum(not sent.done for sent in pending)
            raise IMError(
                IMErrorCode.MESSAGE_TIMEOUT,
                f"{waiting} of {len(pending)} messages not accepted within {timeout:g} s: "
                f"{client.explain()}",
            ) from None


def _report(sent: SentMessage, as_json: bool) -> None:
    if as_json:
        _json({"msg_id": sent.msg_id, "to_user": sent.to_user_id, "timestamp": sent.timestamp})
    else:
        console.print(f"accepted {sent.msg_id}")


async def listen(client_config: ClientConfig, as_json: bool, count: int) -> None:
    """Print messages as they come.

    Raises:
        IMError: the first connection failed, or the client gave up.
    """
    enough = asyncio.Event()
    seen = 0

    async def show(message: Message) -> None:
        nonlocal seen
        if seen == count != 0 or gone:
            # not printed, so not acknowledged: it comes again at the next log-in
            await asyncio.Event().wait()
        try:
            write(message)
        except OSError as error:  # nobody reads any more, as behind `| head`
            gone.append(error)
            enough.set()
            raise
        seen += 1
        if seen == count:
            enough.set()

    def write(message: Message) -> None:
        if as_json:
            _json(
                {
                    "from_user": message.from_user,
                    "content": message.content,
                    "msg_id": message.msg_id,
                    "session_id": message.session_id,
                    "message_type": message.message_type,
                    "timestamp": message.timestamp,
                }
            )
        else:
            _print_message(message)

    client = IMClient(client_config)
    ended: list[IMError] = []
    gone: list[OSError] = []

    def failed(error: IMError) -> None:
        if error.terminal:
            ended.append(error)
            enough.set()

    client.set_callbacks(message_received=show, error=failed)
    if not as_json:
        client.set_callbacks(state_changed=_say_state)
    async with client:
        await enough.wait()
    if gone:
        raise gone[0]
    if ended:
        raise ended[0]


async def chat(client_config: ClientConfig, to: str) -> None:
    """Lines in, lines out, until the end of the input.

    Raises:
        IMError: the first connection failed, the client gave up, or messages are left unsent.
    """
    client = IMClient(client_config)
    lines = _lines()
    ended: list[IMError] = []

    async def failed(error: IMError) -> None:  # on the loop, where the queue is
        if error.terminal:
            ended.append(error)
            lines.put_nowait(None)

    client.set_callbacks(
        state_changed=_say_state,
        message_received=_print_message,
        message_failed=_say_unsent,
        error=failed,
    )
    async with client:
        you = f"you are {client_config.user_id}; write to {to}, Ctrl-D ends"
        console.print(you, markup=False, style="dim")
        pending: list[SentMessage] = []
        while (line := await lines.get()) is not None:
            if not line.strip():
                continue
            try:
                pending.append(client.queue_message(to, line))
            except IMError as error:
                _say_unsent(error)
            pending = [sent for sent in pending if not sent.done]
        if pending and not ended:
            console.print(f"[dim]waiting for {len(pending)} unanswered messages …[/]")
            await asyncio.wait([asyncio.ensure_future(_end(sent)) for sent in pending], timeout=5)
        unsent = sum(not sent.done for sent in pending)
    if ended:
        raise ended[0]
    if unsent:
        raise IMError(IMErrorCode.MESSAGE_TIMEOUT, f"{unsent} messages were not accepted")


def _say_unsent(error: IMError) -> None:
    console.print(f"not sent: {error}", markup=False, style="red")


async def _end(sent: SentMessage) -> None:
    with contextlib.suppress(IMError):  # told by message_failed
        await sent


def _lines() -> asyncio.Queue[str | None]:
    """Lines of the standard input, then None. A daemon thread: a read can't be interrupted."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(queue.put_nowait, line.rstrip("\n"))
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, name="im-stdin", daemon=True).start()
    return queue


def _print_message(message: Message) -> None:
    # a peer's words can't paint the terminal or forge a line
    console.print(f"{message.from_user}: {printable(message.content, 4000)}", markup=False)


def _say_state(state: ConnectionState) -> None:
    retry = f", next try in {state.retry_in:.1f} s" if state.retry_in is not None else ""
    notices.print(f"{state.status}: {state.reason}{retry}", markup=False, style="dim")


def _json(value: dict[str, object]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201
