"""A connected TCP socket to a host with several addresses.

asyncio has this (`happy_eyeballs_delay`), but loses a socket when it is cancelled in the turn of
the loop in which an attempt succeeds.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from im_runtime import STAGGER, Address, in_turn, joined, known_address, lookup_flags

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
                timeout=STAGGER if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = _harvest(attempts, errors)
            if winner is not None:
                return winner
        raise joined(errors)
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


async def _addresses(host: str, port: int) -> list[Address]:
    known = known_address(host, port)
    if known is not None:  # without the thread that a look-up takes
        return [known]
    loop = asyncio.get_running_loop()
    return in_turn(
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=lookup_flags(host))
    )
