"""The sockets of this package, which a forked child must not hold open."""

from __future__ import annotations

import os
import socket
import weakref
from typing import Final

_OWN: Final[weakref.WeakSet[socket.socket]] = weakref.WeakSet()


def own(raw: socket.socket) -> socket.socket:
    """Close it in every child process: a connection ends when its last holder lets go."""
    _OWN.add(raw)
    return raw


def _close_all() -> None:
    for raw in list(_OWN):
        raw.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
