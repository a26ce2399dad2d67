"""A connected TCP socket to a host with several addresses.

asyncio has this (`happy_eyeballs_delay`), but loses a socket when it is cancelled in the turn of
the loop in which an attempt succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from functools import partial
from itertools import chain, zip_longest
from typing import Any, Final

#: RFC 8305 section 5: how long one address may take before the next is tried as well, in seconds.
_STAGGER: Final = 0.25

_Info = tuple[int, int, int, str, Any]
_Attempts = dict[asyncio.Task[None], socket.socket]


async def connect(host: str, port: int) -> socket.socket:
    """Look a name up and connect to the first of its addresses that answers (RFC 8305).

    However it ends, no other socket and no task is left.

    Raises:
        socket.gaierror: the name has no address.
        OSError: no address answered; one that refused is told as ConnectionRefusedError.
    """
    loop = asyncio.get_running_loop()
    waiting = await _addresses(host, port)
    attempts: _Attempts = {}
    errors: list[OSError] = []
    winner: socket.socket | None = None
    try:
        while waiting or attempts:
            if waiting:
                family, kind, proto, _, address = waiting.pop(0)
                try:
                    raw = socket.socket(family, kind, proto)
                except OSError as exc:  # a family that this machine doesn't have
                    errors.append(exc)
                    continue
                raw.setblocking(False)
                attempts[loop.create_task(loop.sock_connect(raw, address))] = raw
            await asyncio.wait(
                attempts,
                timeout=_STAGGER if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = _harvest(attempts, errors)
            if winner is not None:
                return winner
        raise _joined(errors)
    finally:
        try:
            await _discard(attempts)
        except BaseException:
            if winner is not None:
                winner.close()
            raise


def _harvest(attempts: _Attempts, errors: list[OSError]) -> socket.socket | None:
    """Take out the attempts that have ended, up to the first that succeeded."""
    for task in [task for task in attempts if task.done()]:
        exc = task.exception()
        if exc is None:
            return attempts.pop(task)
        attempts.pop(task).close()
        if not isinstance(exc, OSError):
            raise exc
        errors.append(exc)
    return None


async def _discard(attempts: _Attempts) -> None:
    for task, raw in attempts.items():
        task.cancel()
        # Not before its task has ended: the loop may still be watching the socket.
        task.add_done_callback(partial(_close, raw))
    if attempts:
        await asyncio.wait(attempts)


def _close(raw: socket.socket, task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # seen
    raw.close()


async def _addresses(host: str, port: int) -> list[_Info]:
    """The addresses of a host, IPv6 and IPv4 in turn (RFC 8305 section 4)."""
    loop = asyncio.get_running_loop()
    flags = 0
    is_ipv4 = False
    with contextlib.suppress(ValueError):
        is_ipv4 = isinstance(ipaddress.ip_address(host), ipaddress.IPv4Address)
        flags = int(socket.AI_NUMERICHOST)
    if is_ipv4:  # without the thread that a look-up takes
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    infos: list[_Info] = list(
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    )
    if not infos:
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
    first = infos[0][0]
    pairs = zip_longest(
        [info for info in infos if info[0] == first],
        [info for info in infos if info[0] != first],
    )
    return [info for info in chain.from_iterable(pairs) if info is not None]


def _joined(errors: list[OSError]) -> OSError:
    """What all attempts came to: the error, if they agree."""
    if len({(type(error), error.errno) for error in errors}) == 1:
        return errors[0]
    return OSError("; ".join(str(error) for error in errors))
