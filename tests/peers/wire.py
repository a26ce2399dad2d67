"""What both peers need: ids, lenient reading, waiting for a fact, and pongs that can be muted."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from websockets.asyncio.connection import Connection
from websockets.frames import Frame, Opcode

Message: TypeAlias = dict[str, Any]
UserId: TypeAlias = int | str
T = TypeVar("T")

MAX_SAFE = 2**53 - 1
MAX_ID = 2**63 - 1
USER_KEYS = frozenset({"userId", "toUser", "fromUser"})
ID_KEYS = USER_KEYS | {"msgId", "sessionId", "bookId"}
# What String.prototype.trim() takes away; Python's strip() takes other ones.
JS_SPACE = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
PONG_HEAD = bytes([0x80 | Opcode.PONG])


def as_id(value: object) -> int | None:
    """Read an id, a number or a decimal string; None when it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID:
        return value
    return None


def as_user(value: object) -> UserId | None:
    """Read a user id: an id, or any other non-empty string, which is a name."""
    number = as_id(value)
    if isinstance(value, str) and value and str(number) != value:
        return value
    return number


def id_offence(key: str, value: object, *, strings: bool = False) -> str | None:
    """Say what is wrong with an id as it was sent; `strings` lets small ones be strings."""
    read = as_user(value) if key in USER_KEYS else as_id(value)
    if read is None:
        return f"{key} is not an id: {value!r}"
    if isinstance(value, int) and value > MAX_SAFE:
        return f"{key} is a number above 2^53-1: {value}"
    if isinstance(value, str) and isinstance(read, int) and read <= MAX_SAFE and not strings:
        return f"{key} is a string, and not above 2^53-1: {value!r}"
    return None


def content_units(content: str) -> int:
    """Count a content as the protocol counts: UTF-16 units after JavaScript's trim."""
    return len(content.strip(JS_SPACE).encode("utf-16-le", "surrogatepass")) // 2


def parse_json(text: str) -> Any:
    """Parse JSON proper, which has neither NaN nor Infinity; ValueError when it is not."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def dump_json(value: object) -> str:
    """Write JSON as a field server does: compact, and not escaped to ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read_message(envelope: Mapping[str, Any]) -> Message | None:
    """Read `message` in all its forms; None when there is no object in it."""
    message = envelope.get("message")
    if isinstance(message, str):
        try:
            message = parse_json(message) if message else None
        except ValueError:
            return None
    if message is None:
        return {}
    return message if isinstance(message, dict) else None


class Watch:
    """Wakes whoever waits for a fact at the very change that makes it true."""

    def __init__(self) -> None:
        self._waiters: list[Callable[[], bool]] = []

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait until the predicate is truthy, and return what it was then."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def check() -> bool:
            if done.done():
                return True
            try:
                value = predicate()
            except Exception as error:
                done.set_exception(error)
                return True
            if value:
                done.set_result(value)
            return bool(value)

        if not check():
            self._waiters.append(check)
        async with asyncio.timeout(timeout):
            return await done

    def changed(self) -> None:
        """Look at every waiter again."""
        self._waiters = [check for check in self._waiters if not check()]


class PongSwitch(Connection):
    """A connection that counts the pings it was sent, and answers them only when it may."""

    def __init__(
        self,
        *args: Any,
        may_pong: Callable[[], bool],
        on_ping: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        self._may_pong = may_pong
        self._on_ping = on_ping
        super().__init__(*args, **kwargs)

    def send_data(self) -> None:
        """Write what is due, without the pongs when they are muted."""
        if not self._may_pong():
            writes = self.protocol.writes
            writes[:] = [data for data in writes if data[:1] != PONG_HEAD]
        super().send_data()

    def process_event(self, event: Any) -> None:
        """Count the pings; the rest is the library's."""
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self._on_ping()
        super().process_event(event)
